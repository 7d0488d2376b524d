import type { BlindIndex } from '../domain/blind-index.js';
import type { Clock, Entropy } from '../domain/clock.js';
import type { SecretBox, Secrets } from '../domain/commitment.js';
import type { Envelope, EnvelopeHead, StoredEnvelope } from '../domain/envelope.js';
import type { Openings } from '../domain/disclosure.js';
import type { RecordData, RecordType } from '../domain/record-type.js';
import type { TenantConfiguration } from '../domain/tenant-configuration.js';
import type { Directory, PartitionRef } from './directory.js';
import type { IdempotencyRequest } from './idempotency.js';
import type { StoragePorts } from './ports.js';
import type { Summary } from './record-row.js';
import type { CacheCounts, Reason } from './timed-cache.js';

/** Who calls, for whom, and under which key. */
export interface CallContext {
  readonly tenant: string;
  /** Name of the caller; events carry its pseudonym. */
  readonly actor: string;
  readonly correlationId: string;
  readonly ipAddress?: string | undefined;
  readonly sessionId?: string | undefined;
  readonly idempotency?: IdempotencyRequest | undefined;
  /** A read is to be of what is stored, whatever this process has kept. */
  readonly fresh?: boolean | undefined;
  /** The caller may see sensitive values; without it answers show commitments in their places. */
  readonly maySeeSensitive?: boolean | undefined;
}

/** A record whose stored form does not hold together, as found on a read. */
export interface IntegrityFinding {
  readonly recordType: string;
  readonly id: string;
  readonly revision: number;
  /** Which part: a member of the envelope, `row`, `blob missing`, … Never a value. */
  readonly what: string;
}

/** What tenants have set, as it counts for a call. */
export interface Configurations {
  of(call: CallContext): Promise<TenantConfiguration>;
  statistics(): Readonly<CacheCounts>;
}

export interface StorageManagerOptions {
  readonly ports: StoragePorts;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly directory: Directory;
  readonly secretBox: SecretBox;
  /** What sensitive values are looked up by. */
  readonly blindIndex: BlindIndex;
  /** Key of list cursors; the same on every host. */
  readonly cursorKey: Uint8Array;
  /** The type whose ids have the prefix of this one; undefined when there is none. */
  readonly typeOfId: (id: string) => RecordType | undefined;
  /** The pseudonym that events carry for an actor. */
  readonly pseudonym: (tenant: string, name: string) => Promise<string>;
  /** Called after each commit: somebody may want to seal soon. Must not throw; nothing relies on it. */
  readonly onCommitted?: (partition: PartitionRef) => void;
  /** Called after an entry was added to a record's parts. Must not throw; nothing relies on it. */
  readonly onPartAdded?: (type: RecordType, record: { readonly tenant: string; readonly id: string }) => void;
  /** What tenants have set; absent, each has the defaults. */
  readonly configurations?: Configurations | undefined;
  /** Audits a finding. Its failure does not change the answer. */
  readonly onIntegrityFailure?: (finding: IntegrityFinding, call: CallContext) => Promise<void>;
}

/** A stored revision and its entity tag. */
export interface StoredRecord {
  readonly envelope: Envelope;
  readonly etag: string;
  /** The event of the change that made the revision; absent where what is shown is not just that. */
  readonly eventId?: string | undefined;
  /** How the record is shown to who may not see its sensitive values; absent where it has none, and in answers. */
  readonly hidden?: Hidden;
  /** In answers: sensitive values are shown in clear, whether they were sealed or an older version had them in clear. */
  readonly sensitive?: true;
  /** Only from reads of types that are kept in memory: how this one was answered. */
  readonly served?: Served;
}

/** The data with commitments in the places of its sensitive values, and what opens them. */
export interface Hidden {
  readonly committed: RecordData;
  readonly openings: Openings;
}

/** A revision as it lies there, verified, and what opens its commitments. */
export interface StoredRevision {
  readonly stored: StoredEnvelope;
  readonly secrets: Secrets;
  /** The event of the change that made it. */
  readonly eventId: string;
  /** What is sensitive by now lies there in clear: an older declaration did not seal it. */
  readonly inClear: boolean;
}

/** Whether a read was answered from memory, else why not; `ageMs`: how long ago what was kept was read from storage. */
export interface Served {
  readonly reason: Reason;
  readonly ageMs: number;
}

/** The result of a write; `replayed` when an Idempotency-Key had been answered before. */
export interface WrittenRecord extends StoredRecord {
  readonly replayed: boolean;
  /** The event of what was written, or that it is told by already; absent in a few answers of before there was this. */
  readonly eventId?: string | undefined;
}

export interface WrittenItems {
  readonly items: readonly EnvelopeHead[];
  /** The event of each item. */
  readonly eventIds: readonly string[];
}

export interface WrittenBatch extends WrittenItems {
  readonly replayed: boolean;
}

export interface ListQuery {
  /** Declared filters, combined with AND. */
  readonly filters: Readonly<Record<string, string>>;
  /** Inclusive, milliseconds since 1970. */
  readonly fromMs?: number | undefined;
  /** Exclusive, milliseconds since 1970. */
  readonly toMs?: number | undefined;
  readonly limit: number;
  readonly cursor?: string | undefined;
  /** Members of summaries to be shown, `id` always; left out, all. No part of what a cursor is bound to. */
  readonly fields?: readonly string[] | undefined;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}

export type SummaryPage = Page<Summary>;
