import { createHash } from 'node:crypto';
import type { JsonObject } from '../domain/canonical-json.js';
import { isAppError } from '../domain/errors.js';
import { newId } from '../domain/ids.js';
import { LIMITS } from '../domain/limits.js';
import { periodOf, rolledUp, sameTotals, together, type Rollup, type Sample, type Totals } from '../domain/series.js'; // prettier-ignore
import { Budget } from './backoff.js';
import { findNamedBytes } from './blob-range.js';
import type { Digested } from './digest-row.js';
import { BLOB_CONTAINERS } from './keys.js';
import { isFault, type BlobTier } from './ports.js';
import { broken } from './record-row.js';
import { SeriesProgress, type ProgressTools, type SeriesPlace } from './series-progress.js';
import { FileGone, merged, readYear, TAIL_BYTES, TooManyMembers, writeYear, type Written } from './year-file.js'; // prettier-ignore
import { yearBlobName, yearBlobOf, type YearFile, type YearRow } from './year-rows.js';
import { clearSamples, samplesInRows } from './year-samples.js';
import { monthsOf, YearStore } from './year-store.js';

/** How a year is to be filed. */
export interface Filing {
  /** Where the file is to lie. */
  readonly tier: Exclude<BlobTier, 'hot'>;
  /** Asked afresh right before rows are changed: whether no hold is on the record. */
  readonly free: () => Promise<boolean>;
  readonly timeIsUp: () => boolean;
}

/**
 * What became of a year. `filed`: its values lie in files and in no rows; `empty`: it has none; `clearing`: they lie in
 * files, and time was up before all rows were gone; `overtaken`: values came meanwhile, or somebody else is at it;
 * `too-large`: it has more values, or late ones came more often, than are filed.
 */
export type YearOutcome = 'filed' | 'empty' | 'clearing' | 'held' | 'overtaken' | 'too-large';

const { records: CONTAINER } = BLOB_CONTAINERS;

/** A year as it was when it was looked at. */
interface Look {
  readonly place: SeriesPlace;
  readonly year: number;
  readonly come: Digested;
  /** What its days come to. */
  readonly days: ReadonlyMap<string, Rollup>;
  readonly before: YearRow | undefined;
}

/**
 * Moves the values of a year that is over from rows into one compressed file (lifecycle.md, metrics), in steps of which each
 * may be the last: the file is written, read back, and held against the rollups of its days; it goes to its tier; holds are
 * asked; the row of the year names it, and from then on values are read from there as well as from rows; what was done is
 * said with an event; and only then do the rows go. Rollups and entries stay. What died on the way is a file that no row
 * names, which is collected, or rows of values that a file has too, which the next round deletes.
 */
export class SeriesArchiver {
  readonly #progress: SeriesProgress;
  readonly #years: YearStore;

  readonly #budget = (): Budget => new Budget(this.tools.clock, this.tools.entropy);

  constructor(private readonly tools: ProgressTools) {
    this.#progress = new SeriesProgress(tools);
    this.#years = new YearStore(tools.ports.tables, this.#budget);
  }

  /** How far a series has come. One point read. Throws `integrity-failure`. */
  come(place: SeriesPlace): Promise<Digested> {
    return this.#progress.come(place);
  }

  /** Whether a year has values. One range read. */
  hasValues(place: SeriesPlace, year: number): Promise<boolean> {
    return this.#years.hasValues(place, year);
  }

  /** Leaves a year that cannot be filed for another round, so that those after it need not wait. */
  async putOff(place: SeriesPlace, year: number): Promise<void> {
    await this.#progress.change(place, ({ due, filedThrough = -Infinity, ...rest }) => {
      if (year <= filedThrough && due.get(year)?.late === true) return undefined;
      const told = due.get(year)?.told ?? '';
      return {
        ...rest,
        filedThrough: Math.max(filedThrough, year),
        due: new Map([...due, [year, { told, late: true }]]),
      };
    });
  }

  /**
   * Files a year, or what of it has come late, or clears the rows of one that was filed. Costs a range read for each 1,000
   * rows and each month, twice, a call for each MiB of the file and a read for each 4,000 values, a transaction for each 100
   * rows, and about fifteen calls more. Throws `integrity-failure` where rows or files do not hold together or the values are
   * not those that the rollups counted: nothing is changed then; `storage-unavailable`.
   */
  async file(place: SeriesPlace, year: number, filing: Filing): Promise<YearOutcome> {
    const come = await this.#progress.come(place);
    const days = await this.#years.days(place, year);
    let now = await this.#years.find(place, year);
    if (days.size > 0) {
      const done = await this.#written({ place, year, come, days, before: now }, filing);
      if (typeof done === 'string') return done;
      now = done;
    }
    await this.#tell(place, year, come, now);
    if (now === undefined || now.files.length === 0) return 'empty';
    if (!(await filing.free())) return 'held';
    const { tables } = this.tools.ports;
    const months = monthsOf(place, days);
    if (!(await clearSamples(tables, months, now.upTo, this.#budget, filing.timeIsUp))) return 'clearing';
    await this.#progress.change(place, ({ due, ...rest }) => {
      const one = due.get(year);
      return one === undefined || one.late ? undefined : { ...rest, due: without(due, year) };
    });
    return 'filed';
  }

  /** Moves the files of a year that was filed into the archive. One call for each, two row writes, three reads. */
  async freeze(
    place: SeriesPlace,
    year: number,
    free: () => Promise<boolean>,
  ): Promise<'archived' | 'empty' | 'held'> {
    const now = await this.#years.find(place, year);
    const cool = now?.files.filter(({ tier }) => tier !== 'archive') ?? [];
    if (cool.length > 0 && !(await free())) return 'held';
    for (const { blob } of cool)
      if (!(await this.#toTier(blob, 'archive'))) throw broken(place.id, 0, 'file of values missing');
    const event = cool.length === 0 ? undefined : await this.#progress.event(place, { from: 'cool', to: 'archive', year, ...factsOf(cool) }); // prettier-ignore
    const frozen = (come: Digested): Digested | undefined => (come.archivedThrough ?? -Infinity) >= year ? undefined : { ...come, archivedThrough: year }; // prettier-ignore
    await this.#progress.change(place, frozen, event);
    if (now === undefined || cool.length === 0) return 'empty';
    const files = now.files.map((file) => ({ ...file, tier: 'archive' as const }));
    // Where another has changed it meanwhile reads find out for themselves.
    await this.#years.put(place, now, { year, upTo: now.upTo, files });
    return 'archived';
  }

  /** The row of the year once it names everything up to where the digest has come; the row as it is where it does. */
  async #written(
    look: Look,
    { tier, free }: Filing,
  ): Promise<YearRow | undefined | 'held' | 'overtaken' | 'too-large'> {
    const { place, year, come, days, before } = look;
    const there = before?.files ?? [];
    const [filed, total] = [countOf(there.map(({ totals }) => totals)), countOf([...days.values()])];
    if (before === undefined && total > LIMITS.yearValues) return 'too-large';
    const window = { from: before?.upTo ?? -1, upTo: come.upTo };
    const fresh = samplesInRows(this.tools.ports.tables, monthsOf(place, days), window, this.#budget);
    const first = await fresh.next();
    if (first.done === true) return filed === total || isAhead(days, come) ? before : this.#suspect(look);
    const frozen = year <= (come.archivedThrough ?? -Infinity);
    const files = there.map((file) => (frozen ? { ...file, tier: 'archive' as const } : file));
    // What is in the archive cannot be read; a further file beside it has what came late.
    const kept = files.some((file) => file.tier === 'archive') ? files : [];
    const room = LIMITS.yearMembers - kept.reduce((sum, { members }) => sum + members.length, 0);
    if (kept.length >= LIMITS.yearFiles || room < 1) return 'too-large';
    const replaced = kept.length > 0 ? [] : files;
    const sources = [...replaced.map((one) => this.#samplesOf(place, one)), resumed(first.value, fresh)];
    const blob = this.#newName(place, year);
    const made = await this.#made(look, { blob, tier, room, kept }, merged(sources));
    if (typeof made === 'string') return made;
    // Without its blob it was taken for an orphan, by somebody who came by when all of this had stood still for a day.
    if (!(await this.#toTier(blob, tier))) return 'overtaken';
    const next = { year, upTo: come.upTo, files: [...kept, made] };
    const outcome = !(await free())
      ? 'held'
      : (await this.#years.put(place, before, next))
        ? 'put'
        : 'overtaken';
    for (const one of outcome === 'put' ? replaced : [made]) await this.#remove(one.blob);
    return outcome === 'put' ? { ...next, etag: undefined } : outcome;
  }

  /** A file that was read back and holds. What does not, or came to nothing, is deleted: no row names it. */
  async #made(
    look: Look,
    { blob, tier, room, kept }: { readonly blob: string; readonly tier: Filing['tier']; readonly room: number; readonly kept: readonly YearFile[] },
    samples: AsyncIterable<readonly Sample[]>,
  ): Promise<YearFile | 'overtaken' | 'too-large'> {
    try {
      const written = await writeYear(this.tools.ports.blobs, blob, samples, room, this.#budget);
      const file = await this.#verified(look, written, tier, kept);
      if (file !== undefined) return file;
    } catch (error) {
      if (error instanceof TooManyMembers) return 'too-large';
      // A file that is there went into the archive, or was replaced, by a host that is further.
      const further = error instanceof FileGone || isFault(error, 'archived');
      if (!further && !isAppError(error, 'integrity-failure')) throw error;
      await this.#remove(blob);
      if (further) return 'overtaken';
      throw error;
    }
    await this.#remove(blob);
    return this.#suspect(look);
  } // prettier-ignore

  /** Values that are not those which the rollups counted: some came meanwhile, or somebody else is further. Throws else. */
  async #suspect({ place, year, come, before }: Look): Promise<'overtaken'> {
    const now = await this.#progress.come(place);
    const row = await this.#years.find(place, year);
    const moved = now.upTo !== come.upTo || row?.etag !== before?.etag;
    if (moved || isAhead(await this.#years.days(place, year), come)) return 'overtaken';
    throw broken(place.id, 0, 'samples');
  }

  /** Reads a file back and holds it against what was written and against the rollups; `kept` are other files of the year. */
  async #verified(
    { place, days }: Look,
    written: Written,
    tier: Filing['tier'],
    kept: readonly YearFile[],
  ): Promise<YearFile | undefined> {
    const { blobs } = this.tools.ports;
    const part = async (offset: number, length: number): Promise<Uint8Array> =>
      (await findNamedBytes(blobs, written.blob, { offset, length }, this.#budget())) ?? new Uint8Array();
    const hash = createHash('sha256').update(await part(0, written.head));
    const found = new Map<string, Rollup>();
    let [firstMs, lastMs] = [Infinity, -Infinity];
    for await (const { bytes, samples } of readYear(blobs, written.blob, place.id, written, this.#budget)) {
      hash.update(bytes);
      firstMs = Math.min(firstMs, samples[0]?.ms ?? Infinity);
      lastMs = Math.max(lastMs, samples.at(-1)?.ms ?? -Infinity);
      for (const [day, some] of byDay(samples)) found.set(day, rolledUp(found.get(day), some, -1));
    }
    hash.update(await part(written.bytes - TAIL_BYTES, TAIL_BYTES));
    if (hash.digest('hex') !== written.sha256) throw broken(place.id, 0, 'file of values');
    const totals = together([...found.values()]);
    const whole = (): boolean => found.size === days.size && [...days].every(([day, one]) => sameTotals(one, found.get(day) ?? NOTHING)); // prettier-ignore
    const beside = (): boolean => sameTotals(together([...kept.map((one) => one.totals), totals]), together([...days.values()])); // prettier-ignore
    if (!(kept.length === 0 ? whole() : beside())) return undefined;
    return { ...written, tier, firstMs, lastMs, totals };
  }

  /** Says that a year was looked at, with an event for a file that has none yet, so that its rows may go. */
  async #tell(place: SeriesPlace, year: number, before: Digested, row: YearRow | undefined): Promise<void> {
    const file = row?.files.at(-1);
    const told = file === undefined ? '' : (yearBlobOf(file.blob)?.uuid ?? '');
    const known = before.due.get(year);
    // What is not due any more was told of when it was filed.
    const isTold = known === undefined ? (before.filedThrough ?? -Infinity) >= year : known.told === told;
    const event = file === undefined || isTold ? undefined : await this.#progress.event(place, { from: 'hot', to: file.tier, year, ...factsOf([file]) }); // prettier-ignore
    const next = async (come: Digested): Promise<Digested | undefined> => {
      const { filedThrough = -Infinity, due } = come;
      const one = due.get(year);
      // Whether what came since this began was of this year is told by its days, which are counted first.
      const late = come.upTo !== before.upTo && countOf([...(await this.#years.days(place, year)).values()]) !== countOf(row?.files.map(({ totals }) => totals) ?? []); // prettier-ignore
      const isDue = file !== undefined || late;
      if (filedThrough >= year && (isDue ? one?.told === told && one.late === late : one === undefined)) return undefined; // prettier-ignore
      const left = isDue ? new Map([...due, [year, { told, late }]]) : without(due, year);
      return { ...come, filedThrough: Math.max(filedThrough, year), due: left };
    };
    await this.#progress.change(place, next, event);
  }

  async *#samplesOf({ id }: SeriesPlace, file: YearFile): AsyncGenerator<readonly Sample[]> {
    const { blobs } = this.tools.ports;
    for await (const { samples } of readYear(blobs, file.blob, id, file, this.#budget)) yield samples;
  }

  #newName({ type, parts, record, id }: SeriesPlace, year: number): string {
    const uuid = newId('x', this.tools.clock.now(), this.tools.entropy).slice(2);
    return yearBlobName(type, parts, record, id, year, uuid);
  }

  /** False where there is no such blob. */
  async #toTier(blob: string, tier: BlobTier): Promise<boolean> {
    try {
      await this.#budget().retry(() => this.tools.ports.blobs.setTier(CONTAINER, blob, tier));
      return true;
    } catch (error) {
      if (!isFault(error, 'missing')) throw error;
      return false;
    }
  }

  async #remove(blob: string): Promise<void> {
    await this.#budget().retry(() => this.tools.ports.blobs.delete(CONTAINER, blob));
  }
}

const NOTHING: Totals = { count: 0, partials: [], min: 0, max: 0 };

const countOf = (all: readonly Totals[]): number => all.reduce((sum, { count }) => sum + count, 0);

/** A digest is under way whose values the days have counted, and the row of the series does not say so yet. */
const isAhead = (days: ReadonlyMap<string, Rollup>, { upTo }: Digested): boolean => [...days.values()].some((day) => day.upTo > upTo); // prettier-ignore

function without(due: Digested['due'], year: number): Digested['due'] {
  return new Map([...due].filter(([other]) => other !== year));
}

/** For the event: no value, and nothing about anybody. */
function factsOf(files: readonly YearFile[]): JsonObject {
  return { values: countOf(files.map(({ totals }) => totals)), files: files.map(({ blob, bytes, sha256 }) => ({ blob, bytes, sha256 })) }; // prettier-ignore
}

function byDay(samples: readonly Sample[]): ReadonlyMap<string, readonly Sample[]> {
  const days = new Map<string, Sample[]>();
  for (const sample of samples) {
    const day = periodOf('day', sample.ms);
    const some = days.get(day);
    if (some === undefined) days.set(day, [sample]);
    else some.push(sample);
  }
  return days;
}

/** What was begun to be read, from its beginning. */
async function* resumed(
  first: readonly Sample[],
  rest: AsyncGenerator<readonly Sample[]>,
): AsyncGenerator<readonly Sample[]> {
  yield first;
  yield* rest;
}
