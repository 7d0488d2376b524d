/**
 * Every failure the platform answers with. One class, one code per failure; two exhaustive tables turn a code
 * into an HTTP status (`http/problem.ts`) and into a queue disposition (`queue/disposition.ts`), so a new code
 * does not compile until both know it.
 */
export const ERROR_CODES = [
  'request-malformed',
  'unauthenticated',
  'forbidden',
  'record-not-found',
  'method-not-allowed',
  'record-exists',
  'record-immutable',
  'transition-not-allowed',
  'idempotency-in-progress',
  'record-archived',
  'record-on-hold',
  'not-yet-sealed',
  'record-erased',
  'version-conflict',
  'precondition-required',
  'payload-too-large',
  'unsupported-media-type',
  'record-invalid',
  'idempotency-key-reused',
  'rate-limited',
  'storage-unavailable',
  'integrity-failure',
  'internal-error',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** One fault in submitted input: an RFC 6901 pointer into the request body and what is wrong there. */
export interface Issue {
  readonly pointer: string;
  readonly detail: string;
}

export interface AppErrorOptions {
  /** What went wrong underneath. For logs only: it is never part of an answer. */
  readonly cause?: unknown;
  /** Facts for logs and audit (ids, revisions). Never a submitted value. */
  readonly evidence?: Readonly<Record<string, string | number | boolean>>;
  /** Where the input is at fault; only with `record-invalid`, and `request-malformed` where a place can be named. */
  readonly issues?: readonly Issue[];
  /** Seconds after which trying again makes sense. */
  readonly retryAfterS?: number;
  /** Methods that the resource does allow; only with `method-not-allowed`. */
  readonly allow?: readonly string[];
}

/** The only error that crosses a folder boundary. `message` is written for the caller and holds no secret. */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly evidence: Readonly<Record<string, string | number | boolean>>;
  readonly issues: readonly Issue[];
  readonly retryAfterS: number | undefined;
  readonly allow: readonly string[];

  constructor(
    readonly code: ErrorCode,
    message: string,
    options: AppErrorOptions = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.evidence = options.evidence ?? {};
    this.issues = options.issues ?? [];
    this.retryAfterS = options.retryAfterS;
    this.allow = options.allow ?? [];
  }
}

/** True for an AppError, with one of `codes` if any are given. */
export function isAppError(error: unknown, ...codes: readonly ErrorCode[]): error is AppError {
  return error instanceof AppError && (codes.length === 0 || codes.includes(error.code));
}

/** `record-invalid` with its list of issues. */
export function invalid(issues: readonly Issue[]): AppError {
  return new AppError('record-invalid', 'The body does not describe a valid record.', { issues });
}
