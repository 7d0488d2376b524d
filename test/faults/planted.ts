import { parseStage } from '../../src/audit/ledger-state.js';
import {
  isFault,
  type BlobContent,
  type RangeQuery,
  type RowOperation,
  type StoragePorts,
} from '../../src/storage/ports.js';
import { RECORD_TYPES } from '../../src/records/registry.js';
import { LOOKUPS_TABLE } from '../../src/storage/record-locator.js';
import { wrapPorts, type Intercept } from '../support/wrap-ports.js';
import type { SimulatedHost } from './simulation-host.js';
import type { Plant, World } from './simulation-world.js';

/** A mistake somebody could make, as a switch of the wiring: what the product asks for goes wrong on its way. */
export interface PlantedBug {
  readonly name: string;
  /** Schedules within which the simulation finds it. */
  readonly within: number;
  /** Seed of the first of them where that is not 1: a mistake that few schedules show is looked for where one does. */
  readonly from?: number;
  readonly plant: Plant;
  /** Looked for in schedules of years (years.ts). */
  readonly years?: true;
}

type Commit = [table: string, key: string, operations: readonly RowOperation[]];

/** A plant whose wrapper is made for each process anew. */
function around(make: (ports: StoragePorts, world: World, host: SimulatedHost) => Intercept): Plant {
  return (ports, world, host) => wrapPorts(ports, make(ports, world, host));
}

/** Commits of records with other operations than were asked for. */
function commitsAs(change: (operations: readonly RowOperation[]) => readonly RowOperation[]): Plant {
  return around((ports) => (call, run) => {
    if (call.method !== 'commit' || call.args[0] !== 'decisions') return run();
    const [table, key, operations] = call.args as unknown as Commit;
    return ports.tables.commit(table, key, change(operations));
  });
}

const isRevision = ({ rowKey }: RowOperation): boolean => rowKey.startsWith('v:');

const noOutboxRow = commitsAs((operations) =>
  operations.filter(({ kind, rowKey }) => kind !== 'insert' || !rowKey.startsWith('o:')),
);

/** The blob is kept back until the commit that names it has happened. */
const blobAfterCommit = around((ports) => {
  const waiting = new Map<string, readonly unknown[]>();
  return async (call, run) => {
    const [container, name] = call.args as [string, string];
    if (call.method === 'putOnce' && container === 'records') {
      waiting.set(name, call.args);
      return '"later"';
    }
    const done = await run();
    if (call.method !== 'commit') return done;
    const operations = (call.args as unknown as Commit)[2];
    for (const operation of operations.filter(isRevision)) {
      const blob = 'properties' in operation ? String(operation.properties['blob']) : '';
      const put = waiting.get(blob);
      waiting.delete(blob);
      if (put !== undefined)
        await ports.blobs.putOnce(...(put as Parameters<StoragePorts['blobs']['putOnce']>));
    }
    return done;
  };
});

/**
 * Whatever version a record has, it is replaced. That a revision is inserted and never replaced is a second guard
 * against the same mistake, and falls with it: with it in place nothing is lost but the fence of the orphans.
 */
const missingEtag = commitsAs((operations) =>
  operations.map((operation) => {
    if (operation.kind === 'replace') return { ...operation, etag: '*' };
    return isRevision(operation) && operation.kind === 'insert'
      ? { ...operation, kind: 'upsert' }
      : operation;
  }),
);

/** Rows are replaced and deleted whatever their version; revisions stay create-only. */
const missingEtagAlone = commitsAs((operations) =>
  operations.map((operation) => (operation.kind === 'replace' ? { ...operation, etag: '*' } : operation)),
);

const isStage = (name: string): boolean => name.includes('/stages/');

/** The pending rows of a stage go as soon as it is written. */
const clearedTooEarly = around((ports) => async (call, run) => {
  const done = await run();
  const [container, name, bytes] = call.args as [string, string, Uint8Array];
  if (call.method !== 'putOnce' || container !== 'ledger' || !isStage(name)) return done;
  const stage = parseStage(name.slice(0, name.indexOf('/')), { name, bytes });
  for (const { table, partition_key, row_key } of stage.events) {
    try {
      await ports.tables.commit(table, partition_key, [{ kind: 'delete', rowKey: row_key, etag: '*' }]);
    } catch (error) {
      if (!isFault(error, 'missing')) throw error;
    }
  }
  return done;
});

/** A commit without an answer is sent again by the client below us, and we are told how that went. */
const retriesLeftOn = around(() => async (call, run) => {
  if (call.method !== 'commit') return run();
  try {
    return await run();
  } catch (error) {
    if (!isFault(error, 'unavailable')) throw error;
    return run();
  }
});

/** Whoever loses the head appends the lines of its stage all the same. */
const loserWritesLines = around((ports) => {
  let last: { readonly name: string; readonly bytes: Uint8Array } | undefined;
  return async (call, run) => {
    const [container, name, bytes] = call.args as [string, string, Uint8Array];
    if (call.method === 'putOnce' && container === 'ledger' && isStage(name)) last = { name, bytes };
    try {
      return await run();
    } catch (error) {
      const lost = call.method === 'swap' && name.endsWith('/head') && isFault(error, 'exists', 'conflict');
      if (lost && last !== undefined) {
        const { stream, events } = parseStage(name.slice(0, name.indexOf('/')), last);
        const lines = Buffer.from(events.map(({ event }) => `${event}\n`).join(''));
        if (stream.create) await ports.blobs.createAppend('audit', stream.name).catch(() => undefined);
        await ports.blobs.append('audit', stream.name, lines, stream.offset).catch(() => undefined);
      }
      throw error;
    }
  };
});

/** What answered a key is forgotten a minute after it was used. */
const keyFreedEarly = around((_, world) => async (call, run) => {
  const done = await run();
  if (call.method !== 'commit') return done;
  const [table, key, operations] = call.args as unknown as Commit;
  for (const { kind, rowKey } of operations) {
    if (table === 'keys' || kind !== 'insert' || !rowKey.startsWith('k:')) continue;
    world.timeline.after(60_000, () => {
      void world.storage.ports.tables
        .commit(table, key, [{ kind: 'delete', rowKey, etag: '*' }])
        .catch(() => undefined);
    });
  }
  return done;
});

/** The second look at the pending rows is left out. */
const readOnce = around(() => (call, run) => {
  const query = call.args[2] as RangeQuery | undefined;
  const second = call.method === 'range' && query?.from === 'o:' && query.to !== 'o;';
  return second ? Promise.resolve({ rows: [], more: false }) : run();
});

/** A head that was there before is put back, as a process would that replaces it without comparing. */
const olderHead = around((ports) => {
  let before: BlobContent | undefined;
  return async (call, run) => {
    const [container, name] = call.args as [string, string];
    if (container !== 'ledger' || !name.endsWith('/head')) return run();
    if (call.method === 'find') {
      const found = (await run()) as BlobContent | undefined;
      before = found;
      return found;
    }
    try {
      return await run();
    } catch (error) {
      if (call.method === 'swap' && before !== undefined && isFault(error, 'conflict')) {
        const now = await ports.blobs.find(container, name);
        await ports.blobs.swap(container, name, before.bytes, now?.etag).catch(() => undefined);
      }
      throw error;
    }
  };
});

/** A checkpoint that lost to another one is put in its place all the same. */
const forcedCheckpoint = around((ports) => async (call, run) => {
  const [container, name, bytes] = call.args as [string, string, Uint8Array];
  try {
    return await run();
  } catch (error) {
    if (call.method === 'swap' && name.endsWith('/checkpoint') && isFault(error, 'exists', 'conflict')) {
      const now = await ports.blobs.find(container, name);
      await ports.blobs.swap(container, name, bytes, now?.etag).catch(() => undefined);
    }
    throw error;
  }
});

const PARTS_TABLES = RECORD_TYPES.flatMap(({ parts }) => (parts === undefined ? [] : [parts.table]));

/** Entries of parts are committed without the events that tell of them. */
const noOutboxOfParts = around((ports) => (call, run) => {
  const [table, key, operations] = call.args as unknown as Commit;
  if (call.method !== 'commit' || !PARTS_TABLES.includes(table)) return run();
  return ports.tables.commit(table, key, operations.filter(({ kind, rowKey }) => kind !== 'insert' || !rowKey.startsWith('o:'))); // prettier-ignore
});

/** Where a record lies that its id does not tell is not written down. */
const noLookup = around(
  () => (call, run) =>
    call.method === 'commit' && call.args[0] === LOOKUPS_TABLE ? Promise.resolve(['W/"none"']) : run(),
);

/** Whoever asks for holds has the answer that this process had first. */
const holdsNotAskedAfresh = around(() => {
  let first: Promise<unknown> | undefined;
  return (call, run) => {
    const query = call.args[2] as RangeQuery | undefined;
    if (call.method !== 'range' || call.args[0] !== 'holds' || query?.from.startsWith('a:') !== true)
      return run();
    return (first ??= run());
  };
});

/** The key of a subject goes when it is certified that it has: the certificate comes first. */
const keyDestroyedAfterwards = around((ports, world) => (call, run) => {
  const [table, key, operations] = call.args as unknown as Commit;
  const destroys = call.method === 'commit' && table === 'keys' && operations.some((one) => 'properties' in one && one.properties['destroyed_at'] !== undefined && one.rowKey.startsWith('k:')); // prettier-ignore
  if (!destroys) return run();
  world.timeline.after(60_000, () => void ports.tables.commit(table, key, operations).catch(() => undefined));
  return Promise.resolve(operations.map(() => 'W/"later"'));
});

/** What had the content of a revision is deleted before its row names the pack. */
const looseDeletedFirst = around((ports) => async (call, run) => {
  const [table, key, operations] = call.args as unknown as Commit;
  if (call.method !== 'commit') return run();
  for (const operation of operations.filter(isRevision)) {
    if (operation.kind !== 'replace' || !String(operation.properties['blob']).includes('/_packs/')) continue;
    const now = await ports.tables.find(table, key, operation.rowKey);
    const blob = String(now?.properties['blob']);
    if (!blob.includes('/_packs/')) await ports.blobs.delete('records', blob);
  }
  return run();
});

/** A tombstone is put without the event that tells of it. */
const disposalUntold = around((ports) => (call, run) => {
  const [table, key, operations] = call.args as unknown as Commit;
  if (call.method !== 'commit' || !operations.some((one) => 'properties' in one && one.properties['tombstone'] === true)) return run(); // prettier-ignore
  return ports.tables.commit(table, key, operations.filter(({ kind, rowKey }) => kind !== 'insert' || !rowKey.startsWith('o:'))); // prettier-ignore
});

/** Each found within so many schedules; docs/testing.md lists them. */
export const PLANTED: readonly PlantedBug[] = [
  { name: 'no outbox row', within: 5, plant: noOutboxRow },
  { name: 'blob written after the commit', within: 50, plant: blobAfterCommit },
  { name: 'missing ETag', within: 50, plant: missingEtag },
  { name: 'missing ETag, revisions create-only', within: 500, from: 545, plant: missingEtagAlone },
  { name: 'pending events cleared before the head moved', within: 20, plant: clearedTooEarly },
  { name: 'SDK retries left on', within: 100, from: 55, plant: retriesLeftOn },
  { name: 'loser of the seal writing lines', within: 300, plant: loserWritesLines },
  { name: 'idempotency key freed early', within: 10, plant: keyFreedEarly },
  { name: 'pending rows read once only', within: 1000, from: 1310, plant: readOnce },
  { name: 'ledger head replaced by an older one', within: 150, plant: olderHead },
  { name: 'checkpoint replaced without comparing', within: 150, plant: forcedCheckpoint },
  { name: 'no outbox row of an entry', within: 50, plant: noOutboxOfParts },
  { name: 'no lookup of a record', within: 50, plant: noLookup },
  { name: 'holds not asked afresh before a disposal', within: 20, plant: holdsNotAskedAfresh, years: true },
  { name: 'key destroyed after its certificate', within: 20, plant: keyDestroyedAfterwards, years: true },
  { name: 'loose blob deleted before the row names the pack', within: 20, plant: looseDeletedFirst, years: true }, // prettier-ignore
  { name: 'tombstone without its event', within: 5, plant: disposalUntold, years: true },
];
