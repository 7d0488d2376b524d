import pLimit from 'p-limit';
import type { Envelope } from '../src/domain/envelope.js';
import { isAppError } from '../src/domain/errors.js';
import type { Platform } from '../src/platform.js';
import { conversationType } from '../src/records/conversation.js';
import { decisionType } from '../src/records/decision.js';
import { partitionKey, recordKey } from '../src/storage/keys.js';
import type { WrittenRecord } from '../src/storage/manager-types.js';
import type { Row, StoragePorts } from '../src/storage/ports.js';
import { benchCall, benchPlatform } from './platform.js';
import { copyRecords, shardsOf, titleOf } from './record-copies.js';

/** A part of lifecycle work that is measured by itself. */
interface Stage {
  readonly name: string;
  /** Does it to its end, in as many runs of the job as it takes. */
  readonly run: (platform: Platform, tenant: string) => Promise<void>;
}

/** Lifecycle work over many records, and what there has to be for it. */
export interface LifecycleWork {
  readonly name: string;
  /** Records are fewer by this where each is many writes. */
  readonly per: number;
  /** Stores record number `serial`, with a payload of its own, in one of several partitions. */
  readonly make: (
    platform: Platform,
    tenant: string,
    serial: number,
    partition: number,
  ) => Promise<WrittenRecord>;
  /** Copies of the first record will do: nobody opens what is sealed in them. */
  readonly copies: boolean;
  /** After all of them, and before the first stage. */
  readonly ready?: (platform: Platform, tenant: string) => Promise<unknown>;
  /** Calls that its floor has under way at once: as many as the work itself at most. */
  readonly atOnce: number;
  readonly stages: readonly Stage[];
}

const DAY_MS = 24 * 3_600_000;
const MONTH_DAYS = 31;
const AT_ONCE = 8;
/** Records that are made before they are sealed. */
const CHUNK = 1000;
const MESSAGES = 3;
/** Runs of a job that may break off because an emulator is busy. */
const PATIENCE = 20;
/** Who is erased. */
const PERSON = 'p-4711';

/** A payload as decisions have it: about 2 kB as an envelope. */
const bodyOf = (serial: number, ageDays: number) => ({
  decision_type: 'operational',
  title: titleOf(serial),
  inputs: { serial, context: `Order ${String(serial)} is within its budget and its term. `.repeat(20) },
  metadata: { region: 'eu' },
  created_at: new Date(Date.now() - ageDays * DAY_MS).toISOString(),
});

const aged =
  (ageDays: number): LifecycleWork['make'] =>
  ({ manager }, tenant, serial, partition) =>
    manager.create(decisionType, bodyOf(serial, ageDays + partition * MONTH_DAYS), benchCall(tenant));

/** Decisions that name the person. */
const named: LifecycleWork['make'] = ({ manager }, tenant, serial, partition) => {
  const body = {
    ...bodyOf(serial, 1 + partition * MONTH_DAYS),
    metadata: { region: 'eu', subject_id: PERSON },
  };
  return manager.create(decisionType, body, benchCall(tenant));
};

/** Conversations that name nobody else. */
const talk: LifecycleWork['make'] = async ({ manager }, tenant, serial) => {
  const body = { conversation_type: 'user_to_agent', participants: [PERSON], messages: [], metadata: { topic: `order ${String(serial)}` } }; // prettier-ignore
  const made = await manager.create(conversationType, body, benchCall(tenant));
  for (let at = 0; at < MESSAGES; at += 1) {
    const message = { sender: PERSON, content: `Order ${String(serial)}, said ${String(at)}.` };
    await manager.addPart(
      conversationType,
      made.envelope.id,
      'messages',
      message,
      undefined,
      benchCall(tenant),
    );
  }
  return made;
};

/** A round of a job, in as many runs as it takes; as by the timer, the next goes on where storage did not answer. */
const round = (name: string) => async (platform: Platform) => {
  for (let failures = 0; ;) {
    const report = await platform.jobs.start(name).catch((error: unknown) => {
      failures += 1;
      if (failures > PATIENCE || !isAppError(error, 'storage-unavailable')) throw error;
      return undefined;
    });
    if (report === undefined) continue;
    const { outcome, counts } = report;
    if (outcome !== 'done' && outcome !== 'paused') throw new Error(`the job ${name} is ${outcome}`);
    if ((counts['damaged'] ?? 0) > 0) throw new Error(`the job ${name} finds damage`);
    if (outcome === 'done') return;
  }
};

/** The erasure of the person, to the provisional certificate. */
async function erase(platform: Platform, tenant: string): Promise<void> {
  const { items } = await platform.erasures.list({ limit: 1 }, benchCall(tenant));
  await round('erase')(platform);
  const erasure = await platform.erasures.get(items[0]?.erasure_id ?? '', benchCall(tenant));
  if (erasure.state !== 'provisional') throw new Error(`the erasure is ${erasure.state}`);
}

const ask: LifecycleWork['ready'] = ({ erasures }, tenant) =>
  erasures.request({ subject: PERSON, reason: 'To see what it costs.' }, undefined, benchCall(tenant));

/** What is measured, by itself and at any size. Each wants a storage of its own. */
export const LIFECYCLE: readonly LifecycleWork[] = [
  {
    name: 'archive',
    per: 1,
    atOnce: 8,
    copies: true,
    // Old enough for both, so that it goes to cool in one round and to the archive in the next.
    make: aged(100),
    stages: [
      { name: 'archive, hot to cool', run: round('archive') },
      { name: 'archive, cool to archive', run: round('archive') },
    ],
  },
  {
    name: 'dispose',
    per: 1,
    atOnce: 4,
    copies: true,
    make: aged(8 * 366),
    stages: [
      { name: 'dispose', run: round('dispose') },
      { name: 'dispose, the day after', run: round('dispose') },
    ],
  },
  {
    name: 'erase',
    per: 1,
    atOnce: 1,
    copies: true,
    make: named,
    ready: ask,
    stages: [{ name: 'erase, who is named', run: erase }],
  },
  {
    name: 'erase-whole',
    per: 10,
    atOnce: 4,
    copies: false,
    make: talk,
    ready: ask,
    stages: [
      { name: 'erase, conversations', run: erase },
      { name: 'clear them', run: round('dispose') },
      { name: 'clear them, the day after', run: round('dispose') },
    ],
  },
];

/** How a storage is filled. */
export interface Filling {
  readonly records: number;
  /** Decisions of one month; by default all of them: the worst case for whoever would hold a partition in memory. */
  readonly inPartition?: number;
}

/** Makes so many records for a piece of work, sealed as they would be by then, in a tenant whose index is complete. */
export async function prepare(
  work: LifecycleWork,
  ports: StoragePorts,
  tenant: string,
  { records, inPartition = records }: Filling,
  platform = benchPlatform(ports),
): Promise<void> {
  const { copies, make, ready } = work;
  const seal = () => platform.sealer.sealTenant(tenant);
  const firsts: Envelope[] = [];
  const partitions = copies ? Math.ceil(records / inPartition) : 1;
  for (let at = 0; at < partitions; at += 1)
    firsts.push((await make(platform, tenant, at * inPartition, at)).envelope);
  await seal();
  await round('index-subjects')(platform);
  const shards = copies ? await shardsOf(ports, tenant) : [];
  for (const [at, first] of copies ? firsts.entries() : []) {
    const row = await rowOf(ports, tenant, first);
    await copyRecords(ports, row, shards, at * inPartition + 1, Math.min(records, (at + 1) * inPartition));
  }
  const limit = pLimit(AT_ONCE);
  for (let from = copies ? records : 1; from < records; from += CHUNK) {
    const serials = Array.from({ length: Math.min(CHUNK, records - from) }, (_, at) => from + at);
    await Promise.all(serials.map((serial) => limit(() => make(platform, tenant, serial, 0))));
    await seal();
  }
  await ready?.(platform, tenant);
}

async function rowOf({ tables }: StoragePorts, tenant: string, { id, data }: Envelope): Promise<Row> {
  const key = partitionKey(tenant, String(data['created_at']).slice(0, 7));
  const row = await tables.find('decisions', key, recordKey(id));
  if (row === undefined) throw new Error('a record of the bench is missing');
  return row;
}
