import type { z } from 'zod';
import type { Issue } from './errors.js';
import type { PartsDeclaration } from './parts.js';
import type { DomainContext, RecordData } from './record-data.js';
import type { SensitivityClass } from './sensitivity.js';
import type { SubjectRules } from './subjects.js';

export type { DomainContext, RecordData } from './record-data.js';

export type { SensitivityClass } from './sensitivity.js';

/** Since when an older version is deprecated and when it may stop being taken: RFC 3339 times, the first not after the other. */
export interface Deprecation {
  readonly since: string;
  readonly sunset: string;
}

/** How a create may still be written in an older version (REQ-STO-018, "support both versions during transition"). */
export interface OlderCreate {
  /** The body of a create as version `from` took it; strict. Faults are told by pointers into the body that was sent. */
  readonly schema: z.ZodType;
  /** Pure: a parsed body of version `from` as one of version `to`. */
  readonly migrate: (input: RecordData) => RecordData;
  /**
   * Pointer patterns (`*` for any list index) of what is called otherwise in version `to`, and what it is in `from`: rules
   * of the newer version are held after the migration, and what they find is told of the body that was sent.
   */
  readonly renamed: Readonly<Record<string, string>>;
  /** A body that version `from` took; it must migrate to one that is valid. */
  readonly example: unknown;
}

/** The step from one schema version to the next (REQ-STO-016, 017). */
export interface Migration {
  readonly from: string;
  readonly to: string;
  /** The whole record as version `from` stored it; strict. Documentation and tests hold old data to it. */
  readonly schema: z.ZodType<RecordData>;
  /** Pure; gets the data of version `from` and returns that of version `to`. */
  readonly migrate: (data: RecordData) => RecordData;
  /** Data of version `from`; it must migrate to data that is valid now. */
  readonly example: RecordData;
  /** Absent: creates are no longer taken in version `from`. */
  readonly create?: OlderCreate;
  /** Absent: version `from` is as good as the current one. */
  readonly deprecated?: Deprecation;
}

/** A declared way to find records: all of them (`fields` empty) or those with certain values of certain fields. */
export interface IndexDeclaration {
  readonly name: string;
  /**
   * Summary fields, all strings; a record without one of them has no row in this index. Or sensitive members, strings,
   * which makes the index blind: rows have keyed hashes of them, and lists do not show them.
   */
  readonly fields: readonly string[];
}

/**
 * How a record's partition follows from its data. The month of creation is in the id, so a read by id is a point read;
 * a member's value is not, and `lookups` has a row for each record that tells it (architecture.md, storage layout).
 */
export type PartitionRule =
  | { readonly kind: 'month-of-creation' }
  /**
   * A partition of its own for each record, named by its id; `listedIn` is the partition of the same table that has the
   * index rows of all of them, and so cannot be in a record's commit: they follow it (storage/list-refresh.ts).
   */
  | { readonly kind: 'own'; readonly listedIn: string }
  /** `member`: an immutable string, made with `partitionName` of `schema-parts.ts`. */
  | { readonly kind: 'member'; readonly member: string };

/** Records that callers put under a name of theirs: `PUT /{collection}/{value of the partition's member}/{name}`. */
export interface NamingRule {
  /** Immutable string member that is unique within a partition. */
  readonly member: string;
  /** Names nobody may have, besides the path segments of generic routes. */
  readonly reserved?: readonly string[];
}

/** Legal moves of a status field; a state without moves is final, or left by actions alone. */
export interface TransitionRule {
  readonly field: string;
  readonly moves: Readonly<Record<string, readonly string[]>>;
  /** The only fields a PATCH may change once the state is final. */
  readonly mutableWhenFinal: readonly string[];
  /** The only states in which a PATCH may change a record; in all others only actions may. Absent: any that is not final. */
  readonly patchableIn?: readonly string[];
}

/** A typed action: `POST /{collection}/{id}/{path}`. */
export interface ActionDeclaration<Data extends RecordData = RecordData, Input = unknown> {
  /** The audit event's `action`. */
  readonly verb: string;
  readonly input: z.ZodType<Input>;
  /** A body that the action accepts for a record made of the type's example; documentation and the generic tests use it. */
  readonly example?: unknown;
  /** States of the `transitions` in which it may be taken, else `transition-not-allowed`. Absent: `apply` decides. */
  readonly allowedIn?: readonly string[];
  /** What it makes has an address of its own, that of the revision: 201 with `Location` instead of 200. */
  readonly makesRevision?: boolean;
  /** Pure: the record after the action. Throws AppError 409 codes for what the record's state does not allow. */
  readonly apply: (current: Data, input: Input, context: DomainContext) => Data;
}

/**
 * Something that follows from a record and can be read by itself: `GET /{collection}/{id}/{path}`. Pure. For a reader who
 * may not see sensitive values it follows from the record with commitments in their places, and must not fail on them.
 */
export type View<Data extends RecordData = RecordData> = (data: Data) => Readonly<Record<string, unknown>>;

/** For how long reads of a current record may be answered from memory (REQ-STO-019). */
export interface CacheRule {
  /** Milliseconds; another process's write is seen no later. At most an hour. */
  readonly ttlMs: number;
  /** Pure: whether a record may be kept; absent, every one may. */
  readonly when?: (data: RecordData) => boolean;
}

/** When a record moves to cheaper storage, in days after `orderedBy`; executed by the lifecycle jobs. */
export interface TierRule {
  readonly coolAfterDays?: number;
  readonly archiveAfterDays?: number;
  /** Only what is superseded moves, by when each revision was stored: for records that are written again and again. */
  readonly currentStaysHot?: true;
}

/** Years are calendar years in UTC, 1 to 100. */
interface Period {
  readonly years: number;
  /** False: no law asks for so long, and a tenant may set less. Absent, a tenant may set more and not less. */
  readonly floor?: false;
}

/**
 * How long records are kept, and from which time: `orderedBy`, or a member of the summary that is not earlier, and without
 * which a record is not past its time. Or how long revisions are after another has followed them (`of: 'history'`); the
 * last one then stays always. `forever` is never deleted (docs/retention.md).
 */
export type RetentionRule =
  (Period & { readonly from: string }) | (Period & { readonly of: 'history' }) | 'forever';

/** Everything about a record type, declared once (architecture.md, idea 1). */
export interface RecordDeclaration<Data extends RecordData, Create> {
  /** Singular name, e.g. `decision`. */
  readonly recordType: string;
  /** Path segment, e.g. `decisions`. */
  readonly collection: string;
  readonly table: string;
  readonly idPrefix: string;
  /** Member of the data that holds the id; absent where the specification gives the record a name of its caller's. */
  readonly idField?: string;
  readonly schemaVersion: string;
  readonly migrations: readonly Migration[];
  /** The whole record as it is stored; strict. */
  readonly schema: z.ZodType<Data>;
  /** The body of a create; strict. */
  readonly createSchema: z.ZodType<Create>;
  /** Pure: the first revision. */
  readonly create: (input: Create, context: DomainContext) => Data;
  /** Time member that lists are ordered by and that the id carries; immutable. Absent: the time of the first write. */
  readonly orderedBy?: string;
  readonly partition: PartitionRule;
  /** Only with a partition by member. */
  readonly named?: NamingRule;
  /** Members repeated in every index row: strings, numbers or booleans. */
  readonly summary: readonly string[];
  /** Where those of them are that are no members of the record but lie inside one, by JSON pointer. */
  readonly summaryFrom?: Readonly<Record<string, string>>;
  /** Besides the index of all records, which every type has. */
  readonly indexes: readonly IndexDeclaration[];
  /** Members a PATCH may never name. */
  readonly immutable: readonly string[];
  readonly transitions?: TransitionRule;
  /** Pure: members the platform derives on a change, e.g. `completed_at`. */
  readonly settle?: (next: Data, previous: Data, context: DomainContext) => Data;
  /** Rules across members; runs on the whole record before every write. */
  readonly check?: (data: Data) => readonly Issue[];
  /** Pointer patterns (`*` for any list index) of sensitive values and their class. */
  readonly sensitive: Readonly<Record<string, SensitivityClass>>;
  /** Whom they are about. */
  readonly subjects?: SubjectRules;
  /**
   * Pointer patterns (`*` for any list index) of ids of records, of any type, that this one is derived from: its lineage
   * (`domain/links.ts`). What stands there and is no id is no link. Not sensitive: links are repeated in rows.
   */
  readonly links?: readonly string[];
  /** A record that is about one person alone is deleted when that person is erased; absent: what it says of them is. */
  readonly erasedWhole?: true;
  readonly tiers: TierRule;
  readonly retention: RetentionRule;
  readonly actions: Readonly<Record<string, ActionDeclaration<Data>>>;
  /** By path segment. */
  readonly views?: Readonly<Record<string, View<Data>>>;
  /** Absent: every read is of what is stored. */
  readonly cache?: CacheRule;
  /** What grows with the record without being part of a revision. */
  readonly parts?: PartsDeclaration;
  /** A body that `POST /{collection}` accepts; documentation and the generic tests use it. */
  readonly example: z.input<z.ZodType<Create>>;
}

/** A declaration that has asserted itself, with the types of its data erased: what generic code works with. */
export type RecordType = RecordDeclaration<RecordData, unknown> & {
  /** All indexes, the one of all records first. */
  readonly allIndexes: readonly IndexDeclaration[];
  /** Names that a list may be filtered by. */
  readonly filters: readonly string[];
  /** Those of them that are sensitive: rows have keyed hashes of their values. */
  readonly blindMembers: readonly string[];
};
