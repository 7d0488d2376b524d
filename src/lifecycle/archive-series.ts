import { yearOf } from '../domain/clock.js';
import type { PartsDeclaration, SeriesDeclaration } from '../domain/parts.js';
import type { RecordType } from '../domain/record-type.js';
import { lastArchivedYear, lastCoolYear } from '../domain/tiering.js';
import type { Digested } from '../storage/digest-row.js';
import type { PartitionRef } from '../storage/directory.js';
import { partitionKey, prefixRange } from '../storage/keys.js';
import type { CallContext, IntegrityFinding } from '../storage/manager-types.js';
import { partsPartition } from '../storage/part-rows.js';
import type { RecordTable, Row } from '../storage/ports.js';
import type { Budget } from '../storage/backoff.js';
import { keyAfter } from '../storage/range.js';
import { timeOfId } from '../storage/record-location.js';
import { integrityEvidence } from '../storage/record-row.js';
import { rowIntact } from '../storage/row-checksum.js';
import type { SeriesArchiver } from '../storage/series-archiver.js';
import type { SeriesPlace } from '../storage/series-progress.js';
import { freeOfHolds, type FreeTools } from './free-of-holds.js';
import { addCounts, DAILY_MS, type Counts, type Step, type StepContext } from './job.js';
import { readCursor } from './job-cursor.js';
import type { PartitionJob } from './partition-job.js';

export interface ArchiveSeriesTools extends FreeTools {
  readonly tables: RecordTable;
  readonly types: readonly RecordType[];
  readonly archiver: Pick<SeriesArchiver, 'come' | 'hasValues' | 'putOff' | 'file' | 'freeze'>;
  /** Puts a finding into the audit trail. Must not throw. */
  readonly report: (finding: IntegrityFinding, call: CallContext) => Promise<void>;
  readonly budget: () => Budget;
}

interface Cursor {
  /** The row that was done last. */
  readonly after: string;
  /** Of the record behind it, the year up to which everything was tried in this round. */
  readonly year: number;
}

/** A series that the job has come to. */
interface One {
  readonly place: SeriesPlace;
  readonly row: Row;
  readonly context: StepContext;
}

const PAGE = 200;
const ACTOR = 'job:archive-series';

/**
 * Puts the values of series, a calendar year (UTC) at a time, into files of a cheaper tier (lifecycle.md, metrics): into the
 * cool tier when all of a year is due for it, and into the archive when all of it is due for that. One point read for each
 * series every day; the rest only where there is a year to be moved. A step is one year, or a page of series without.
 */
export class ArchiveSeries implements PartitionJob {
  readonly name = 'archive-series';
  readonly everyMs = DAILY_MS;
  readonly takes = ['dry_run'] as const;

  constructor(private readonly tools: ArchiveSeriesTools) {}

  readonly typeOf = (table: string): RecordType | undefined =>
    this.tools.types.find((type) => type.table === table && type.parts?.series !== undefined && type.tiers.coolAfterDays !== undefined); // prettier-ignore

  async stepIn(type: RecordType, ref: PartitionRef, cursor: string, context: StepContext): Promise<Step> {
    const from = readCursor<Cursor>(cursor);
    const range = prefixRange('r:');
    const query = { from: from.after === undefined ? range.from : keyAfter(from.after), to: range.to, limit: PAGE };
    const key = partitionKey(ref.tenant, ref.partition);
    const page = await this.tools.budget().retry(() => this.tools.tables.range(ref.table, key, query));
    let counts: Counts = {};
    let { after } = from;
    let tried = from.year;
    for (const row of page.rows) {
      const place = placeOf(type, ref, row);
      if (place !== undefined) {
        const done = await this.#series({ place, row, context }, tried);
        counts = addCounts(counts, done.counts);
        // What is left of it, or the step has done its share.
        if (done.next !== undefined) return { counts, next: JSON.stringify({ after, year: done.next }) };
      }
      [after, tried] = [row.rowKey, undefined];
      if (context.timeIsUp()) return { counts, next: JSON.stringify({ after }) };
    }
    return { counts, next: page.more ? JSON.stringify({ after }) : undefined };
  } // prettier-ignore

  /** One year of a series that is due, after `tried`; `next` is how far it has come, undefined when nothing is left. */
  async #series(one: One, tried = -Infinity): Promise<{ readonly counts: Counts; readonly next?: number }> {
    const { place, context } = one;
    const looked: Counts = tried === -Infinity ? { lookedAt: 1 } : {};
    let come: Digested;
    try {
      come = await this.tools.archiver.come(place);
    } catch (error) {
      return { counts: addCounts(looked, await this.#damaged(place, error)) };
    }
    const years = yearsDue(place.type, come, context.nowMs).filter((year) => year > tried);
    if (context.asked?.dryRun === true) return { counts: addCounts(looked, await this.#wouldDo(place, come, years)) }; // prettier-ignore
    const [year] = years;
    if (year === undefined) return { counts: looked };
    // Cheap: what is held is not read either.
    if (!(await this.#free(one, false))) return { counts: addCounts(looked, { held: 1 }) };
    const { counts, again } = await this.#year(one, year, come);
    if (counts['held'] !== undefined) return { counts: addCounts(looked, counts) };
    return { counts: addCounts(looked, counts), next: again ? year - 1 : year };
  }

  /** Files a year and moves its files on, as far as each is due. */
  async #year(one: One, year: number, come: Digested): Promise<{ readonly counts: Counts; readonly again: boolean }> {
    const { place, context } = one;
    const { archiver } = this.tools;
    const frozen = year <= (lastArchivedYear(place.type, context.nowMs) ?? -Infinity);
    const free = (): Promise<boolean> => this.#free(one, true);
    let counts: Counts = {};
    try {
      const toArchive = frozen && year > (come.archivedThrough ?? -Infinity);
      // Also what is filed already: a digest that slept may have written rows anew that a file has.
      if (isToFile(come, year) || toArchive) {
        const how = { tier: frozen ? 'archive' : 'cool', free, timeIsUp: context.timeIsUp } as const;
        const outcome = await archiver.file(place, year, how);
        const swept = outcome === 'filed' && !isToFile(come, year);
        counts = addCounts(counts, outcome === 'empty' || swept ? {} : { [COUNTED[outcome]]: 1 });
        if (outcome === 'clearing') return { counts: {}, again: true };
        if (outcome === 'held') return { counts, again: false };
        if (outcome === 'overtaken' || outcome === 'too-large') await archiver.putOff(place, year);
      }
      if (toArchive) {
        const outcome = await archiver.freeze(place, year, free);
        counts = addCounts(counts, outcome === 'empty' ? {} : { [outcome]: 1 });
      }
    } catch (error) {
      counts = addCounts(counts, await this.#damaged(place, error));
      await archiver.putOff(place, year);
    }
    return { counts, again: false };
  } // prettier-ignore

  async #wouldDo(place: SeriesPlace, come: Digested, years: readonly number[]): Promise<Counts> {
    let counts: Counts = {};
    for (const year of years) {
      if (!(await this.tools.archiver.hasValues(place, year))) continue;
      counts = addCounts(counts, isToFile(come, year) ? { wouldFile: 1 } : { wouldArchive: 1 });
    }
    return counts;
  }

  /** What does not hold together stays as it is, is audited and counted, and is in no other's way. */
  async #damaged({ type, record, id }: SeriesPlace, error: unknown): Promise<Counts> {
    const evidence = integrityEvidence(error);
    if (evidence === undefined) throw error;
    const call = { tenant: record.tenant, actor: ACTOR, correlationId: ACTOR };
    await this.tools.report({ recordType: type.recordType, ...evidence, id }, call);
    return { damaged: 1 };
  }

  async #free({ place, row }: One, fresh: boolean): Promise<boolean> {
    const free = await freeOfHolds(this.tools, place.type, place.record, [{ record: row, revisions: [] }], { fresh }); // prettier-ignore
    return free.length > 0;
  }
}

const COUNTED = { filed: 'filed', clearing: 'filed', held: 'held', overtaken: 'overtaken', 'too-large': 'tooLarge' } as const; // prettier-ignore

/** A record that is there, and where its series is. */
function placeOf(type: RecordType, record: PartitionRef, row: Row): SeriesPlace | undefined {
  const { id, index_keys: keys } = row.properties;
  const { parts } = type;
  // What stands where a record is not any more is listed nowhere.
  if (keys === undefined || !rowIntact(row) || parts === undefined || !hasSeries(parts)) return undefined;
  const partition = partsPartition(timeOfId(type, String(id)), String(id));
  return { type, parts, id: String(id), record, entries: { tenant: record.tenant, table: parts.table, partition } };
} // prettier-ignore

const hasSeries = (parts: PartsDeclaration): parts is PartsDeclaration & { readonly series: SeriesDeclaration } => parts.series !== undefined; // prettier-ignore

/** Years of which something is to be moved, in their order. */
function yearsDue(type: RecordType, come: Digested, nowMs: number): readonly number[] {
  if (come.bounds === undefined) return [];
  const [first, last] = come.bounds.map(yearOf) as [number, number];
  const { filedThrough = -Infinity, archivedThrough = -Infinity } = come;
  const toFile = between(Math.max(first, filedThrough + 1), Math.min(last, lastCoolYear(type, nowMs) ?? -Infinity)); // prettier-ignore
  const toArchive = between(Math.max(first, archivedThrough + 1), Math.min(last, lastArchivedYear(type, nowMs) ?? -Infinity)); // prettier-ignore
  return [...new Set([...come.due.keys(), ...toFile, ...toArchive])].sort((a, b) => a - b);
}

function between(first: number, last: number): readonly number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, at) => first + at);
}

function isToFile({ filedThrough = -Infinity, due }: Digested, year: number): boolean {
  return year > filedThrough || due.has(year);
}
