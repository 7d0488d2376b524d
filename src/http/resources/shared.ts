import fresh from 'fresh';
import type { ReadAction, ReadShown } from '../../audit/read-auditor.js';
import { AppError } from '../../domain/errors.js';
import type { RecordType } from '../../domain/record-type.js';
import type { StoredRecord, WrittenRecord } from '../../storage/manager-types.js';
import type { PutCondition } from '../../storage/put-writer.js';
import { servedHeaders } from '../cache-headers.js';
import { limitOf } from '../query.js';
import { API_BASE, type Answer, type Input } from '../resource.js';

export const JSON_BODY = ['application/json'] as const;
export const PATCH_BODY = ['application/merge-patch+json', 'application/json'] as const;

/** The record type of the path's collection. Throws `record-not-found`. */
export function typeOf(input: Input): RecordType {
  const type = input.services.types.findByCollection(input.params['collection'] ?? '');
  if (type === undefined) throw new AppError('record-not-found', 'There is no such collection.');
  return type;
}

export function idOf(input: Input): string {
  return input.params['id'] ?? '';
}

/** Address of a record. */
export function recordPath(type: RecordType, id: string): string {
  return `${API_BASE}/${type.collection}/${id}`;
}

/** The answer to a read of one record, which `If-None-Match` may make shorter. */
export function shown(input: Input, record: StoredRecord, action: ReadAction = 'read'): Answer {
  const headers = servedHeaders(record.served);
  return { ...shownAs(input, record, record.envelope, { action }, headers), shows: [storedIn(record)] };
}

/** Like `shown`, for something that follows from a record; `as` is what its event says besides. */
export function shownAs(
  input: Input,
  { envelope, etag, sensitive }: StoredRecord,
  body: unknown,
  as: { readonly action: ReadAction; readonly view?: string },
  more: Readonly<Record<string, string>> = {},
): Answer {
  const headers = { etag, ...more };
  const unchanged = isUnchanged(input, etag);
  const { action, ...details } = as;
  const read = readOf(input, action, envelope.id, {
    revision: envelope.revision,
    ...details,
    sensitive: sensitive === true,
    ...(unchanged ? { not_modified: true } : {}),
  });
  return unchanged ? { status: 304, headers, read } : { status: 200, headers, body, read };
}

/** What the audit trail is told of an answer; nothing of a page that shows nothing. */
export function readOf(
  input: Input,
  action: ReadAction,
  resourceId: string,
  details: ReadShown['details'],
): ReadShown | undefined {
  if (details['count'] === 0) return undefined;
  return { action, resourceType: typeOf(input).recordType, resourceId, details };
}

/** The schema version a record is stored in. */
function storedIn({ envelope }: StoredRecord): string {
  return envelope.stored_schema_version ?? envelope.schema_version;
}

/** The body of a request that creates one record. */
export const theBody = (body: unknown): readonly unknown[] => [body];

/** Whether the caller has what has this tag already. */
export function isUnchanged(input: Input, etag: string): boolean {
  const condition = input.headers.get('if-none-match');
  return condition !== null && fresh({ 'if-none-match': condition }, { etag });
}

/** `If-Match` and `If-None-Match: *` of a PUT. */
export function putConditionOf(input: Input): PutCondition {
  return {
    ifMatch: input.headers.get('if-match') ?? undefined,
    onlyNew: input.headers.get('if-none-match')?.trim() === '*',
  };
}

/** Items of a page: `limit` of the request, else what the tenant has set. Throws `request-malformed`. */
export async function pageItemsOf({ query, services, call }: Input): Promise<number> {
  if (query.has('limit')) return limitOf(query);
  return (await services.configurations.of(call)).list_limit_default;
}

/** The answer to a write of one revision. */
export function written(
  input: Input,
  status: number,
  record: WrittenRecord,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  const { id, revision } = record.envelope;
  return {
    status,
    headers: { etag: record.etag, ...replayed(record), ...headers },
    body: record.envelope,
    shows: [storedIn(record)],
    receipt: receiptOf(record, `${recordPath(typeOf(input), id)}/proof?revision=${String(revision)}`),
  };
}

/** The answer to an addition to a record: what proves it is the proof of its event. */
export function added(input: Input, status: number, record: WrittenRecord): Answer {
  const { eventId = '' } = record;
  return { ...written(input, status, record), receipt: receiptOf(record, eventProofPath(eventId)) };
}

function receiptOf({ eventId }: WrittenRecord, proof: string): Answer['receipt'] {
  return eventId === undefined ? undefined : { eventIds: [eventId], proof };
}

/** Address of the proof of an event. */
export function eventProofPath(eventId: string): string {
  return `${API_BASE}/audit-events/${eventId}/proof`;
}

export function replayed(result: { readonly replayed: boolean }): Readonly<Record<string, string>> {
  return result.replayed ? { 'idempotency-replayed': 'true' } : {};
}
