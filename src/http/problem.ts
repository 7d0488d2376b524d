import { AppError, type ErrorCode } from '../domain/errors.js';
import { isFault } from '../storage/ports.js';

/** Status and title of every error code (http-api.md, Errors). Exhaustive: a new code does not compile without. */
export const PROBLEMS: Readonly<Record<ErrorCode, { readonly status: number; readonly title: string }>> = {
  'request-malformed': { status: 400, title: 'The request cannot be understood' },
  unauthenticated: { status: 401, title: 'Nobody was authenticated' },
  forbidden: { status: 403, title: 'The caller may not do this' },
  'record-not-found': { status: 404, title: 'There is no such record' },
  'method-not-allowed': { status: 405, title: 'The resource does not take this method' },
  'record-exists': { status: 409, title: 'The record exists already' },
  'record-immutable': { status: 409, title: 'This part of the record is final' },
  'transition-not-allowed': { status: 409, title: 'The record is not in a state that allows this' },
  'idempotency-in-progress': { status: 409, title: 'The first request with this key is still running' },
  'record-archived': { status: 409, title: 'The record is archived' },
  'record-on-hold': { status: 409, title: 'The record is on legal hold' },
  'not-yet-sealed': { status: 409, title: 'The event is not yet in the log' },
  'record-erased': { status: 410, title: 'The record was erased' },
  'version-conflict': { status: 412, title: 'The record has changed' },
  'precondition-required': { status: 428, title: 'If-Match is required' },
  'payload-too-large': { status: 413, title: 'The body is too large' },
  'unsupported-media-type': { status: 415, title: 'The body has a media type that is not taken here' },
  'record-invalid': { status: 422, title: 'The body is not valid' },
  'idempotency-key-reused': { status: 422, title: 'The key was used with another body' },
  'rate-limited': { status: 429, title: 'Too many requests' },
  'storage-unavailable': { status: 503, title: 'Storage does not answer' },
  'integrity-failure': { status: 500, title: 'A stored record does not hold together' },
  'internal-error': { status: 500, title: 'The platform failed' },
};

/** RFC 9457 with our extension `errors`. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly instance: string;
  /** Of `record-archived`: where to ask for the record to be brought back. */
  readonly rehydrate?: string;
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[];
}

/** Stable URI of a problem type; `docs/errors.md` describes each. */
export function problemType(code: ErrorCode): string {
  return `urn:business-records:errors#${code}`;
}

/** The problem document of an error. Never a stack, a cause or a submitted value. */
export function problemOf(error: AppError, invocationId: string): Problem {
  const { status, title } = PROBLEMS[error.code];
  const detail = error.code === 'internal-error' ? 'The platform failed; the instance names the log entry.' : error.message; // prettier-ignore
  return {
    type: problemType(error.code),
    title,
    status,
    detail,
    instance: invocationId,
    ...rehydrateOf(error),
    ...(error.code === 'record-invalid' || error.issues.length > 0 ? { errors: error.issues } : {}),
  };
}

function rehydrateOf({ code, evidence }: AppError): Pick<Problem, 'rehydrate'> {
  const { collection, id } = evidence;
  if (code !== 'record-archived' || typeof collection !== 'string' || typeof id !== 'string') return {};
  return { rehydrate: `/api/${collection}/${id}/rehydrate` };
}

/** Whatever was thrown, as an AppError: storage that did not answer is 503, anything unforeseen is a 500. */
export function toAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  if (isFault(thrown, 'unavailable')) {
    return new AppError('storage-unavailable', 'Storage does not answer in time.', {
      cause: thrown,
      retryAfterS: 5,
    });
  }
  return new AppError('internal-error', 'The platform failed.', { cause: thrown });
}
