import type { BlindIndex } from '../domain/blind-index.js';
import type { RecordData, RecordType } from '../domain/record-type.js';
import type { Properties } from './ports.js';

/** What rows have of the sensitive members that indexes of a type name: keyed hashes, by member. */
export type Blinds = Readonly<Record<string, string>>;

const PREFIX = 'blind_';

/** The column of a member's hash. It is no part of a summary. */
export const blindColumn = (member: string): string => `${PREFIX}${member}`;

/** The hash of one value of a member, the same wherever it is computed. */
export function blindOf(
  blindIndex: BlindIndex,
  type: RecordType,
  tenant: string,
  member: string,
  value: string,
): Promise<string> {
  return blindIndex.blind(tenant, `${type.table}.${member}`, value);
}

/** The hashes of a record; none of a member that it does not have, or whose value was erased. */
export async function blindsOf(
  blindIndex: BlindIndex,
  type: RecordType,
  tenant: string,
  data: RecordData,
): Promise<Blinds> {
  const found = type.blindMembers.flatMap((member) => {
    const value = data[member];
    return typeof value === 'string' ? [{ member, value }] : [];
  });
  const hashed = found.map(async ({ member, value }) => {
    return [member, await blindOf(blindIndex, type, tenant, member, value)] as const;
  });
  return Object.fromEntries(await Promise.all(hashed));
}

/** Columns of record rows and index rows. */
export function blindColumns(blinds: Blinds): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(blinds).map(([member, hash]) => [blindColumn(member), hash]));
}

/** The same columns of a row that is there, for whoever writes it anew. */
export function blindColumnsIn(type: RecordType, columns: Properties): Properties {
  const names = type.blindMembers.map(blindColumn).filter((name) => columns[name] !== undefined);
  return Object.fromEntries(names.map((name) => [name, columns[name] as string]));
}
