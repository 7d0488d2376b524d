import { LIMITS } from '../domain/limits.js';
import type { RecordType } from '../domain/record-type.js';
import { coolBoundMs, isTiered } from '../domain/tiering.js';
import type { PartitionRef } from '../storage/directory.js';
import { packKey, partitionKey, recordKey } from '../storage/keys.js';
import type { Row } from '../storage/ports.js';
import { keyAfter } from '../storage/range.js';
import type { Candidate, RecordArchiver } from '../storage/record-archiver.js';
import { rowsByKeys } from '../storage/rows-by-keys.js';
import type { ArchiveStreams } from './archive-streams.js';
import { DueRevisions } from './due-revisions.js';
import { freeOfHolds, type FreeTools } from './free-of-holds.js';
import { addCounts, DAILY_MS, type Counts, type Step, type StepContext } from './job.js';
import { readCursor } from './job-cursor.js';
import { keepPack, type UpkeepTools } from './pack-upkeep.js';
import type { PartitionJob } from './partition-job.js';

export interface ArchiveTools extends UpkeepTools, FreeTools {
  readonly archiver: Pick<RecordArchiver, 'pack' | 'remove'>;
  /** Does the same for entries, in the partitions they lie in. */
  readonly streams: Pick<ArchiveStreams, 'stepIn'>;
  readonly types: readonly RecordType[];
}

interface Cursor {
  /** Packs first: what is packed in a round is no pack of it. */
  readonly phase: 'records';
  /** The row that was looked at last. */
  readonly after: string;
  /** Of the record behind it, the revision that was packed last. */
  readonly revision: number;
  /** Ids of records that wait for enough others to make a pack with, divided by spaces. */
  readonly waiting: string;
}

/** What is gathered for a pack. */
interface Gathered {
  readonly candidates: readonly Candidate[];
  readonly bytes: number;
  readonly counts: Counts;
  /** The record that was come to, and the revision where it has more; undefined at the end of the page. */
  readonly at?: { readonly before: string | undefined; readonly revision: number };
}

const PACKS = 20;
const RECORDS = 500;

/**
 * Moves what is old enough from hot to cool, in packs, and packs from cool to archive (REQ-STO-004, REQ-STO-008). A step is
 * one page of rows, or one pack.
 */
export class ArchiveRecords implements PartitionJob {
  readonly name = 'archive';
  readonly everyMs = DAILY_MS;
  readonly takes = ['dry_run'] as const;

  constructor(private readonly tools: ArchiveTools) {}

  readonly typeOf = (table: string): RecordType | undefined =>
    this.tools.types.find((type) => isTiered(type) && (type.table === table || hasStreamsIn(type, table)));

  async stepIn(type: RecordType, ref: PartitionRef, cursor: string, context: StepContext): Promise<Step> {
    if (ref.table !== type.table) return this.tools.streams.stepIn(type, ref, cursor, context);
    const from = readCursor<Cursor>(cursor);
    if (from.phase === undefined) return this.#packs(type, ref, from.after, context);
    return this.#records(type, ref, from, context);
  }

  /** What packs need that there are already. */
  async #packs(
    type: RecordType,
    ref: PartitionRef,
    after: string | undefined,
    context: StepContext,
  ): Promise<Step> {
    const range = { from: after === undefined ? packKey('') : keyAfter(after), to: 'a;', limit: PACKS };
    const page = await this.#range(ref, range);
    let counts: Counts = {};
    let last: string | undefined;
    const free = this.#free(type, ref, { fresh: true });
    for (const row of page.rows) {
      if (context.asked?.dryRun !== true)
        counts = addCounts(counts, await keepPack(this.tools, type, ref, row, context.nowMs, free));
      last = row.rowKey;
      if (context.timeIsUp()) break;
    }
    const done = !page.more && last === page.rows.at(-1)?.rowKey;
    const next: Partial<Cursor> = done ? { phase: 'records' } : { after: last ?? after ?? '' };
    return { counts, next: JSON.stringify(next) };
  }

  async #records(
    type: RecordType,
    ref: PartitionRef,
    { after, revision = 0, waiting = '' }: Partial<Cursor>,
    context: StepContext,
  ): Promise<Step> {
    const start = recordKey(`${type.idPrefix}_`);
    const from = after === undefined ? start : keyAfter(after);
    const to = recordKey(`${type.idPrefix}_${uuidOf(coolBoundMs(type, context.nowMs) + 1)}`);
    const page = from < to ? await this.#range(ref, { from, to, limit: RECORDS }) : { rows: [], more: false };
    const waited = await this.#waited(ref, waiting);
    const found = await this.#gather(type, ref, [...waited, ...page.rows], revision, context);
    const { counts, candidates, bytes, at } = found;
    const last = page.rows.at(-1)?.rowKey ?? after;
    // What waited lies before where this step began.
    const behind = at === undefined ? last : latest(at.before, after);
    const isEnd = at === undefined && !page.more;
    const nextFrom = (more: Partial<Cursor>): string | undefined =>
      isEnd ? undefined : JSON.stringify({ phase: 'records', after: behind, ...more });
    if (candidates.length === 0) return { counts, next: nextFrom({}) };
    if (bytes < LIMITS.packMinBytes && !isEnd) {
      const ids = candidates.map(({ record }) => String(record.properties['id']));
      return { counts, next: nextFrom({ waiting: ids.join(' ') }) };
    }
    const next = nextFrom(at === undefined ? {} : { revision: at.revision });
    const due = candidates.reduce((sum, one) => sum + one.revisions.length, 0);
    if (bytes < LIMITS.packMinBytes) return { counts: addCounts(counts, { waiting: due }), next };
    if (context.asked?.dryRun === true) return { counts: addCounts(counts, { wouldMove: due }), next };
    return { counts: addCounts(counts, await this.#pack(type, ref, candidates)), next };
  }

  async #pack(type: RecordType, ref: PartitionRef, candidates: readonly Candidate[]): Promise<Counts> {
    let held = 0;
    const packed = await this.tools.archiver.pack(type, ref, candidates, async (all) => {
      const free = await this.#free(type, ref, { fresh: true })(all);
      held = all.length - free.length;
      return free;
    });
    return { ...packed, held, packs: packed.moved > 0 ? 1 : 0 };
  }

  /** The due revisions of records, in their order, until they make a pack. */
  async #gather(
    type: RecordType,
    ref: PartitionRef,
    rows: readonly Row[],
    packedUpTo: number,
    context: StepContext,
  ): Promise<Gathered> {
    const due = new DueRevisions(this.tools.ports.tables, type, ref, context.nowMs, this.tools.budget);
    const candidates: Candidate[] = [];
    let [bytes, members, held] = [0, 0, 0];
    let before: string | undefined;
    const counted = (): Counts => ({ lookedAt: rows.length, ...(held === 0 ? {} : { held }) });
    for (const [index, row] of rows.entries()) {
      const full = bytes >= LIMITS.packBytes || members >= LIMITS.packMembers;
      if (full) return { candidates, bytes, counts: counted(), at: { before, revision: 0 } };
      if (due.mayHaveSome(row)) {
        const room = { bytes: LIMITS.packBytes - bytes, members: LIMITS.packMembers - members };
        const { cut, ...candidate } = await due.of(row, index === 0 ? packedUpTo + 1 : 1, room);
        const some = candidate.revisions.length > 0;
        if (some && (await this.#free(type, ref, { fresh: false })([candidate])).length === 0) held += 1;
        else if (some) {
          candidates.push(candidate);
          bytes += candidate.revisions.reduce((sum, one) => sum + Number(one.properties['length']), 0);
          members += candidate.revisions.length;
          const revision = Number(candidate.revisions.at(-1)?.properties['revision']);
          if (cut) return { candidates, bytes, counts: counted(), at: { before, revision } };
        }
      }
      before = row.rowKey;
    }
    return { candidates, bytes, counts: counted() };
  }

  #free(type: RecordType, ref: PartitionRef, how: { readonly fresh: boolean }) {
    return (all: readonly Candidate[]): Promise<readonly Candidate[]> =>
      freeOfHolds(this.tools, type, ref, all, how);
  }

  /** The rows of records that wait. */
  async #waited(ref: PartitionRef, waiting: string): Promise<readonly Row[]> {
    const keys = waiting.split(' ').filter((id) => id !== '').map(recordKey); // prettier-ignore
    const found = await rowsByKeys((query) => this.#range(ref, query), keys, LIMITS.rangeRows);
    return keys.flatMap((key) => found.get(key) ?? []);
  }

  #range({ tenant, table, partition }: PartitionRef, query: { from: string; to: string; limit: number }) {
    const key = partitionKey(tenant, partition);
    return this.tools.budget().retry(() => this.tools.ports.tables.range(table, key, query));
  }
}

function hasStreamsIn({ parts }: RecordType, table: string): boolean {
  return parts?.stream === true && parts.table === table;
}

function latest(a: string | undefined, b: string | undefined): string | undefined {
  return a === undefined || (b !== undefined && b > a) ? b : a;
}

/** The beginning of a UUIDv7 of a time: ids of that time and later come behind it. */
function uuidOf(ms: number): string {
  const hex = Math.max(0, Math.floor(ms)).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}`;
}
