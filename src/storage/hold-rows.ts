import type { SealedSecrets } from '../domain/commitment.js';
import type { ActiveHold, HeldScope } from '../domain/held.js';
import { HOLD_SCHEMA_VERSION, type HoldState } from '../domain/hold.js';
import { parseId } from '../domain/ids.js';
import type { PartitionRef } from './directory.js';
import { invertedTime, partitionKey, revisionKey } from './keys.js';
import type { Properties, Row, RowOperation } from './ports.js';
import { broken } from './record-row.js';
import { rowIntact, withRowChecksum } from './row-checksum.js';
import { textColumns, textOf } from './text-columns.js';

/** Rows of table `holds` (docs/storage-layout.md): one partition a tenant, because its events are the tenant's. */
export const HOLDS_TABLE = 'holds';
const PARTITION = 'holds';

/** How many holds are in force; sorts behind all of them, so that one range read has both. */
export const COUNT_KEY = 'a:count';

export const holdsPartition = (tenant: string): PartitionRef => ({ tenant, table: HOLDS_TABLE, partition: PARTITION }); // prettier-ignore
export const holdsPartitionKey = (tenant: string): string => partitionKey(tenant, PARTITION);

/** Newest first, and a point read by id: the time is in it. */
const byTime = (prefix: string, id: string): string => `${prefix}:${invertedTime(parseId(id)?.ms ?? 0)}:${id}`; // prettier-ignore
export const holdKey = (id: string): string => byTime('r', id);
export const activeKey = (id: string): string => byTime('a', id);

/** A hold as it lies there. */
export interface StoredHold {
  readonly holdId: string;
  readonly state: HoldState;
  /** As it is shown, but with commitments in the places of what nobody may read there. */
  readonly committed: Readonly<Record<string, unknown>>;
  readonly sealed: SealedSecrets;
  readonly scope: HeldScope;
  /** The event of its placement, and that of its release. */
  readonly placedEvent: string;
  readonly releasedEvent?: string | undefined;
  /** Of the Idempotency-Key that the release had, as the reservation has it. */
  readonly releaseKey?: string | undefined;
}

/** A hold and the version of its row. */
export interface FoundHold extends StoredHold {
  readonly etag: string;
}

interface NewRow {
  readonly rowKey: string;
  readonly properties: Properties;
}

function rowOf(tenant: string, rowKey: string, columns: Properties): NewRow {
  const all = { ...columns, schema_version: HOLD_SCHEMA_VERSION };
  return { rowKey, properties: withRowChecksum(holdsPartitionKey(tenant), rowKey, all) };
}

/** `r:`: the hold as it is now. */
export function holdRow(tenant: string, hold: StoredHold): NewRow {
  const { holdId, state, committed, sealed, scope, placedEvent, releasedEvent, releaseKey } = hold;
  return rowOf(tenant, holdKey(holdId), {
    hold_id: holdId,
    state,
    ...textColumns('hold', JSON.stringify(committed)),
    ...textColumns('sealed', JSON.stringify(sealed)),
    scope: JSON.stringify(scope),
    placed_event: placedEvent,
    ...(releasedEvent === undefined ? {} : { released_event: releasedEvent }),
    ...(releaseKey === undefined ? {} : { release_key: releaseKey }),
  });
}

/** `a:`: what is compared with records while the hold is in force. */
export function activeRow(tenant: string, { holdId, scope }: ActiveHold): NewRow {
  return rowOf(tenant, activeKey(holdId), { hold_id: holdId, scope: JSON.stringify(scope) });
}

/** `v:`: that this very event placed or released it. Never changed: it tells, after a lost answer, who was first. */
export function witnessRow(tenant: string, holdId: string, step: 1 | 2, eventId: string): NewRow {
  return rowOf(tenant, revisionKey(holdId, step), { event_id: eventId });
}

/** Compared and swapped by each placement and each release, so that there are never more than may be. */
export function countOperation(tenant: string, active: number, replaced: Row | undefined): RowOperation {
  const row = rowOf(tenant, COUNT_KEY, { active });
  return replaced === undefined
    ? { kind: 'insert', ...row }
    : { kind: 'replace', ...row, etag: replaced.etag };
}

/** How many are in force by the row that counts them. Throws `integrity-failure`. */
export function countIn(tenant: string, row: Row | undefined): number {
  if (row === undefined) return 0;
  const active = row.properties['active'];
  if (!rowIntact(row) || typeof active !== 'number') throw brokenHold(tenant, 'hold count');
  return active;
}

/** Throws `integrity-failure` for a row that is not what was written, or not that hold's. */
export function parseHoldRow(row: Row): FoundHold {
  const id = row.rowKey.slice(row.rowKey.lastIndexOf(':') + 1);
  const text = (name: string): string | undefined => row.properties[name] as string | undefined;
  if (!rowIntact(row) || text('hold_id') !== id) throw brokenHold(id, 'hold row');
  return {
    holdId: id,
    state: text('state') as HoldState,
    committed: JSON.parse(textOf('hold', row.properties)) as Record<string, unknown>,
    sealed: JSON.parse(textOf('sealed', row.properties)) as SealedSecrets,
    scope: JSON.parse(String(text('scope'))) as HeldScope,
    placedEvent: String(text('placed_event')),
    releasedEvent: text('released_event'),
    releaseKey: text('release_key'),
    etag: row.etag,
  };
}

/** Throws `integrity-failure`: what is not known to cover nothing must not be taken to. */
export function parseActiveRow(row: Row): ActiveHold {
  const id = row.rowKey.slice(row.rowKey.lastIndexOf(':') + 1);
  if (!rowIntact(row) || row.properties['hold_id'] !== id) throw brokenHold(id, 'active hold row');
  return { holdId: id, scope: JSON.parse(String(row.properties['scope'])) as HeldScope };
}

export function brokenHold(id: string, what: string): ReturnType<typeof broken> {
  return broken(id, 0, what);
}
