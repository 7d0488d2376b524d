import { SEALED_EVENT_TYPE, eventText, type AuditEvent } from '../domain/audit-event.js';
import type { SealedSecrets, SecretBox, Secrets } from '../domain/commitment.js';
import { pendingEventKey } from './keys.js';
import type { RowOperation } from './ports.js';
import { withRowChecksum } from './row-checksum.js';
import { SUBJECTS_COLUMN } from './subject-rows.js';
import { textColumns } from './text-columns.js';

/**
 * Seals what an event has committed to; nothing where it has nothing to hide. All of it is about `actorName`, whose
 * address and session it is.
 */
export async function sealEvent(
  secretBox: SecretBox,
  event: AuditEvent,
  secrets: Secrets,
  actorName: string,
): Promise<SealedSecrets> {
  if (Object.keys(secrets).length === 0) return {};
  const place = { tenant: event.tenant, type: SEALED_EVENT_TYPE, id: event.event_id, revision: 0 };
  const subjects = Object.fromEntries(Object.keys(secrets).map((pointer) => [pointer, [actorName]]));
  return secretBox.seal(place, secrets, subjects);
}

/**
 * The row `o:<event id>` of an event that is committed with what a record has become; `revision` where that is one.
 * `subjects`: blind hashes of whom it names, for the index of subjects (docs/erasure.md).
 */
export function pendingEvent(
  partitionKey: string,
  event: AuditEvent,
  sealed: SealedSecrets,
  record: { readonly id: string; readonly revision?: number },
  subjects: readonly string[] = [],
): RowOperation {
  const rowKey = pendingEventKey(event.event_id);
  const properties = {
    event: eventText(event),
    record_id: record.id,
    ...(record.revision === undefined ? {} : { revision: record.revision }),
    schema_version: event.schema_version,
    ...(Object.keys(sealed).length === 0 ? {} : { sealed: JSON.stringify(sealed) }),
    ...(subjects.length === 0 ? {} : textColumns(SUBJECTS_COLUMN, subjects.join(' '))),
  };
  return { kind: 'insert', rowKey, properties: withRowChecksum(partitionKey, rowKey, properties) };
}
