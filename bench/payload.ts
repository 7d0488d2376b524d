import type { TransactionAction } from '@azure/data-tables';
import type { Platform } from '../src/platform.js';
import { decisionType } from '../src/records/decision.js';
import { monthOf, partitionKey } from '../src/storage/keys.js';
import type { RowOperation } from '../src/storage/ports.js';
import { systemClock } from '../src/system.js';
import { memoryPorts } from '../test/support/memory-ports.js';
import type { PortCall } from '../test/support/wrap-ports.js';
import type { BlobToPut, RowName, Transaction } from './floor.js';
import { benchCall, benchPlatform } from './platform.js';
import { BATCH, BODY, tenantOf, VOTE } from './side.js';

/**
 * What the floor writes: recorded from the platform itself, on ports in memory, and written again under other ids. So
 * both write the same number of rows and blobs of the same bytes.
 */
export interface Writes {
  /** Blobs in the order they are put; for a seal the stage, the head, bundles and tiles, the lines, the checkpoint. */
  readonly blobs: readonly BlobToPut[];
  readonly transactions: readonly Transaction[];
}

/** Recorded writes as text, a character for a byte of a blob, so that ids can be replaced wherever they stand. */
export type Template = string;

/** The tenant that recordings are made in. */
const RECORDED_TENANT = tenantOf('bare', 0);
/** The last group of a UUIDv7: random, and in every id of the platform. */
const ID_END = /(-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-)[0-9a-f]{6}([0-9a-f]{6})/g;

interface RecordedWrites {
  readonly blobs: { readonly container: string; readonly name: string; readonly text: string }[];
  readonly transactions: {
    readonly table: string;
    readonly partitionKey: string;
    readonly operations: readonly RowOperation[];
  }[];
}

/** Runs `work` on a platform that `before` has warmed up, and keeps what it wrote. */
async function record<T>(
  before: (platform: Platform) => Promise<T>,
  work: (platform: Platform, warm: T) => Promise<unknown>,
): Promise<Template> {
  const calls: PortCall[] = [];
  const intercept = (call: PortCall, run: () => Promise<unknown>): Promise<unknown> => {
    calls.push(call);
    return run();
  };
  const platform = benchPlatform(memoryPorts({ clock: systemClock, intercept }));
  const warm = await before(platform);
  calls.length = 0;
  await work(platform, warm);
  return JSON.stringify(writesOf(calls));
}

function writesOf(calls: readonly PortCall[]): RecordedWrites {
  const blobs = calls.filter(({ method }) => ['putOnce', 'swap', 'append'].includes(method));
  const commits = calls.filter(({ method }) => method === 'commit');
  return {
    blobs: blobs.map(({ args }) => {
      const [container, name, bytes] = args as [string, string, Uint8Array];
      return { container, name, text: Buffer.from(bytes).toString('latin1') };
    }),
    transactions: commits.map(({ args }) => {
      const [table, key, operations] = args as [string, string, readonly RowOperation[]];
      return { table, partitionKey: key, operations };
    }),
  };
}

/**
 * The writes of a template under ids of their own: `serial` takes the place of six random digits of every id.
 * Always the same ids for the same serial.
 */
export function fresh(template: Template, tenant: string, serial: number): Writes {
  const digits = serial.toString(16).padStart(6, '0');
  const text = template.replaceAll(RECORDED_TENANT, tenant).replace(ID_END, `$1${digits}$2`);
  const recorded = JSON.parse(text) as RecordedWrites;
  return {
    blobs: recorded.blobs.map(({ container, name, text: content }) => ({
      container,
      name,
      bytes: Buffer.from(content, 'latin1'),
    })),
    transactions: recorded.transactions.map(({ table, partitionKey: key, operations }) => ({
      table,
      actions: operations.map((operation) => actionOf(key, operation)),
    })),
  };
}

/** An operation of a port as the SDK takes it; whatever it compares is left to who has the ETag. */
export function actionOf(key: string, operation: RowOperation): TransactionAction {
  const { kind, rowKey } = operation;
  const name = { partitionKey: key, rowKey };
  switch (kind) {
    case 'delete':
      return ['delete', name];
    case 'insert':
      return ['create', { ...name, ...operation.properties }];
    case 'upsert':
      return ['upsert', { ...name, ...operation.properties }, 'Replace'];
    case 'replace':
      return ['update', { ...name, ...operation.properties }, 'Replace'];
    case 'merge':
      return ['update', { ...name, ...operation.properties }, 'Merge'];
  }
}

/** The writes of a vote template as those of another revision. */
export function atRevision(template: Template, revision: number): Template {
  return template
    .replaceAll(':0000000002"', `:${String(revision).padStart(10, '0')}"`)
    .replaceAll('"revision":2', `"revision":${String(revision)}`)
    .replaceAll('\\"revision\\":2', `\\"revision\\":${String(revision)}`)
    .replaceAll('/2-evt_', `/${String(revision)}-evt_`);
}

/** The record row that the first action of a create or vote writes. */
export function recordRowOf({ transactions }: Writes): RowName {
  const [, entity] = transactions[0]?.actions[0] as ['create', { partitionKey: string; rowKey: string }];
  return { table: 'decisions', partitionKey: entity.partitionKey, rowKey: entity.rowKey };
}

const call = benchCall(RECORDED_TENANT);
const create = (platform: Platform) => platform.manager.create(decisionType, BODY, call);
const batchOf = (platform: Platform) =>
  platform.manager.createBatch(decisionType, Array<unknown>(BATCH).fill(BODY), call);

export interface Templates {
  readonly create: Template;
  /** The create of the record that is voted on. */
  readonly created: Template;
  readonly vote: Template;
  readonly batch: Template;
  /** The batch whose events a seal takes. */
  readonly pending: Template;
  readonly seal: Template;
}

/** Records every operation once. */
export async function recordTemplates(): Promise<Templates> {
  // A vote changes the record of its own recording, so the two are recorded as one and parted afterwards.
  const createAndVote = async (platform: Platform): Promise<void> => {
    const { envelope } = await create(platform);
    await platform.manager.act(decisionType, envelope.id, 'votes', VOTE, undefined, call);
  };
  const voted = await record(createAndVote, createAndVote);
  const sealed = await record(
    async (platform) => {
      await create(platform);
      await platform.sealer.sealTenant(RECORDED_TENANT);
    },
    async (platform) => {
      await batchOf(platform);
      await platform.sealer.sealTenant(RECORDED_TENANT, { partitions: [here(RECORDED_TENANT)] });
    },
  );
  const [created, vote] = parted(voted, 1, 1);
  const [pending, seal] = parted(sealed, 1, 9);
  return { create: await record(create, create), created, vote, batch: await record(create, batchOf), pending, seal }; // prettier-ignore
}

/** Two recordings out of one: the first so many blobs and transactions, and the rest. */
function parted(template: Template, blobs: number, transactions: number): [Template, Template] {
  const all = JSON.parse(template) as RecordedWrites;
  const first = { blobs: all.blobs.slice(0, blobs), transactions: all.transactions.slice(0, transactions) };
  const rest = { blobs: all.blobs.slice(blobs), transactions: all.transactions.slice(transactions) };
  return [JSON.stringify(first), JSON.stringify(rest)];
}

/** Where this month's decisions of a tenant are. */
export function here(tenant: string): { tenant: string; table: string; partition: string } {
  return { tenant, table: 'decisions', partition: monthOf(systemClock.now()) };
}

export function partitionOf(tenant: string): string {
  return partitionKey(tenant, monthOf(systemClock.now()));
}
