import { isDeepStrictEqual } from 'node:util';
import { actOn, patchData, replaceData, type AcceptedCreate } from '../domain/apply-change.js';
import type { JsonObject } from '../domain/canonical-json.js';
import { AppError, isAppError } from '../domain/errors.js';
import type { DomainContext, RecordData, RecordType } from '../domain/record-type.js';
import { ifMatchHolds, revisionEtag } from './etag.js';
import type { ChangeName } from './new-revision.js';
import type { RecordRow } from './record-row.js';

/** A change of an existing record: pure, from its current data to the next. */
export interface Change {
  readonly next: (current: RecordData, context: DomainContext) => RecordData;
  readonly name: (current: RecordData, next: RecordData) => ChangeName;
  /** `If-Match` as the caller sent it. */
  readonly ifMatch: string | undefined;
  /** Whether `If-Match` must be sent (PATCH). */
  readonly ifMatchRequired: boolean;
}

/** A change, or how it follows from the row of the record it is about, which is read anew for each attempt. */
export type ChangeOrRule = Change | ((row: RecordRow) => Change);

/** Throws `precondition-required` or `version-conflict`. */
export function assertPrecondition(row: RecordRow, change: Change): void {
  if (change.ifMatch === undefined) {
    if (!change.ifMatchRequired) return;
    throw new AppError('precondition-required', 'A PATCH needs If-Match with the ETag that was read.');
  }
  if (!ifMatchHolds(change.ifMatch, revisionEtag(row.revision, row.eventId))) {
    throw new AppError('version-conflict', 'The record has changed since it was read.', {
      evidence: { revision: row.revision },
    });
  }
}

/** A JSON merge patch as a change. */
export function patchChange(type: RecordType, patch: unknown, ifMatch: string | undefined): Change {
  return {
    next: (current, context) => patchData(type, current, patch, context),
    name: (current, next) => ({
      eventType: 'record.updated',
      action: 'patch',
      details: { changed: Object.keys(patch as object).sort(), ...movement(type, current, next) },
    }),
    ifMatch,
    ifMatchRequired: true,
  };
}

/** A PUT on a record that is there as a change. */
export function putChange(
  type: RecordType,
  accept: () => AcceptedCreate,
  ifMatch: string | undefined,
): Change {
  return {
    next: (current, context) => replaceData(type, current, accept(), context),
    name: (current, next) => ({
      eventType: 'record.updated',
      action: 'put',
      details: { changed: changedMembers(current, next), ...movement(type, current, next) },
    }),
    ifMatch,
    ifMatchRequired: false,
  };
}

function changedMembers(current: RecordData, next: RecordData): string[] {
  const members = [...new Set([...Object.keys(current), ...Object.keys(next)])];
  return members.filter((member) => !isDeepStrictEqual(current[member], next[member])).sort();
}

/** A typed action as a change. */
export function actionChange(
  type: RecordType,
  path: string,
  body: unknown,
  ifMatch: string | undefined,
): Change {
  return {
    next: (current, context) => actOn(type, path, current, body, context),
    name: (current, next) => ({
      eventType: 'record.action',
      action: type.actions[path]?.verb ?? path,
      details: movement(type, current, next),
    }),
    ifMatch,
    ifMatchRequired: false,
  };
}

/** A move of the status field, for the event's details: states are declared, so they are never sensitive. */
function movement(type: RecordType, current: RecordData, next: RecordData): JsonObject {
  const field = type.transitions?.field;
  if (field === undefined || current[field] === next[field]) return {};
  return { [field]: { from: String(current[field]), to: String(next[field]) } };
}

/** A refusal after which it is certain that nothing was stored. */
export function isDefiniteRefusal(error: unknown): boolean {
  return isAppError(
    error,
    'record-not-found',
    'precondition-required',
    'version-conflict',
    'record-exists',
    'record-invalid',
    'record-immutable',
    'record-archived',
    'transition-not-allowed',
    'payload-too-large',
  );
}
