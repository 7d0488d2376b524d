import type { z } from 'zod';
import type { Issue } from './errors.js';
import type { PartsDeclaration } from './parts.js';
import type { DomainContext, RecordData } from './record-data.js';

export type { DomainContext, RecordData } from './record-data.js';

export type SensitivityClass = 'pii' | 'phi' | 'pci' | 'financial' | 'credential';

export interface Migration {
  readonly from: string;
  readonly to: string;
  /** Pure; gets the data of version `from` and returns that of version `to`. */
  readonly migrate: (data: RecordData) => RecordData;
}

/** A declared way to find records: all of them (`fields` empty) or those with certain values of certain fields. */
export interface IndexDeclaration {
  readonly name: string;
  /** Summary fields, all strings; a record without one of them has no row in this index. */
  readonly fields: readonly string[];
}

/**
 * How a record's partition follows from its data. The month of creation is in the id, so a read by id is a point read;
 * a member's value is not, and `lookups` has a row for each record that tells it (architecture.md, storage layout).
 */
export type PartitionRule =
  | { readonly kind: 'month-of-creation' }
  /** `member`: an immutable string, made with `partitionName` of `schema-parts.ts`. */
  | { readonly kind: 'member'; readonly member: string };

/** Records that callers put under a name of theirs: `PUT /{collection}/{value of the partition's member}/{name}`. */
export interface NamingRule {
  /** Immutable string member that is unique within a partition. */
  readonly member: string;
  /** Names nobody may have, besides the path segments of generic routes. */
  readonly reserved?: readonly string[];
}

/** Legal moves of a status field; a state without moves is final. */
export interface TransitionRule {
  readonly field: string;
  readonly moves: Readonly<Record<string, readonly string[]>>;
  /** The only fields a PATCH may change once the state is final. */
  readonly mutableWhenFinal: readonly string[];
}

/** A typed action: `POST /{collection}/{id}/{path}`. */
export interface ActionDeclaration<Data extends RecordData = RecordData, Input = unknown> {
  /** The audit event's `action`. */
  readonly verb: string;
  readonly input: z.ZodType<Input>;
  /** A body that the action accepts for a record made of the type's example; documentation and the generic tests use it. */
  readonly example?: unknown;
  /** Pure: the record after the action. Throws AppError 409 codes for what the record's state does not allow. */
  readonly apply: (current: Data, input: Input, context: DomainContext) => Data;
}

/** When a record moves to cheaper storage, in days after `orderedBy`; executed by the lifecycle jobs. */
export interface TierRule {
  readonly coolAfterDays?: number;
  readonly archiveAfterDays?: number;
}

/** How long a record is kept and from which of its times; `forever` is never deleted. */
export type RetentionRule = { readonly years: number; readonly from: string } | 'forever';

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
  readonly tiers: TierRule;
  readonly retention: RetentionRule;
  readonly actions: Readonly<Record<string, ActionDeclaration<Data>>>;
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
};
