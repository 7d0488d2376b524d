import { LIMITS } from '../domain/limits.js';
import type { PartsDeclaration } from '../domain/parts.js';
import type { RecordType } from '../domain/record-type.js';
import { coolIsDue } from '../domain/tiering.js';
import type { PartitionRef } from '../storage/directory.js';
import { packKey, partitionKey } from '../storage/keys.js';
import { keyAfter } from '../storage/range.js';
import { digestKey } from '../storage/series-rows.js';
import type { StreamCandidate } from '../storage/stream-archiver.js';
import { nextFileOf } from '../storage/stream-row.js';
import { streamAgedSinceMs, type Streamed } from '../storage/stream-tiers.js';
import { freeStreams, type FreeStreamsTools } from './free-streams.js';
import { addCounts, type Counts, type Step, type StepContext } from './job.js';
import { readCursor } from './job-cursor.js';
import { keepStreamPack, type Free, type StreamUpkeepTools } from './stream-upkeep.js';

export interface ArchiveStreamsTools extends FreeStreamsTools, StreamUpkeepTools {}

interface PackCursor {
  /** The pack that was looked at last. */
  readonly after: string;
}

interface Cursor {
  /** Packs first: what is packed in a round is no pack of it. */
  readonly phase: 'streams';
  /** The row that is looked at next. */
  readonly from: string;
  /** Ids of records that wait for enough others to make a pack with, divided by spaces. */
  readonly waiting: string;
}

/** A record whose next file is due. */
interface Due extends StreamCandidate {
  readonly bytes: number;
  /** Whether another file of it follows. */
  readonly more: boolean;
}

const PACKS = 20;
const RECORDS = 500;
const PREFIX = digestKey('').length;

/**
 * Moves append blobs of entries that nothing was added to for long enough into packs of the cool tier, and those into the
 * archive. A step is one page of rows with one pack at most, or some packs.
 */
export class ArchiveStreams {
  constructor(private readonly tools: ArchiveStreamsTools) {}

  /** A piece of work in a partition of parts; see `PartitionJob`. */
  async stepIn(type: RecordType, ref: PartitionRef, cursor: string, context: StepContext): Promise<Step> {
    const { parts } = type;
    if (parts === undefined) return { counts: {}, next: undefined };
    const from = readCursor<Cursor & PackCursor>(cursor);
    if (from.phase === undefined) return this.#packs(type, parts, ref, from.after, context);
    return this.#streams(type, parts, ref, from, context);
  }

  /** What packs need that there are already. */
  async #packs(
    type: RecordType,
    parts: PartsDeclaration,
    ref: PartitionRef,
    after: string | undefined,
    context: StepContext,
  ): Promise<Step> {
    const range = { from: after === undefined ? packKey('') : keyAfter(after), to: 'a;', limit: PACKS };
    const page = await this.#range(ref, range);
    let counts: Counts = {};
    let last: string | undefined;
    for (const row of page.rows) {
      if (context.asked?.dryRun !== true)
        counts = addCounts(counts, await keepStreamPack(this.tools, type, parts, ref, row, context.nowMs, this.#free(type, ref))); // prettier-ignore
      last = row.rowKey;
      if (context.timeIsUp()) break;
    }
    const done = !page.more && last === page.rows.at(-1)?.rowKey;
    const next: Partial<Cursor & PackCursor> = done ? { phase: 'streams' } : { after: last ?? after ?? '' };
    return { counts, next: JSON.stringify(next) };
  }

  async #streams(
    type: RecordType,
    parts: PartsDeclaration,
    ref: PartitionRef,
    { from = digestKey(''), waiting = '' }: Partial<Cursor>,
    context: StepContext,
  ): Promise<Step> {
    const page = await this.#range(ref, { from, to: 'w;', limit: RECORDS });
    const waited = waiting.split(' ').filter((id) => id !== '');
    const ids = page.rows.map(({ rowKey }) => rowKey.slice(PREFIX));
    const { streamed, damaged } = await this.tools.tiers.read(parts, ref, [...waited, ...ids], page.rows);
    const { due, last } = gathered(type, streamed, context.nowMs);
    const free = await freeStreams(this.tools, type, ref.tenant, due.map(({ id }) => id), { fresh: false }); // prettier-ignore
    const mayMove = due.filter(({ id }) => free.has(id));
    const held = due.length - mayMove.length;
    const lookedAt = last === undefined ? ids.length : ids.indexOf(last) + 1;
    const counts = { lookedAt, ...(held === 0 ? {} : { held }), ...(damaged === 0 ? {} : { damaged }) }; // prettier-ignore
    const isEnd = last === undefined && !page.more;
    // What waited lies before where this step began.
    const behind = last === undefined ? page.rows.at(-1)?.rowKey : waited.includes(last) ? undefined : digestKey(last); // prettier-ignore
    const onward = behind === undefined ? from : keyAfter(behind);
    const nextFrom = (more: Partial<Cursor>): string | undefined =>
      isEnd && more.from === undefined ? undefined : JSON.stringify({ phase: 'streams', from: onward, ...more }); // prettier-ignore
    if (mayMove.length === 0) return { counts, next: nextFrom({}) };
    if (mayMove.reduce((sum, { bytes }) => sum + bytes, 0) < LIMITS.packMinBytes) {
      if (isEnd) return { counts: addCounts(counts, { waitingStreams: mayMove.length }), next: undefined };
      return { counts, next: nextFrom({ waiting: mayMove.map(({ id }) => id).join(' ') }) };
    }
    if (context.asked?.dryRun === true)
      return { counts: addCounts(counts, { wouldMoveStreams: mayMove.length }), next: nextFrom({}) };
    const packed = await this.#pack(type, parts, ref, mayMove);
    // A record whose next file has moved is looked at again for the one after it.
    const again = mayMove.find(({ id, more }) => more && packed.moved.has(id));
    const next = again === undefined ? {} : { from: digestKey(again.id) };
    return { counts: addCounts(counts, packed.counts), next: nextFrom(next) };
  }

  async #pack(
    type: RecordType,
    parts: PartsDeclaration,
    ref: PartitionRef,
    due: readonly Due[],
  ): Promise<{ readonly moved: ReadonlySet<string>; readonly counts: Counts }> {
    let held = 0;
    const { moved, damaged, overtaken } = await this.tools.archiver.pack(
      type,
      parts,
      ref,
      due,
      async (ids) => {
        const free = await this.#free(type, ref)(ids);
        held = ids.length - free.size;
        return free;
      },
    );
    const counts = { movedStreams: moved.size, packs: moved.size > 0 ? 1 : 0, held, damaged, overtaken };
    return { moved, counts };
  }

  #free(type: RecordType, { tenant }: PartitionRef): Free {
    return (ids) => freeStreams(this.tools, type, tenant, ids, { fresh: true });
  }

  #range({ tenant, table, partition }: PartitionRef, query: { from: string; to: string; limit: number }) {
    const key = partitionKey(tenant, partition);
    return this.tools.budget().retry(() => this.tools.ports.tables.range(table, key, query));
  }
}

/** The records whose next file is due, in their order, until they make a pack; `last` is the one it was full with. */
function gathered(
  type: RecordType,
  streamed: readonly Streamed[],
  nowMs: number,
): { readonly due: readonly Due[]; readonly last: string | undefined } {
  const due: Due[] = [];
  let bytes = 0;
  for (const one of streamed) {
    const found = dueOf(type, one, nowMs);
    if (found === undefined) continue;
    due.push(found);
    bytes += found.bytes;
    if (bytes >= LIMITS.packBytes || due.length >= LIMITS.packMembers) return { due, last: one.id };
  }
  return { due, last: undefined };
}

/** The next file of a record whose entries have all moved and of which none was added for long enough. */
function dueOf(type: RecordType, one: Streamed, nowMs: number): Due | undefined {
  const { id, row, head } = one;
  const sinceMs = streamAgedSinceMs(one);
  if (row.upTo < head.seq || !coolIsDue(type, sinceMs, nowMs)) return undefined;
  const { file } = nextFileOf(row);
  // How long a full file is its row does not say any more; it is a pack of its own.
  if (file < row.file) return { id, row, sinceMs, bytes: LIMITS.packBytes, more: true };
  return row.offset === 0 ? undefined : { id, row, sinceMs, bytes: row.offset, more: false };
}
