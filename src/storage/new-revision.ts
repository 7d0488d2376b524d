import type { AuditEvent, AuditEventType } from '../domain/audit-event.js';
import type { JsonObject } from '../domain/canonical-json.js';
import { formatTime, parseTime } from '../domain/clock.js';
import { commitData } from '../domain/committed-form.js';
import type { SealedSecrets } from '../domain/commitment.js';
import { storedEnvelope, type StoredEnvelope } from '../domain/envelope.js';
import { carriedSeals } from '../domain/erased.js';
import { AppError } from '../domain/errors.js';
import { LIMITS } from '../domain/limits.js';
import type { RecordData, RecordType } from '../domain/record-type.js';
import { subjectsOf } from '../domain/subjects.js';
import { callEvent } from './call-event.js';
import { blindsOf, type Blinds } from './blinds.js';
import type { Detail } from './detail-store.js';
import type { CallContext, StorageManagerOptions } from './manager-types.js';
import type { RecordRow, RevisionFacts } from './record-row.js';
import { namedIn } from './subject-rows.js';

/** What a change is called in the audit trail. */
export interface ChangeName {
  readonly eventType: AuditEventType;
  readonly action: string;
  /** Never holds a value of the record that could be sensitive. */
  readonly details: JsonObject;
}

/** A revision ready to be placed in a blob and committed. */
export interface NewRevision {
  readonly id: string;
  readonly revision: number;
  readonly storedAt: string;
  readonly action: string;
  readonly detail: Detail;
  readonly blinds: Blinds;
  /** Blind hashes of everybody that the data names. */
  readonly subjects: readonly string[];
  /** The stored envelope as JSON. */
  readonly bytes: Uint8Array;
  readonly event: AuditEvent;
  readonly sealedEvent: SealedSecrets;
}

/**
 * Builds the next revision: committed form, envelope, event. Its time is at least the previous revision's plus one
 * millisecond, whatever the clocks say, so that event ids of a record sort in the order of its revisions
 * (audit-ledger.md, the sealer) and `stored_at` never goes backwards. `before` is the revision it follows, whose erased
 * values it may carry on.
 */
export async function newRevision(
  tools: StorageManagerOptions,
  type: RecordType,
  id: string,
  data: RecordData,
  previous: RecordRow | undefined,
  name: ChangeName,
  call: CallContext,
  before?: StoredEnvelope,
): Promise<NewRevision> {
  const { clock, entropy, secretBox, blindIndex } = tools;
  const previousMs = previous === undefined ? undefined : parseTime(previous.storedAt);
  const storedMs = previousMs === undefined ? clock.now() : Math.max(clock.now(), previousMs + 1);
  const revision = (previous?.revision ?? 0) + 1;
  const patterns = Object.keys(type.sensitive);
  const { committed, secrets } = commitData(data, patterns, entropy);
  const place = { tenant: call.tenant, type: type.recordType, id, revision };
  const sealed =
    Object.keys(secrets).length === 0
      ? {}
      : await secretBox.seal(place, secrets, subjectsOf(data, patterns, type.subjects));
  const carried = carriedSeals(committed, secrets, before);
  const storedAt = formatTime(storedMs);
  const head = { record_type: type.recordType, id, tenant: call.tenant, revision, schema_version: type.schemaVersion, stored_at: storedAt }; // prettier-ignore
  const stored = storedEnvelope(head, committed, { ...sealed, ...carried });
  const bytes = Buffer.from(JSON.stringify(stored), 'utf8');
  if (bytes.length > LIMITS.recordBytes) {
    throw new AppError('payload-too-large', 'The record would grow beyond 8 MiB.');
  }
  const { event, sealed: sealedEvent } = await callEvent(tools, call, {
    timestampMs: storedMs,
    eventType: name.eventType,
    action: name.action,
    resourceType: type.recordType,
    resourceId: id,
    details: name.details,
    change: {
      recordType: type.recordType,
      revision,
      checksum: stored.checksum,
      previousChecksum: previous?.checksum,
    },
  });
  return {
    id,
    revision,
    storedAt,
    action: name.action,
    detail: { stored, data, secrets },
    blinds: await blindsOf(blindIndex, type, call.tenant, data),
    subjects: await namedIn(blindIndex, call.tenant, data, type.subjects),
    bytes,
    event,
    sealedEvent,
  };
}

/** The facts of a new revision once its place is known. */
export function factsOf(
  revision: NewRevision,
  location: RevisionFacts['location'],
  previous: RecordRow | undefined,
): RevisionFacts {
  return {
    id: revision.id,
    revision: revision.revision,
    schemaVersion: revision.detail.stored.schema_version,
    tier: 'hot',
    checksum: revision.detail.stored.checksum,
    previousChecksum: previous?.checksum,
    storedAt: revision.storedAt,
    eventId: revision.event.event_id,
    action: revision.action,
    location,
  };
}
