import type { RecordType } from '../domain/record-type.js';
import type { ExternalEvents } from '../audit/external-events.js';
import type { ActorNames } from '../audit/actor-names.js';
import type { AuditReader } from '../audit/audit-reader.js';
import type { Receipts } from '../audit/receipts.js';
import type { Refusals } from '../audit/refusals.js';
import type { ReadAuditor, ReadShown } from '../audit/read-auditor.js';
import type { AnchorReader } from '../audit/anchors/anchor-reader.js';
import type { EventProofs } from '../audit/event-proofs.js';
import type { LogKeys } from '../audit/log-keys.js';
import type { LogReader } from '../audit/log-reader.js';
import type { ErasureBook } from '../lifecycle/erasure-book.js';
import type { HoldBook } from '../lifecycle/hold-book.js';
import type { JobRunner } from '../lifecycle/job-runner.js';
import type { Inbox } from '../storage/inbox.js';
import type { Authenticate } from '../security/caller.js';
import type { RateLimiter } from '../security/rate-limiter.js';
import type { RouteKind } from '../security/access-table.js';
import type { CallContext } from '../storage/manager-types.js';
import type { Rehydrator } from '../storage/rehydrator.js';
import type { TenantConfigurations } from '../storage/tenant-configurations.js';
import type { UnifiedStorageManager } from '../storage/unified-storage-manager.js';
import type { Log } from '../telemetry/log.js';

/** Path prefix of every route (host.json, `routePrefix`). */
export const API_BASE = '/api';

/** The verifiable log, as it is served. */
export interface LogServices {
  readonly reader: Pick<LogReader, 'checkpoint' | 'tile'>;
  readonly proofs: EventProofs;
  readonly anchors: Pick<AnchorReader, 'find' | 'published'>;
  readonly vkeys: LogKeys['vkeys'];
}

/** What HTTP handlers need of the platform; `composition.ts` provides it. */
export interface HttpServices {
  readonly manager: UnifiedStorageManager;
  readonly configurations: TenantConfigurations;
  readonly types: {
    readonly types: readonly RecordType[];
    findByCollection(collection: string): RecordType | undefined;
  };
  readonly inbox: Inbox;
  readonly rehydrator: Pick<Rehydrator, 'request'>;
  readonly auditReader: AuditReader;
  readonly actorNames: ActorNames;
  readonly readAuditor: Pick<ReadAuditor, 'note'>;
  readonly auditLog: LogServices;
  readonly externalEvents: ExternalEvents;
  readonly holds: Pick<HoldBook, 'place' | 'release' | 'get' | 'list'>;
  readonly erasures: Pick<ErasureBook, 'request' | 'get' | 'list'>;
  readonly jobs: Pick<JobRunner, 'list' | 'knows' | 'start' | 'tryOut' | 'suspend' | 'resume'>;
  readonly rateLimiter: Pick<RateLimiter, 'admitCaller' | 'admitAddress'>;
  readonly log: Log;
  readonly authenticate: Authenticate;
  /** Waits for events to be sealed. */
  readonly receipts: Pick<Receipts, 'now' | 'sealed'>;
  /** Told of every 401 and 403. */
  readonly refusals: Pick<Refusals, 'count'>;
  /** Resolves when storage answers; throws `storage-unavailable`. */
  readonly checkStorage: () => Promise<void>;
}

/** What an operation of a resource gets: everything parsed that is common to all. */
export interface Input {
  readonly services: HttpServices;
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly headers: { get(name: string): string | null };
  /** Parsed JSON; undefined where the operation takes no body. */
  readonly body: unknown;
  readonly call: CallContext;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON; absent for 304. */
  readonly body?: unknown;
  /** Schema versions that the records it shows are stored in: deprecated ones are announced. */
  readonly shows?: readonly unknown[];
  /** What it shows of records to somebody who reads, for the audit trail; nothing that a change has told already. */
  readonly read?: ReadShown | undefined;
  /** Of a write: the events that tell of it, and the address of their proof, where it is one. */
  readonly receipt?: { readonly eventIds: readonly string[]; readonly proof?: string } | undefined;
  /** Sent as it is, instead of `body`. */
  readonly content?: Content;
}

/** A body that is no record: a page, a script, a document that is written already. */
export interface Content {
  /** Media type. */
  readonly type: string;
  readonly bytes: Uint8Array;
}

/** One method of a resource. */
export interface Operation {
  /** The row of the access table that says who may. */
  readonly permission: RouteKind;
  /** Where the last segment of an address tells what is there: every kind it may be, and which it is, if any. */
  readonly kinds?: {
    readonly all: readonly RouteKind[];
    readonly of: (type: RecordType, params: Readonly<Record<string, string>>) => RouteKind | undefined;
  };
  /** Media types of the body; absent when the operation takes none. */
  readonly accepts?: readonly string[];
  /** Bytes; default 1 MiB. */
  readonly bodyLimit?: number;
  /** Query parameters it knows; others are refused. `'*'` leaves that to the operation. */
  readonly query?: readonly string[] | '*';
  /** The bodies of creates in its body, which may name a schema version; absent where it creates nothing. */
  readonly creates?: (body: unknown) => readonly unknown[];
  readonly run: (input: Input) => Promise<Answer>;
}

/** The methods of one route. */
export type Resource = Readonly<Partial<Record<'GET' | 'POST' | 'PUT' | 'PATCH', Operation>>>;
