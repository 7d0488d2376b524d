import { checksumOf, type Json } from '../domain/canonical-json.js';
import type { RecordType } from '../domain/record-type.js';
import type { PartitionRef } from './directory.js';
import { keyValue } from './keys.js';
import { sealedChecksumOf, type PartRow, type StoredPart } from './part-rows.js';

/** Version of the shape of lines. */
const SCHEMA_VERSION = '1.0';

/** Append blob `file`, from 1, of the entries of a record; `ref` is the record's place. */
export function streamBlobName(type: RecordType, ref: PartitionRef, id: string, path: string, file: number): string {
  return `${ref.tenant}/${type.recordType}/${keyValue(ref.partition)}/${id}/${path}/${String(file).padStart(4, '0')}.jsonl`;
} // prettier-ignore

/** The number of an append blob of entries, from its name. */
export function streamFileOf(blob: string): number {
  return Number(/\/(\d+)\.jsonl$/.exec(blob)?.[1] ?? 0);
}

/** Block blob of lines of the entries of many records; `ref` is the place of their parts. */
export function streamPackName(type: RecordType, ref: PartitionRef, uuid: string): string {
  return `${ref.tenant}/${type.recordType}/_streams/${keyValue(ref.partition)}/${uuid}.jsonl`;
}

/**
 * The line of an entry: follows from its row to the byte, so that whoever writes it a second time writes the same, and
 * whoever reads it holds all of it against the row.
 */
export function lineOf(id: string, { seq, addedAt, eventId, checksum, entry, sealed }: StoredPart): Uint8Array {
  const members = { schema_version: SCHEMA_VERSION, id, seq, added_at: addedAt, event_id: eventId, checksum, entry, sealed };
  return Buffer.from(`${JSON.stringify(members)}\n`);
} // prettier-ignore

/** The entry that a line holds, as it is stored; undefined unless the line is, to the byte, that of the row and its checksum. */
export function entryOfLine(
  id: string,
  row: PartRow,
  line: Uint8Array,
): Pick<StoredPart, 'entry' | 'sealed'> | undefined {
  try {
    const { entry, sealed } = JSON.parse(Buffer.from(line).toString('utf8')) as Pick<StoredPart, 'entry' | 'sealed'>; // prettier-ignore
    if (checksumOf(entry as Json) !== row.checksum) return undefined;
    const held = sealed === undefined ? { entry } : { entry, sealed };
    if (sealedChecksumOf(held) !== row.sealedChecksum) return undefined;
    return Buffer.compare(lineOf(id, { ...row, ...held }), line) === 0 ? held : undefined;
  } catch {
    // Not JSON, or nothing that has a canonical form.
    return undefined;
  }
}
