import type { z } from 'zod';
import type { JsonObject } from './canonical-json.js';
import type { Issue } from './errors.js';
import type { DomainContext, RecordData } from './record-data.js';
import type { SensitivityClass } from './sensitivity.js';
import type { SubjectRules } from './subjects.js';

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

/** A way to add to a record's parts: `POST /{collection}/{id}/{path}`. */
export interface AddingDeclaration {
  /** The audit event's `action`. */
  readonly verb: string;
  readonly input: z.ZodType;
  /** A body that it accepts; documentation and the generic tests use it. */
  readonly example: unknown;
  /**
   * Pure. `previous` is the standing entry of the same name. Undefined when there is nothing to do, because what is asked
   * for is so already. Throws `AppError` 409 codes, `record-invalid`.
   */
  readonly add: (now: { readonly record: RecordData; readonly previous: RecordData | undefined; readonly totals: Totals }, input: RecordData, context: DomainContext) => Addition | undefined; // prettier-ignore
}

/**
 * What grows with a record (architecture.md, "Life of a record"): entries that are added and never rewritten, each a row
 * of its own with its own audit event, and no revision of the record. An entry costs the same however many there are.
 * `POST` and `GET /{collection}/{id}/{path}`.
 */
export interface PartsDeclaration extends AddingDeclaration {
  /** Path segment, e.g. `steps`. */
  readonly path: string;
  /** Table of the rows; partitioned by the month of the record's id and its last digit. */
  readonly table: string;
  /** The whole entry as it is stored. */
  readonly entry: z.ZodType<RecordData>;
  /** Pointer patterns into an entry (`*` for any list index) of sensitive values, and their class. */
  readonly sensitive?: Readonly<Record<string, SensitivityClass>>;
  /** Whom they are about, by members of the entry; those of the record count as well. */
  readonly subjects?: SubjectRules;
  /** Where `derive` puts an entry into the record, as a pattern (`*`: any item or member); absent: nowhere. */
  readonly shownAt?: string;
  /**
   * Member of input and entry that names what an entry is about; a later entry of a name stands for the earlier. Absent:
   * entries stand each for itself, and a read of the record does not show them. A name is part of keys and of events and
   * stands there in clear: it must say nothing of anybody.
   */
  readonly nameMember?: string;
  /** Prefix of the name that the platform makes for an entry that comes without one: `<prefix>_<UUIDv7>`. */
  readonly namePrefix?: string;
  /** Further ways to add to the same entries, by their path segments; only `GET` of `path` lists them. */
  readonly more?: Readonly<Record<string, AddingDeclaration>>;
  /** Pure: entries that came with the record itself and never change there; a list shows them first, as number 0. */
  readonly came?: (record: RecordData) => readonly RecordData[];
  /** Member of entries, a time as it is stored, by which `GET …/{path}?from=` finds them. */
  readonly timeMember?: string;
  /** A read of the record shows the latest so many entries; absent: the first, up to `LIMITS.partsShown`. */
  readonly shown?: number;
  /** Where entries bring values of a time series. */
  readonly series?: SeriesDeclaration;
  /** Whether entries move into append blobs once they are committed, one a line. */
  readonly stream?: true;
  readonly initial: Totals;
  /** What a change of these members of the record must not break of what its parts come to; pure. */
  readonly holds?: {
    readonly members: readonly string[];
    readonly check: (next: RecordData, totals: Totals) => readonly Issue[];
  };
  /**
   * Pure: the record as its parts make it; `entries` are the standing ones, the oldest name first. Both come in their
   * committed forms: what is sensitive is put where it belongs and never looked into.
   */
  readonly derive: (record: RecordData, totals: Totals, entries: readonly RecordData[]) => RecordData;
}

/** Whether something that runs behind the additions keeps lists in line with the totals. */
export function isDigested(parts: PartsDeclaration): boolean {
  return parts.series !== undefined || parts.stream === true;
}

interface TypedAdding<Data, Input, Entry, Sum> {
  readonly verb: string;
  readonly input: z.ZodType<Input>;
  readonly example: unknown;
  readonly add: (now: { readonly record: Data; readonly previous: Entry | undefined; readonly totals: Sum }, input: Input, context: DomainContext) => { readonly entry: Entry; readonly totals: Sum; readonly details: JsonObject } | undefined; // prettier-ignore
}

/** A further way to add whose input is typed; the types are erased for generic code. */
export function defineAdding<Data extends RecordData, Input, Entry extends RecordData, Sum extends Totals>(
  adding: TypedAdding<Data, Input, Entry, Sum>,
): AddingDeclaration {
  return adding as unknown as AddingDeclaration;
}

/** Parts whose input and entries are typed; the types are erased for generic code. */
export function defineParts<Data extends RecordData, Input, Entry extends RecordData, Sum extends Totals>(
  parts: Omit<PartsDeclaration, 'input' | 'entry' | 'initial' | 'add' | 'came' | 'holds' | 'derive'> &
    TypedAdding<Data, Input, Entry, Sum> & {
      readonly entry: z.ZodType<Entry>;
      readonly initial: Sum;
      readonly came?: (record: Data) => readonly Entry[];
      readonly holds?: {
        readonly members: readonly string[];
        readonly check: (next: Data, totals: Sum) => readonly Issue[];
      };
      readonly derive: (record: Data, totals: Sum, entries: readonly Entry[]) => Data;
    },
): PartsDeclaration {
  return parts as unknown as PartsDeclaration;
}
