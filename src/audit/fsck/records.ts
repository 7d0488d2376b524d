import pLimit from 'p-limit';
import type { StoredEnvelope } from '../../domain/envelope.js';
import type { RecordType } from '../../domain/record-type.js';
import type { PartitionRef } from '../../storage/directory.js';
import { prefixRange, recordKey, revisionKey } from '../../storage/keys.js';
import type { Row } from '../../storage/ports.js';
import {
  parseRecordRow,
  parseRevisionRow,
  type RecordRow,
  type RevisionFacts,
} from '../../storage/record-row.js';
import { keyAfter } from '../../storage/range.js';
import { rowIntact } from '../../storage/row-checksum.js';
import { checkBlinds, contentOf, openedData } from './content.js';
import { checkHistory, checkTombstone, isIntactTombstone } from './disposals.js';
import { eventOf } from './event-of.js';
import type { Found, Suspicions } from './findings.js';
import { checkLists } from './lists.js';
import { lookSettled } from './look-settled.js';
import { checkNamed } from './subject-index.js';
import { AT_ONCE, differing, keyOf, rowAt, type Reads } from './tools.js';

/** Records that are looked at together, and at once; of each a page of revisions is held. */
const RECORDS = 40;
const RECORDS_AT_ONCE = 4;
const REVISIONS = 50;

/** Records of a partition after a row key. Resolves to the last row, undefined at the end. */
export async function checkRecords(
  reads: Reads,
  type: RecordType,
  ref: PartitionRef,
  after: string | undefined,
  suspicions: Suspicions,
): Promise<string | undefined> {
  const page = await reads.pageAfter(ref, prefixRange('r:'), after, RECORDS);
  const limit = pLimit(RECORDS_AT_ONCE);
  await Promise.all(
    page.rows.map((row) =>
      limit(async () => {
        suspicions.add(await lookSettled(reads, ref, row, (now, found) => checkRecord(reads, type, ref, now, found))); // prettier-ignore
      }),
    ),
  );
  return reads.after(page);
}

/** A revision with what it was held against. */
interface Checked {
  readonly facts: RevisionFacts;
  readonly stored: StoredEnvelope | undefined;
  readonly leaf: number | undefined;
}

async function checkRecord(reads: Reads, type: RecordType, ref: PartitionRef, row: Row, found: Found): Promise<void> {
  const id = row.rowKey.slice(recordKey('').length);
  const where = rowAt(ref.table, keyOf(ref), row.rowKey);
  const since = { sinceMs: row.timestampMs };
  // That it is altered is said where rows are walked.
  if (isIntactTombstone(row)) return checkTombstone(reads, ref, row, found);
  const isRecord = rowIntact(row) && row.properties['void'] === undefined;
  const record = isRecord ? parsed(() => parseRecordRow(row, id)) : undefined;
  const first = record?.history?.from ?? 1;
  let last: Checked | undefined;
  let next: string | undefined = prefixRange(`v:${id}:`).from;
  while (next !== undefined) {
    const page = await reads.page(ref.table, keyOf(ref), { from: next, to: prefixRange(`v:${id}:`).to }, REVISIONS);
    const limit = pLimit(AT_ONCE);
    const checked = await Promise.all(page.rows.map((one) => limit(() => checkRevision(reads, type, ref, id, one, found))));
    for (const one of checked) {
      if (one !== undefined && one.facts.revision < first) continue;
      if (one !== undefined) checkChain(ref, id, last, one, first, found);
      last = one ?? last;
    }
    const end: string | undefined = page.rows.at(-1)?.rowKey;
    next = page.more && end !== undefined ? keyAfter(end) : undefined;
  }
  if (record === undefined) {
    if (isRecord) found('record.differs', where, 'it is the row of another record', since);
    return;
  }
  if ((last?.facts.revision ?? 0) < record.revision) {
    found('revision.missing', rowAt(ref.table, keyOf(ref), revisionKey(id, record.revision)), 'the record row is of this revision', since);
    return;
  }
  if (last === undefined) return;
  const wrong = differing(comparable(record), comparable(last.facts));
  if (wrong.length > 0) {
    found('record.differs', where, `it differs from revision ${String(last.facts.revision)} in ${wrong.join(', ')}`, since);
    return;
  }
  await checkHistory(reads, ref, row, record, found);
  await checkLists(reads, type, ref, { row, record, stored: last.stored }, found);
  if (reads.tools.open && last.stored !== undefined && type.blindMembers.length > 0) {
    const data = await openedData(reads, type, ref, last.facts, last.stored, () => undefined, where);
    if (data !== undefined) await checkBlinds(reads, type, ref, data, row, found, where);
  }
} // prettier-ignore

/** What record row and revision row have in common. */
function comparable({ location, ...facts }: RevisionFacts | RecordRow): Readonly<Record<string, unknown>> {
  const { revision, schemaVersion, checksum, previousChecksum, storedAt, eventId, action } = facts;
  return { revision, schemaVersion, checksum, previousChecksum, storedAt, eventId, action, ...location };
}

/** `first`: the first revision there is to be; what came before it was disposed of. */
function checkChain(ref: PartitionRef, id: string, before: Checked | undefined, { facts, leaf }: Checked, first: number, found: Found): void {
  const expected = before === undefined ? first : before.facts.revision + 1;
  const where = rowAt(ref.table, keyOf(ref), revisionKey(id, facts.revision));
  if (facts.revision !== expected)
    return found('revision.missing', rowAt(ref.table, keyOf(ref), revisionKey(id, expected)), `the next one that is there is ${String(facts.revision)}`);
  const follows = before !== undefined || first === 1;
  if (follows && facts.previousChecksum !== before?.facts.checksum) found('revision.chain', where, 'it names another checksum than its predecessor has');
  if (before !== undefined && facts.storedAt <= before.facts.storedAt) found('revision.chain', where, 'it is not later than its predecessor');
  if (leaf !== undefined && before?.leaf !== undefined && leaf <= before.leaf)
    found('revision.order', where, `it is leaf ${String(leaf)}, its predecessor leaf ${String(before.leaf)}`);
} // prettier-ignore

/** A revision row, its content and its event. Undefined for a row that says nothing; that is said where rows are walked. */
async function checkRevision(reads: Reads, type: RecordType, ref: PartitionRef, id: string, row: Row, found: Found): Promise<Checked | undefined> {
  const where = rowAt(ref.table, keyOf(ref), row.rowKey);
  const facts = parsed(() => parseRevisionRow(row, id));
  if (facts === undefined) return undefined;
  const since = { sinceMs: row.timestampMs };
  if (row.rowKey !== revisionKey(id, facts.revision)) found('revision.chain', where, `it says that it is revision ${String(facts.revision)}`, since);
  const [stored, event] = await Promise.all([
    contentOf(reads, type, ref, facts, found, where),
    eventOf(reads, ref, facts.eventId),
  ]);
  if (event === 'missing') found('revision.unlogged', where, `there is no event ${facts.eventId}`, since);
  if (typeof event === 'string') return { facts, stored, leaf: undefined };
  const { checksum, previousChecksum, action } = facts;
  const ofRow = { id, revision: facts.revision, type: type.recordType, checksum, previousChecksum, action };
  const { facts: said } = event.event;
  const ofEvent = { id: said.resource_id, revision: said.revision, type: said.record_type, checksum: event.event.checksum, previousChecksum: event.event.previousChecksum, action: event.event.action };
  const wrong = differing(ofRow, ofEvent);
  if (wrong.length > 0) found('revision.event', where, `it differs from ${facts.eventId} in ${wrong.join(', ')}`, since);
  if (reads.tools.open && stored !== undefined) {
    const data = await openedData(reads, type, ref, facts, stored, found, where);
    if (data !== undefined && !event.pending) await checkNamed(reads, { type, tenant: ref.tenant, id, data, rules: type.subjects }, found);
  }
  return { facts, stored, leaf: event.pending ? undefined : event.event.leaf };
} // prettier-ignore

function parsed<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}
