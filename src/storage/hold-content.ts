import type { BlindIndex } from '../domain/blind-index.js';
import type { Json } from '../domain/canonical-json.js';
import { parseTime } from '../domain/clock.js';
import type { SealedSecrets, SealingContext } from '../domain/commitment.js';
import { commitData, discloseData, secretsMatch } from '../domain/committed-form.js';
import type { HeldScope, HoldFacts } from '../domain/held.js';
import { HOLD_TYPE, type AcceptedHold, type Hold } from '../domain/hold.js';
import { parseId } from '../domain/ids.js';
import type { RecordType } from '../domain/record-type.js';
import { blindColumn, blindOf } from './blinds.js';
import { brokenHold, type StoredHold } from './hold-rows.js';
import type { StorageManagerOptions } from './manager-types.js';
import type { Row } from './ports.js';
import { broken } from './record-row.js';
import { rowIntact } from './row-checksum.js';

export type HoldTools = Pick<
  StorageManagerOptions,
  | 'ports'
  | 'clock'
  | 'entropy'
  | 'directory'
  | 'secretBox'
  | 'blindIndex'
  | 'pseudonym'
  | 'cursorKey'
  | 'onCommitted'
>;

/** What a subject is compared by; the same hash as its key is found by (docs/keys.md). */
export function subjectHash(blindIndex: BlindIndex, tenant: string, subject: string): Promise<string> {
  return blindIndex.blind(tenant, 'subject', subject);
}

/** What a hold covers, as it is compared: the hashes that rows have in the places of names. */
export async function heldScopeOf(
  { blindIndex }: Pick<HoldTools, 'blindIndex'>,
  tenant: string,
  { scope, type }: AcceptedHold,
): Promise<HeldScope> {
  const { record, subject, query } = scope;
  if (record !== undefined) return { kind: 'record', ...record };
  if (query === undefined || type === undefined)
    return { kind: 'subject', subject: await subjectHash(blindIndex, tenant, subject ?? '') };
  const fields = Object.entries(query.field ?? {}).map(async ([name, value]) => {
    const blind = type.blindMembers.includes(name);
    return [name, blind ? await blindOf(blindIndex, type, tenant, name, value) : value] as const;
  });
  return {
    kind: 'query',
    collection: query.collection,
    ...(query.from === undefined ? {} : { fromMs: parseTime(query.from) ?? 0 }),
    ...(query.to === undefined ? {} : { toMs: parseTime(query.to) ?? 0 }),
    fields: Object.fromEntries(await Promise.all(fields)),
  };
}

/**
 * What holds ask of a record, from its row `r:` or any of its index rows, and the hashes of all whom it is about: nothing
 * else is read. `subjects` has to be complete, or holds on subjects are passed by.
 * Throws `integrity-failure` for a row that is not what was written, or of another type.
 */
export function holdFactsOf(type: RecordType, row: Row, subjects: readonly string[]): HoldFacts {
  const { properties } = row;
  const { id } = properties;
  // What a row that was altered says of itself proves nothing, least of all that it may go.
  if (!rowIntact(row) || typeof id !== 'string' || properties['record_type'] !== type.recordType)
    throw broken(String(id ?? row.rowKey), Number(properties['revision'] ?? 0), 'row');
  const column = (name: string): string => (type.blindMembers.includes(name) ? blindColumn(name) : name);
  const fields = type.filters.flatMap((name) => {
    const value = properties[column(name)];
    return typeof value === 'string' ? [[name, value] as const] : [];
  });
  return {
    collection: type.collection,
    id,
    createdMs: parseId(id)?.ms ?? 0,
    fields: Object.fromEntries(fields),
    subjects,
  };
}

const placeOf = (tenant: string, holdId: string): SealingContext => ({ tenant, type: HOLD_TYPE, id: holdId, revision: 0 }); // prettier-ignore

/**
 * The committed form of a hold, and what is sealed of it: the name of a subject under the data key of that subject, so
 * that it is erased with everything else of them; reasons under the key of nobody. What is committed to already stays.
 */
export async function sealHold(
  { secretBox, entropy }: Pick<HoldTools, 'secretBox' | 'entropy'>,
  tenant: string,
  holdId: string,
  data: Readonly<Record<string, unknown>>,
  about: Readonly<Record<string, readonly string[]>>,
): Promise<{ readonly committed: Record<string, unknown>; readonly sealed: SealedSecrets }> {
  const { committed, secrets } = commitData(data, Object.keys(about), entropy);
  return { committed, sealed: await secretBox.seal(placeOf(tenant, holdId), secrets, about) };
}

/** A hold as it is shown. Throws `integrity-failure` when what was sealed of it does not open its commitments. */
export async function openHold(
  { secretBox }: Pick<HoldTools, 'secretBox'>,
  tenant: string,
  { holdId, state, committed, sealed }: Pick<StoredHold, 'holdId' | 'state' | 'committed' | 'sealed'>,
): Promise<Hold> {
  const secrets = await secretBox.open(placeOf(tenant, holdId), sealed);
  if (!secretsMatch(committed, Object.keys(sealed), secrets)) throw brokenHold(holdId, 'sealed');
  const { schema_version, hold_id, ...rest } = discloseData(committed, secrets);
  return { schema_version, hold_id, state, ...rest } as unknown as Hold;
}

/** A hold as it was when it was placed: what the same placement is answered with again. */
export function asPlaced(hold: StoredHold): StoredHold {
  const { released_at: _at, released_by: _by, release_reason: _why, ...committed } = hold.committed;
  const { '/release_reason': _sealed, ...sealed } = hold.sealed;
  return { ...hold, state: 'active', committed, sealed };
}

/** What the audit trail is told of a hold: what it covers, and commitments in the places of what nobody may read there. */
export function toldOf(committed: Readonly<Record<string, unknown>>, reason: 'reason' | 'release_reason') {
  const { scope, reference } = committed;
  return {
    scope: scope as Json,
    reason: committed[reason] as Json,
    ...(reason === 'release_reason' || reference === undefined ? {} : { reference: reference as Json }),
  };
}
