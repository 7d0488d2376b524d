import { discloseData, secretsMatch } from '../../domain/committed-form.js';
import { verifyStored, type StoredEnvelope } from '../../domain/envelope.js';
import { isAppError } from '../../domain/errors.js';
import type { RecordData, RecordType } from '../../domain/record-type.js';
import { findNamedBytes } from '../../storage/blob-range.js';
import { blindColumn, blindsOf } from '../../storage/blinds.js';
import type { PartitionRef } from '../../storage/directory.js';
import { isFault, type Row } from '../../storage/ports.js';
import { envelopeHead, type RevisionFacts } from '../../storage/record-row.js';
import type { Found } from './findings.js';
import type { Reads } from './tools.js';

/** The stored content of a revision, held against its row; undefined, and said, where it does not hold. */
export async function contentOf(
  reads: Reads,
  type: RecordType,
  ref: PartitionRef,
  facts: RevisionFacts,
  found: Found,
  where: string,
): Promise<StoredEnvelope | undefined> {
  const { blob, offset, length } = facts.location;
  let bytes: Uint8Array | undefined;
  try {
    bytes = await findNamedBytes(reads.tools.ports.blobs, blob, { offset, length }, reads.budget());
  } catch (error) {
    // Nobody reads what is archived: its rows are held against that of its pack.
    if (isFault(error, 'archived')) {
      found('pack.archived', `records/${blob}`, 'it is in the archive tier, and was not read');
      if (facts.tier === 'hot') found('pack.tier', where, 'it says that it is in the hot tier');
      await checkPacked(reads, ref, facts, found, where);
      return undefined;
    }
    // A location that no blob can have is no location.
    if (!isFault(error, 'refused')) throw error;
  }
  if (bytes === undefined) {
    found('revision.content', where, `records/${blob} is not there, or ends before`);
    return undefined;
  }
  if (facts.tier !== 'hot') await checkPacked(reads, ref, facts, found, where);
  const stored = verifyStored(bytes, envelopeHead(type, ref.tenant, facts));
  if (!('broken' in stored)) return stored;
  found('revision.content', where, `records/${blob} does not hold: ${stored.broken}`);
  return undefined;
}

/** Whether the row of the pack that a revision is said to be in has it there. */
async function checkPacked(
  reads: Reads,
  ref: PartitionRef,
  { id, revision, location }: RevisionFacts,
  found: Found,
  where: string,
): Promise<void> {
  const { blob, offset, length } = location;
  const pack = await reads.pack(ref, blob);
  const isMember = pack?.members.some((member) => member.id === id && member.revision === revision) === true;
  if (pack?.blob !== blob || !isMember || offset + length > pack.bytes)
    found('pack.members', where, `the row of records/${blob} does not have it`);
}

/** The data of a revision with its sensitive values in their places; what was erased stays a commitment. */
export async function openedData(
  reads: Reads,
  type: RecordType,
  ref: PartitionRef,
  { id, revision }: RevisionFacts,
  stored: StoredEnvelope,
  found: Found,
  where: string,
): Promise<RecordData | undefined> {
  const sealed = stored.sealed ?? {};
  try {
    const place = { tenant: ref.tenant, type: type.recordType, id, revision };
    const secrets = await reads.tools.secretBox.open(place, sealed);
    if (secretsMatch(stored.data, Object.keys(sealed), secrets)) return discloseData(stored.data, secrets);
    found('sealed.unopened', where, 'a value does not open its commitment');
  } catch (error) {
    if (!isAppError(error, 'integrity-failure')) throw error;
    found('sealed.unopened', where, String(error.evidence['what'] ?? 'a value does not open'));
  }
  return undefined;
}

/** Whether the hashes that a record's row has of sensitive members are those of the opened values. */
export async function checkBlinds(
  reads: Reads,
  type: RecordType,
  { tenant }: PartitionRef,
  data: RecordData,
  row: Row,
  found: Found,
  where: string,
): Promise<void> {
  const blinds = await blindsOf(reads.tools.blindIndex, type, tenant, data);
  for (const [member, hash] of Object.entries(blinds))
    if (row.properties[blindColumn(member)] !== hash)
      found('index.keys', where, `the hash of ${member} is that of another value`);
}
