import { randomUUID } from 'node:crypto';
import { openAzureStorage } from '../src/azure/index.js';
import type { RowOperation, StoragePorts } from '../src/storage/ports.js';
import { cpuOf } from './cpu.js';
import { Floor } from './floor.js';
import { OurSide } from './ours.js';
import { fresh, partitionOf } from './payload.js';
import type { CallResult } from './report.js';
import { BATCH, PAGE, tenantOf } from './side.js';
import { median } from './statistics.js';
import type { BenchTools } from './tools.js';

/** One call of storage, made by an adapter of the platform and by the SDK alone. */
interface Call {
  readonly call: string;
  readonly adapter: () => Promise<unknown>;
  readonly sdk: () => Promise<unknown>;
}

const RECORDS = 'records';
const TABLE = 'decisions';

function callsOf(ports: StoragePorts, floor: Floor, { templates }: BenchTools, id: string): readonly Call[] {
  const partitionKey = partitionOf(tenantOf('ours', 0));
  const rowKey = `r:${id}`;
  const range = { from: 'i:all::', to: 'i:all:;', limit: PAGE + 1 };
  const blob = { container: RECORDS, name: 'bench/read', bytes: Buffer.alloc(1000, 'a') };
  let serial = 0;
  const writes = () => fresh(templates.create, tenantOf('bare', 0), (serial += 1)).transactions[0];
  return [
    {
      call: 'put a blob of 1,000 bytes',
      adapter: () => ports.blobs.putOnce(RECORDS, `bench/${randomUUID()}`, blob.bytes, 'text/plain'),
      sdk: () => floor.put({ ...blob, name: `bench/${randomUUID()}` }),
    },
    {
      call: 'get it',
      adapter: () => ports.blobs.find(RECORDS, blob.name),
      sdk: () => floor.download(blob),
    },
    {
      call: 'point read',
      adapter: () => ports.tables.find(TABLE, partitionKey, rowKey),
      sdk: () => floor.row({ table: TABLE, partitionKey, rowKey }),
    },
    {
      call: `range read of ${String(PAGE + 1)} rows`,
      adapter: () => ports.tables.range(TABLE, partitionKey, range),
      sdk: () => floor.list({ table: TABLE, partitionKey, ...range }),
    },
    {
      call: 'transaction of 8 rows',
      adapter: async () => {
        const transaction = writes();
        const inserts = (transaction?.actions ?? []).map((action): RowOperation => {
          const { partitionKey: _, rowKey: key, ...properties } = action[1] as Record<string, string>;
          return { kind: 'insert', rowKey: key as string, properties };
        });
        await ports.tables.commit(TABLE, partitionOf(tenantOf('bare', 0)), inserts);
      },
      sdk: async () => {
        const transaction = writes();
        if (transaction !== undefined) await floor.commit(transaction);
      },
    },
  ];
}

async function times(count: number, work: () => Promise<unknown>): Promise<void> {
  for (let done = 0; done < count; done += 1) await work();
}

/** CPU that one call takes in this process, by the platform's adapters and by the bare SDK in turn. */
export async function measureCalls(tools: BenchTools): Promise<readonly CallResult[]> {
  const account = await tools.storage.account();
  const storage = openAzureStorage({ connectionString: account });
  const ours = new OurSide(account);
  const floor = new Floor(account);
  await ours.ready('read', 1);
  await ours.fill(BATCH);
  await storage.ports.blobs.putOnce(RECORDS, 'bench/read', Buffer.alloc(1000, 'a'), 'text/plain');
  const runs = tools.quick ? 5 : 200;
  const results: CallResult[] = [];
  for (const { call, adapter, sdk } of callsOf(storage.ports, floor, tools, ours.idOf(0))) {
    const found = { adapter: [] as number[], sdk: [] as number[] };
    // The first repetition warms up.
    for (let repetition = 0; repetition <= (tools.quick ? 1 : 5); repetition += 1) {
      const micros = {
        adapter: (await cpuOf(() => times(runs, adapter))) / runs,
        sdk: (await cpuOf(() => times(runs, sdk))) / runs,
      };
      if (repetition === 0) continue;
      found.adapter.push(micros.adapter);
      found.sdk.push(micros.sdk);
    }
    results.push({ call, adapter: median(found.adapter), sdk: median(found.sdk) });
  }
  for (const opened of [storage, ours, floor]) opened.close();
  return results;
}
