import pLimit from 'p-limit';
import { checksumOf, type Json } from '../domain/canonical-json.js';
import type { Entropy } from '../domain/clock.js';
import { commitmentPlaces } from '../domain/commitment-places.js';
import { commitData } from '../domain/committed-form.js';
import { commit, type SealedSecrets, type SecretBox, type Secrets } from '../domain/commitment.js';
import { disclose, openingsOf, type Disclosed, type Openings } from '../domain/disclosure.js';
import { AppError } from '../domain/errors.js';
import { LIMITS } from '../domain/limits.js';
import type { PartsDeclaration } from '../domain/parts.js';
import type { RecordData, RecordType } from '../domain/record-type.js';
import { METADATA_SUBJECTS, EVERY_VALUE, subjectsOf, subjectsOfAll } from '../domain/subjects.js';
import type { PartitionRef } from './directory.js';
import type { StoredPart } from './part-rows.js';
import { broken } from './record-row.js';

/** Where the entries of records are, and as what their sensitive values are sealed: `<record_type>.<path>`. */
export interface PartsRef extends PartitionRef {
  readonly sealedAs: string;
}

/** An entry as it is stored, and what opens its commitments; what was erased has nothing that opens it. */
export interface OpenPart extends StoredPart {
  readonly openings: Openings;
}

/** Entries that are opened at the same time. */
const AT_ONCE = 16;
const NOTHING: Openings = new Map();

export const sealedAs = (type: RecordType, { path }: PartsDeclaration): string => `${type.recordType}.${path}`; // prettier-ignore

/** An entry with the values in the places of its commitments. */
export function clearPart({ entry, openings }: Pick<OpenPart, 'entry' | 'openings'>): Disclosed<RecordData> {
  return disclose(entry, openings);
}

/**
 * An entry as the next one builds on it. Throws `record-erased` where something of it has been erased: nothing can follow
 * from what nobody knows.
 */
export function wholePart(part: Pick<OpenPart, 'entry' | 'openings'>): RecordData {
  const { data } = clearPart(part);
  if (commitmentPlaces(data).size > 0)
    throw new AppError('record-erased', 'What this would change has been erased.');
  return data;
}

/**
 * The committed form of an entry, sealed for its place: number `seq` of the record. It is about whom its own members name,
 * and whom the record names. Throws `payload-too-large` where it would not fit into a row.
 */
export async function sealPart(
  { secretBox, entropy }: { readonly secretBox: SecretBox; readonly entropy: Entropy },
  type: RecordType,
  parts: PartsDeclaration,
  { tenant, sealedAs: sealedType }: PartsRef,
  { id, data }: { readonly id: string; readonly data: RecordData },
  seq: number,
  entry: RecordData,
): Promise<Pick<OpenPart, 'entry' | 'sealed' | 'checksum' | 'openings'>> {
  const patterns = Object.keys(parts.sensitive ?? {});
  const { committed, secrets } = commitData(entry, patterns, entropy);
  const checksum = checksumOf(committed as Json);
  if (Object.keys(secrets).length === 0) return { entry, checksum, openings: NOTHING };
  const ofRecord = subjectsOfAll(data, { [EVERY_VALUE]: [...METADATA_SUBJECTS, ...(type.subjects?.[EVERY_VALUE] ?? [])] }); // prettier-ignore
  const place = { tenant, type: sealedType, id, revision: seq };
  const sealed = await secretBox.seal(place, secrets, subjectsOf(entry, patterns, parts.subjects, ofRecord));
  const chars = JSON.stringify(committed).length + JSON.stringify(sealed).length;
  if (chars > LIMITS.partStoredChars)
    throw new AppError('payload-too-large', `One of the ${parts.path} of a ${type.recordType} takes at most ${String(LIMITS.partStoredChars / 1024)} Ki characters once it is encrypted.`); // prettier-ignore
  return { entry: committed, sealed, checksum, openings: openingsOf(secrets) };
}

/** Opens entries, some at a time. Throws `integrity-failure` where one does not hold together, `storage-unavailable`. */
export async function openParts(
  secretBox: SecretBox,
  { tenant, sealedAs: type }: PartsRef,
  id: string,
  parts: readonly StoredPart[],
): Promise<readonly OpenPart[]> {
  const limit = pLimit(AT_ONCE);
  const open = async (part: StoredPart): Promise<OpenPart> => {
    const { sealed } = part;
    if (sealed === undefined && commitmentPlaces(part.entry).size === 0)
      return { ...part, openings: NOTHING };
    const secrets = await secretBox.open({ tenant, type, id, revision: part.seq }, sealed ?? {});
    if (!fits(part.entry, sealed ?? {}, secrets)) throw broken(id, part.seq, 'sealed');
    return { ...part, openings: openingsOf(secrets) };
  };
  return Promise.all(parts.map((part) => limit(() => open(part))));
}

/** Whether each commitment has what was sealed for it, and what was opened of that opens it. */
function fits(entry: RecordData, sealed: SealedSecrets, secrets: Secrets): boolean {
  const places = commitmentPlaces(entry);
  return (
    places.size === Object.keys(sealed).length &&
    Object.keys(sealed).every((pointer) => places.has(pointer)) &&
    Object.entries(secrets).every(([pointer, secret]) => places.get(pointer) === commit(secret).$commitment)
  );
}
