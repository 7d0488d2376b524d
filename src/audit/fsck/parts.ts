import pLimit from 'p-limit';
import { isAppError } from '../../domain/errors.js';
import type { PartsDeclaration } from '../../domain/parts.js';
import type { RecordType } from '../../domain/record-type.js';
import { findNamedBytes } from '../../storage/blob-range.js';
import type { PartitionRef } from '../../storage/directory.js';
import { prefixRange, recordKey } from '../../storage/keys.js';
import { entryOfLine } from '../../storage/part-lines.js';
import {
  isDisposedHead,
  parsePartRow,
  partKey,
  partNameKey,
  partsHeadKey,
  type PartRow,
  type StoredPart,
} from '../../storage/part-rows.js';
import { clearPart, openParts, sealedAs } from '../../storage/part-sealing.js';
import { isFault, type Row } from '../../storage/ports.js';
import { keyAfter } from '../../storage/range.js';
import { rowIntact } from '../../storage/row-checksum.js';
import { checkDisposedEntries, disposedState } from './disposals.js';
import { eventOf } from './event-of.js';
import type { Found, Suspicions } from './findings.js';
import { lookSettled } from './look-settled.js';
import { movedLine } from './moved-line.js';
import { checkNamed } from './subject-index.js';
import { AT_ONCE, differing, keyOf, rowAt, type Reads } from './tools.js';

/** Records whose entries are looked at in one piece, and entries of which are held. */
const HEADS = 20;
const ENTRIES = 50;

interface Place {
  readonly type: RecordType;
  readonly parts: PartsDeclaration;
  readonly ref: PartitionRef;
}

/** Entries of records of a partition of parts after a row key. Resolves to the last row of a head, undefined at the end. */
export async function checkParts(reads: Reads, place: Place, after: string | undefined, suspicions: Suspicions): Promise<string | undefined> {
  const { ref } = place;
  const page = await reads.pageAfter(ref, prefixRange('h:'), after, HEADS);
  for (const head of page.rows) suspicions.add(await lookSettled(reads, ref, head, (row, found) => checkEntries(reads, place, row, found)));
  return page.more ? page.rows.at(-1)?.rowKey : undefined;
} // prettier-ignore

async function checkEntries(reads: Reads, place: Place, head: Row, found: Found): Promise<void> {
  const { ref } = place;
  const id = head.rowKey.slice(partsHeadKey('').length);
  const since = { sinceMs: head.timestampMs };
  const counted = Number(head.properties['seq']);
  const disposed = await disposedState(reads, place.type, ref.tenant, id);
  if (disposed !== undefined) return checkDisposedEntries(reads, ref, id, disposed, found);
  if (isDisposedHead(head)) {
    found('part.missing', rowAt(ref.table, keyOf(ref), head.rowKey), `it says that ${id} was disposed of`, since);
    return;
  }
  await checkRecordOf(reads, place, id, head, found);
  let seen = 0;
  let next: string | undefined = partKey(id, 1);
  while (next !== undefined) {
    const page = await reads.page(ref.table, keyOf(ref), { from: next, to: prefixRange(`p:${id}:`).to }, ENTRIES);
    const limit = pLimit(AT_ONCE);
    await Promise.all(page.rows.map((row) => limit(() => checkEntry(reads, place, id, row, found))));
    for (const row of page.rows) {
      seen += 1;
      if (row.rowKey === partKey(id, seen)) continue;
      found('part.missing', rowAt(ref.table, keyOf(ref), partKey(id, seen)), `the next one that is there is ${row.rowKey}`, since);
      seen = Number(row.rowKey.slice(row.rowKey.lastIndexOf(':') + 1));
    }
    const end: string | undefined = page.rows.at(-1)?.rowKey;
    next = page.more && end !== undefined ? keyAfter(end) : undefined;
  }
  // A count that is altered is said where rows are walked.
  if (rowIntact(head) && counted !== seen)
    found('part.missing', rowAt(ref.table, keyOf(ref), head.rowKey), `it counts ${String(counted)} entries, there are ${String(seen)}`, since);
  await checkNames(reads, place, id, found);
} // prettier-ignore

/** The record that entries belong to is there. */
async function checkRecordOf(
  reads: Reads,
  { type, ref }: Place,
  id: string,
  head: Row,
  found: Found,
): Promise<void> {
  const where = rowAt(ref.table, keyOf(ref), head.rowKey);
  const since = { sinceMs: head.timestampMs };
  try {
    const at = await reads.locator.locate(type, ref.tenant, id, reads.budget());
    const row = await reads.row(at.table, keyOf(at), recordKey(id));
    if (row === undefined || row.properties['void'] === true) found('part.record', where, `there is no ${id}`, since); // prettier-ignore
  } catch (error) {
    if (!isAppError(error, 'record-not-found', 'integrity-failure')) throw error;
    found('part.record', where, `nothing says where ${id} is`, since);
  }
}

async function checkEntry(reads: Reads, place: Place, id: string, row: Row, found: Found): Promise<void> {
  const { ref, parts } = place;
  const where = rowAt(ref.table, keyOf(ref), row.rowKey);
  const since = { sinceMs: row.timestampMs };
  // That it is altered is said where rows are walked.
  if (!rowIntact(row)) return;
  let entry: PartRow;
  try {
    entry = parsePartRow(row, id);
  } catch {
    found('part.content', where, 'it is not what its checksum says', since);
    return;
  }
  const held = await heldBy(reads, ref, id, entry, found, where);
  const event = await eventOf(reads, ref, entry.eventId);
  if (event === 'missing') found('part.unlogged', where, `there is no event ${entry.eventId}`, since);
  if (typeof event !== 'string') {
    const { facts, details } = event.event;
    const own = { id, part: parts.path, seq: entry.seq, checksum: entry.checksum };
    const said = { id: facts.resource_id, part: details['part'], seq: details['seq'], checksum: details['checksum'] };
    const wrong = differing(own, said);
    if (wrong.length > 0) found('part.event', where, `it differs from ${entry.eventId} in ${wrong.join(', ')}`, since);
    await checkReplaced(reads, ref, id, entry, details['previous_checksum'], found, where);
  }
  if (held === undefined) return;
  await checkStanding(reads, place, id, entry, held, found);
  if (reads.tools.open) await openEntry(reads, place, id, entry, held, typeof event !== 'string' && !event.pending, found, where);
} // prettier-ignore

type Held = Pick<StoredPart, 'entry' | 'sealed'>;

/** The entry in its row, or in the line that the row names, wherever that has gone. */
async function heldBy(reads: Reads, ref: PartitionRef, id: string, row: PartRow, found: Found, where: string): Promise<Held | undefined> {
  if ('entry' in row.held) return row.held;
  const { blob, offset, length } = row.held.line;
  let bytes: Uint8Array | undefined;
  try {
    bytes = await findNamedBytes(reads.tools.ports.blobs, blob, { offset, length }, reads.budget());
  } catch (error) {
    if (!isFault(error, 'refused')) throw error;
  }
  const there = bytes && entryOfLine(id, row, bytes);
  if (there !== undefined) return there;
  const moved = await movedLine(reads, ref, id, row.held.line, found, where);
  // Nobody reads what is archived: its rows were held against that of its pack.
  if (moved === 'archived') return undefined;
  const held = moved && entryOfLine(id, row, moved);
  if (held === undefined) found('part.content', where, `its line in records/${blob} is not there, or another`);
  return held;
} // prettier-ignore

/** An entry that stands for another names one before it, whose checksum its event has; one that came with the record has no row. */
async function checkReplaced(reads: Reads, ref: PartitionRef, id: string, { seq, replaces }: PartRow, previous: unknown, found: Found, where: string): Promise<void> {
  if (replaces === undefined || replaces === 0) return;
  const before = await reads.row(ref.table, keyOf(ref), partKey(id, replaces));
  if (replaces >= seq || before?.properties['checksum'] !== previous)
    found('part.event', where, `entry ${String(replaces)} is not the one that its event says it stands for`);
} // prettier-ignore

/** The row of its name leads to an entry, or to a later one. */
async function checkStanding(reads: Reads, { ref, parts }: Place, id: string, { seq }: PartRow, { entry }: Held, found: Found): Promise<void> {
  if (parts.nameMember === undefined) return;
  const rowKey = partNameKey(id, String(entry[parts.nameMember]));
  const row = await reads.row(ref.table, keyOf(ref), rowKey);
  const stands = Number(row?.properties['seq']);
  if (!(stands >= seq)) found('part.name', rowAt(ref.table, keyOf(ref), rowKey), `it should lead to entry ${String(seq)} or a later one`);
} // prettier-ignore

/** Every row of a name leads to an entry of that name. */
async function checkNames(reads: Reads, place: Place, id: string, found: Found): Promise<void> {
  const { ref, parts } = place;
  if (parts.nameMember === undefined) return;
  const { from, to } = prefixRange(`n:${id}:`);
  let next: string | undefined = from;
  while (next !== undefined) {
    const page = await reads.page(ref.table, keyOf(ref), { from: next, to }, ENTRIES);
    const limit = pLimit(AT_ONCE);
    await Promise.all(page.rows.map((row) => limit(() => checkName(reads, place, id, row, found))));
    const end: string | undefined = page.rows.at(-1)?.rowKey;
    next = page.more && end !== undefined ? keyAfter(end) : undefined;
  }
}

async function checkName(
  reads: Reads,
  { ref, parts }: Place,
  id: string,
  row: Row,
  found: Found,
): Promise<void> {
  const where = rowAt(ref.table, keyOf(ref), row.rowKey);
  if (!rowIntact(row)) return;
  const seq = Number(row.properties['seq']);
  const stored = await reads.row(ref.table, keyOf(ref), partKey(id, seq));
  if (stored === undefined) {
    found('part.name', where, `there is no entry ${String(seq)}`, { sinceMs: row.timestampMs });
    return;
  }
  if (!rowIntact(stored)) return;
  try {
    const held = await heldBy(reads, ref, id, parsePartRow(stored, id), () => undefined, where);
    const name = held?.entry[parts.nameMember ?? ''];
    if (held !== undefined && partNameKey(id, String(name)) !== row.rowKey)
      found('part.name', where, `entry ${String(seq)} has another name`, { sinceMs: row.timestampMs });
  } catch {
    // What an entry is not is said of the entry.
  }
}

/** `indexed`: whether its event is in the log, so that the index of subjects has whom it names. */
async function openEntry(reads: Reads, { type, parts, ref }: Place, id: string, row: PartRow, held: Held, indexed: boolean, found: Found, where: string): Promise<void> {
  const { held: _, etag: __, size: ___, sealedChecksum: ____, ...rest } = row;
  try {
    const opened = await openParts(reads.tools.secretBox, { ...ref, sealedAs: sealedAs(type, parts) }, id, [{ ...rest, ...held }]);
    for (const part of indexed ? opened : []) await checkNamed(reads, { type, tenant: ref.tenant, id, data: clearPart(part).data, rules: parts.subjects }, found);
  } catch (error) {
    if (!isAppError(error, 'integrity-failure')) throw error;
    found('sealed.unopened', where, 'a value does not open, or does not fit its commitment');
  }
} // prettier-ignore
