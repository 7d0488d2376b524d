import { openAzureStorage } from '../src/azure/index.js';
import { LIMITS } from '../src/domain/limits.js';
import type { RangeQuery, RowOperation } from '../src/storage/ports.js';
import { systemClock } from '../src/system.js';
import { memoryStorage, type StorageContents } from '../test/support/memory-ports.js';
import { wrapPorts, type PortCall } from '../test/support/wrap-ports.js';
import type { Floor } from './floor.js';
import { prepare, type LifecycleWork } from './lifecycle-work.js';
import { benchPlatform } from './platform.js';
import { performOne } from './rehearsal.js';
import { tenantOf } from './side.js';
import { kindOf, noCalls, type CallCounts } from './storage-calls.js';

/**
 * The floor of lifecycle work: the calls that it makes of the storage of records, recorded on ports in memory, and then
 * made by the SDK alone on a storage with the same rows and blobs, in the same order, as many at once as the job has. What
 * follows a call about the same record or blob waits for it, and nothing waits for anything else: it is the least.
 */
export interface RecordedWork {
  /** What was there before. */
  readonly before: Pick<StorageContents, 'rows' | 'blobs'>;
  readonly stages: readonly RecordedStage[];
}

export interface RecordedStage {
  readonly name: string;
  readonly calls: readonly PortCall[];
  readonly counts: CallCounts;
}

/** Where a job looks for its work and writes how far it came, and the log: once for a run, or by the time it takes. */
const BESIDE = ['system', 'jobs', 'ledger', 'audit'];
const isBeside = ({ port, args }: PortCall): boolean => port === 'queues' || BESIDE.includes(String(args[0]));
const RECORD_ID = /[a-z]{3}_[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

/** Does a piece of work once in memory and keeps its calls. */
export async function recordWork(work: LifecycleWork, records: number): Promise<RecordedWork> {
  const tenant = tenantOf('bare', 0);
  const storage = memoryStorage({ clock: systemClock });
  await prepare(work, storage.ports, tenant, { records });
  const { rows, blobs } = storage.contents();
  const before = {
    rows: rows.filter(({ table }) => !BESIDE.includes(table)),
    blobs: blobs.filter(({ container }) => !BESIDE.includes(container)),
  };
  const stages: RecordedStage[] = [];
  for (const { name, run } of work.stages) {
    const calls: PortCall[] = [];
    const ports = wrapPorts(storage.ports, (call, go) => {
      if (!isBeside(call)) calls.push(call);
      return go();
    });
    await run(benchPlatform(ports), tenant);
    const counts = noCalls();
    for (const call of calls) counts[kindOf(call)] += 1;
    stages.push({ name, calls, counts });
  }
  return { before, stages };
}

/** Puts rows and blobs as they were into an account, off the clock. */
export async function load(connectionString: string, { rows, blobs }: RecordedWork['before']): Promise<void> {
  const storage = openAzureStorage({ connectionString });
  const groups = new Map<string, { table: string; key: string; operations: RowOperation[] }>();
  for (const { table, row } of rows) {
    const { partitionKey: key, rowKey, properties } = row;
    const group = groups.get(`${table} ${key}`) ?? { table, key, operations: [] };
    group.operations.push({ kind: 'upsert', rowKey, properties });
    groups.set(`${table} ${key}`, group);
  }
  for (const { table, key, operations } of groups.values())
    for (let from = 0; from < operations.length; from += LIMITS.transactionRows)
      await storage.ports.tables.commit(table, key, operations.slice(from, from + LIMITS.transactionRows));
  for (const { container, name, bytes } of blobs)
    await storage.ports.blobs.putOnce(container, name, bytes, 'application/json');
  storage.close();
}

/** Makes recorded calls with the bare SDK. */
export async function replay(floor: Floor, calls: readonly PortCall[], atOnce: number): Promise<void> {
  const after = new Map<string, Promise<unknown>>();
  const left = calls.map((call) => ({ call: unversioned(call), about: aboutWhat(call) }));
  left.reverse();
  const worker = async (): Promise<void> => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) {
      const { call, about } = next;
      const earlier = about.flatMap((what) => after.get(what) ?? []);
      const done = Promise.all(earlier).then(() => performOne(floor, call));
      for (const what of about) after.set(what, done);
      await done;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

/** Versions are those of the recording; `*` costs the same comparison. */
function unversioned(call: PortCall): PortCall {
  if (call.method !== 'commit') return call;
  const [table, key, operations] = call.args as [string, string, readonly RowOperation[]];
  const any = operations.map((one) => ('etag' in one ? { ...one, etag: '*' } : one));
  return { ...call, args: [table, key, any] };
}

/** The records and the blob that a call is about. */
function aboutWhat({ port, method, args }: PortCall): readonly string[] {
  const [, second, third] = args as [string, string, unknown];
  if (port === 'blobs') return [second, ...(second.match(RECORD_ID) ?? [])];
  const keys = method === 'commit' ? (third as readonly RowOperation[]).map(({ rowKey }) => rowKey).join(' ') : method === 'range' ? (third as RangeQuery).from : String(third); // prettier-ignore
  return [...new Set(keys.match(RECORD_ID) ?? [])].filter((id) => !id.startsWith('evt_'));
}
