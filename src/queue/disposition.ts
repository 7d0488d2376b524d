import type { ErrorCode } from '../domain/errors.js';

/** What becomes of a message that failed with a code: delivered again, or set aside for an operator. */
export type Disposition = 'retry' | 'poison';

/** Exhaustive: a new code does not compile until it is decided whether trying again can help. */
export const DISPOSITIONS: Readonly<Record<ErrorCode, Disposition>> = {
  'request-malformed': 'poison',
  unauthenticated: 'poison',
  forbidden: 'poison',
  'record-not-found': 'poison',
  'method-not-allowed': 'poison',
  'record-exists': 'poison',
  'record-immutable': 'poison',
  'transition-not-allowed': 'poison',
  'idempotency-in-progress': 'retry',
  'record-archived': 'poison',
  'record-on-hold': 'poison',
  'not-yet-sealed': 'retry',
  'record-erased': 'poison',
  'version-conflict': 'poison',
  'precondition-required': 'poison',
  'payload-too-large': 'poison',
  'unsupported-media-type': 'poison',
  'record-invalid': 'poison',
  'idempotency-key-reused': 'poison',
  'rate-limited': 'retry',
  'storage-unavailable': 'retry',
  'integrity-failure': 'poison',
  'internal-error': 'retry',
};
