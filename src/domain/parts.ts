import type { z } from 'zod';
import type { JsonObject } from './canonical-json.js';
import type { DomainContext, RecordData } from './record-data.js';

/** What all parts of a record come to, as far as the next one has to know; small, whatever the number of parts. */
export type Totals = RecordData;

/** A value of a series as it is stored. */
export interface SeriesValue {
  readonly value: number;
  /** RFC 3339, UTC, milliseconds. */
  readonly timestamp: string;
  readonly context: RecordData;
}

/** Values by time, with what those of an hour and of a day come to. */
export interface SeriesDeclaration {
  /** Table of samples and rollups; partitioned by the record's id and a period. */
  readonly table: string;
  readonly samplesOf: (entry: RecordData) => readonly SeriesValue[];
  /** What came with the record itself; members that never change. */
  readonly samplesOfRecord: (record: RecordData) => readonly SeriesValue[];
}

/** One addition to a record's parts. */
export interface Addition {
  /** What is kept. */
  readonly entry: RecordData;
  readonly totals: Totals;
  /** For the audit event; no sensitive value. */
  readonly details: JsonObject;
}

/**
 * What grows with a record (architecture.md, "Life of a record"): entries that are added and never rewritten, each a row
 * of its own with its own audit event, and no revision of the record. An entry costs the same however many there are.
 * `POST` and `GET /{collection}/{id}/{path}`.
 */
export interface PartsDeclaration {
  /** Path segment, e.g. `steps`. */
  readonly path: string;
  /** Table of the rows; partitioned by the month of the record's id and its last digit. */
  readonly table: string;
  /** The audit event's `action`. */
  readonly verb: string;
  readonly input: z.ZodType;
  /** The whole entry as it is stored. */
  readonly entry: z.ZodType<RecordData>;
  /**
   * Member of input and entry that names what an entry is about; a later entry of a name stands for the earlier. Absent:
   * entries stand each for itself, and a read of the record does not show them.
   */
  readonly nameMember?: string;
  /** Where entries bring values of a time series. */
  readonly series?: SeriesDeclaration;
  readonly initial: Totals;
  /** A body that `POST /{collection}/{id}/{path}` accepts; documentation and the generic tests use it. */
  readonly example: unknown;
  /** Pure. `previous` is the standing entry of the same name. Throws `AppError` 409 codes, `record-invalid`. */
  readonly add: (now: { readonly record: RecordData; readonly previous: RecordData | undefined; readonly totals: Totals }, input: RecordData, context: DomainContext) => Addition; // prettier-ignore
  /** Pure: the record as its parts make it; `entries` are the standing ones, the oldest name first. */
  readonly derive: (record: RecordData, totals: Totals, entries: readonly RecordData[]) => RecordData;
}

/** Parts whose input and entries are typed; the types are erased for generic code. */
export function defineParts<Data extends RecordData, Input, Entry extends RecordData, Sum extends Totals>(
  parts: Omit<PartsDeclaration, 'input' | 'entry' | 'initial' | 'add' | 'derive'> & {
    readonly input: z.ZodType<Input>;
    readonly entry: z.ZodType<Entry>;
    readonly initial: Sum;
    readonly add: (now: { readonly record: Data; readonly previous: Entry | undefined; readonly totals: Sum }, input: Input, context: DomainContext) => { readonly entry: Entry; readonly totals: Sum; readonly details: JsonObject }; // prettier-ignore
    readonly derive: (record: Data, totals: Sum, entries: readonly Entry[]) => Data;
  },
): PartsDeclaration {
  return parts as unknown as PartsDeclaration;
}
