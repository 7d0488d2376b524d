import { yearOf } from '../domain/clock.js';
import { LIMITS } from '../domain/limits.js';
import type { RecordType } from '../domain/record-type.js';
import type { Sample } from '../domain/series.js';
import type { Budget } from './backoff.js';
import { partitionKey } from './keys.js';
import type { StorageManagerOptions } from './manager-types.js';
import type { MovedDetails } from './moved-details.js';
import { isFault } from './ports.js';
import { archived } from './rehydration-rows.js';
import { sampleKey } from './series-rows.js';
import { readYear } from './year-file.js';
import { parseYearRow, yearKey, yearPartition, type YearFile, type YearRow } from './year-rows.js';

/** Samples of a range that lie in files, in their order; `more` when there are others of it behind the last of them. */
export interface FiledSamples {
  readonly samples: readonly Sample[];
  readonly more: boolean;
}

/** A part of a series. */
interface Span {
  readonly type: RecordType;
  readonly table: string;
  readonly tenant: string;
  readonly id: string;
  readonly year: number;
  /** Keys of samples, the second one exclusive. */
  readonly from: string;
  readonly to: string;
}

/** Reads values that lie in the files of a year. */
export class SeriesYears {
  constructor(
    private readonly tools: Pick<StorageManagerOptions, 'ports' | 'clock'>,
    private readonly moved: Pick<MovedDetails, 'hotCopy'>,
  ) {}

  /**
   * Whether values of a year may lie in files. No year is filed before it is over for as long as its type says, so a clock
   * that is some days behind is no harm.
   */
  mayBeFiled(year: number): boolean {
    return year < yearOf(this.tools.clock.now());
  }

  /**
   * Up to about `wanted` samples of a span. To be asked after the sample rows of it were read: a row goes only when the row
   * of the year names the file that has its value. One point read, and one blob read for each 4,000 values it comes
   * through. Throws `record-archived` where one of the files is in the archive and was not brought back,
   * `integrity-failure`, `FileGone` where it was replaced meanwhile: all is to be read again then.
   */
  async find(span: Span, wanted: number, budget: Budget): Promise<FiledSamples> {
    const { tenant, table, id, year } = span;
    const key = partitionKey(tenant, yearPartition(id, year));
    const row = await budget.retry(() => this.tools.ports.tables.find(table, key, yearKey(year)));
    if (row === undefined) return { samples: [], more: false };
    return this.#ofRow(parseYearRow(row, id), span, wanted, budget);
  }

  async #ofRow({ files }: YearRow, span: Span, wanted: number, budget: Budget): Promise<FiledSamples> {
    const samples = new Map<string, Sample>();
    // Nothing may be shown that comes after what of another file nobody has read yet.
    let horizon: string | undefined;
    for (const file of files.filter((one) => overlaps(one, span))) {
      const read = await this.#ofFile(file, span, wanted, budget);
      for (const sample of read.samples) samples.set(sampleKey(sample), sample);
      const last = read.more ? read.samples.at(-1) : undefined;
      if (last !== undefined && (horizon === undefined || sampleKey(last) < horizon)) horizon = sampleKey(last); // prettier-ignore
    }
    const sorted = [...samples].sort(([a], [b]) => (a < b ? -1 : 1));
    const shown = sorted.filter(([key]) => horizon === undefined || key <= horizon);
    return { samples: shown.map(([, sample]) => sample), more: horizon !== undefined };
  }

  async #ofFile(file: YearFile, span: Span, wanted: number, budget: Budget): Promise<FiledSamples> {
    if (file.tier !== 'archive') {
      try {
        return await this.#read(file.blob, file, span, wanted, budget);
      } catch (error) {
        // The blob goes into the archive first, and its row after it.
        if (!isFault(error, 'archived')) throw error;
      }
    }
    const { type, tenant, id } = span;
    const copy = await this.moved.hotCopy(type, tenant, { id, location: { blob: file.blob } }, budget);
    if (copy === undefined) throw archived(type, id);
    return this.#read(copy, file, span, wanted, budget);
  }

  async #read(
    blob: string,
    file: YearFile,
    { id, from, to }: Span,
    wanted: number,
    budget: Budget,
  ): Promise<FiledSamples> {
    const { blobs } = this.tools.ports;
    const found: Sample[] = [];
    let members = 0;
    for await (const { samples } of readYear(blobs, blob, id, file, () => budget, from)) {
      members += 1;
      for (const sample of samples) {
        const key = sampleKey(sample);
        if (key >= to) return { samples: found, more: false };
        if (key >= from) found.push(sample);
      }
      const enough = found.length > wanted || (found.length > 0 && members >= LIMITS.yearMembersRead);
      if (enough) return { samples: found, more: true };
    }
    return { samples: found, more: false };
  }
}

function overlaps({ firstMs, lastMs }: YearFile, { from, to }: Span): boolean {
  return (
    sampleKey({ ms: firstMs, seq: 0, at: 0 }) < to && sampleKey({ ms: lastMs + 1, seq: 0, at: 0 }) > from
  );
}
