import { isFault, StorageFault, type StorageFaultKind } from '../storage/ports.js';

/**
 * The one place that turns what Azure answers into a StorageFault. A code that is not listed falls to its HTTP
 * status; a status that says nothing definite is `refused`, and only silence or trouble at the other end is
 * `unavailable`. Nothing but the four codes of a missing thing is ever `missing`.
 */
const KIND_OF_CODE: Readonly<Record<string, StorageFaultKind>> = {
  EntityAlreadyExists: 'exists',
  BlobAlreadyExists: 'exists',
  TableAlreadyExists: 'exists',
  ContainerAlreadyExists: 'exists',
  QueueAlreadyExists: 'exists',
  PendingCopyOperation: 'exists',

  UpdateConditionNotSatisfied: 'conflict',
  ConditionNotMet: 'conflict',
  TargetConditionNotMet: 'conflict',

  ResourceNotFound: 'missing',
  EntityNotFound: 'missing',
  BlobNotFound: 'missing',
  MessageNotFound: 'missing',
  InvalidBlockList: 'missing',

  AppendPositionConditionNotMet: 'position',
  BlobIsSealed: 'sealed',
  InvalidRange: 'range',
  BlobArchived: 'archived',
  BlobBeingRehydrated: 'archived',

  EntityTooLarge: 'too-large',
  PropertyValueTooLarge: 'too-large',
  KeyValueTooLarge: 'too-large',
  PropertyNameTooLong: 'too-large',
  TooManyProperties: 'too-large',
  InvalidDuplicateRow: 'too-large',
  RequestBodyTooLarge: 'too-large',
  MessageTooLarge: 'too-large',
  BlockCountExceedsLimit: 'too-large',

  ServerBusy: 'unavailable',
  InternalError: 'unavailable',
  OperationTimedOut: 'unavailable',
  // Somebody is making it anew: it will be there, or be missing for good, soon.
  TableBeingDeleted: 'unavailable',
  ContainerBeingDeleted: 'unavailable',
  QueueBeingDeleted: 'unavailable',

  TableNotFound: 'refused',
  ContainerNotFound: 'refused',
  QueueNotFound: 'refused',
  LeaseIdMissing: 'refused',
  LeaseIdMismatchWithBlobOperation: 'refused',
};

const KIND_OF_STATUS: Readonly<Record<number, StorageFaultKind>> = {
  408: 'unavailable',
  412: 'conflict',
  413: 'too-large',
  429: 'unavailable',
  501: 'refused',
};

const NOT_PROVISIONED = new Set(['TableNotFound', 'ContainerNotFound', 'QueueNotFound']);

/** What a service answered, as far as it matters here. */
export interface AzureAnswer {
  readonly status: number;
  readonly code: string | undefined;
}

/** A fault for an answer of the service. `what` names the thing that was called, such as `table decisions`. */
export function faultOfAnswer(answer: AzureAnswer, what: string, cause?: unknown): StorageFault {
  const { status, code } = answer;
  const options = cause === undefined ? undefined : { cause };
  const kind = kindOf(answer);
  if (code !== undefined && NOT_PROVISIONED.has(code))
    return new StorageFault('refused', `the ${what} does not exist`, options);
  const said = code === undefined ? `${status}` : `${status} ${code}`;
  return new StorageFault(kind, `the ${what} answered ${said}`, options);
}

function kindOf({ status, code }: AzureAnswer): StorageFaultKind {
  // Permission comes first: whatever else a 403 says, it is not about the row.
  if (status === 401 || status === 403) return 'refused';
  const known = code === undefined ? undefined : KIND_OF_CODE[code];
  if (known !== undefined) return known;
  return KIND_OF_STATUS[status] ?? (status >= 500 ? 'unavailable' : 'refused');
}

/** Turns anything thrown by the SDK into a fault. */
export function toFault(error: unknown, what: string): StorageFault {
  if (isFault(error)) return error;
  const answer = answerOf(error);
  if (answer !== undefined) return faultOfAnswer(answer, what, error);
  // Our own mistake, not the network's: trying again would hide it.
  if (error instanceof TypeError || error instanceof RangeError || error instanceof URIError)
    return new StorageFault('refused', `the call of the ${what} was not possible`, { cause: error });
  const late = error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError');
  const why = late ? 'did not answer in time' : 'cannot be reached or broke off';
  return new StorageFault('unavailable', `the ${what} ${why}`, { cause: error });
}

interface SdkError {
  readonly statusCode?: unknown;
  readonly code?: unknown;
  readonly details?: {
    readonly errorCode?: unknown;
    readonly code?: unknown;
    readonly odataError?: { readonly code?: unknown };
  };
}

/** Status and code the service answered with; undefined when there was no (whole) answer. */
export function answerOf(error: unknown): AzureAnswer | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const { statusCode, code, details } = error as SdkError;
  if (typeof statusCode !== 'number' || statusCode < 300) return undefined;
  // Half of an error: which of the errors with this status it would have been is not known.
  if (code === 'PARSE_ERROR') return undefined;
  const codes = [details?.errorCode, details?.odataError?.code, details?.code, code];
  return {
    status: statusCode,
    code: codes.find((item) => typeof item === 'string' && item !== '') as string,
  };
}

/**
 * One call of the service under a time limit; whatever it throws becomes a fault. The timer goes with the call:
 * `AbortSignal.timeout` would keep each, with its signal, for the whole limit.
 */
export async function attempt<T>(
  what: string,
  timeoutMs: number,
  call: (abortSignal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), timeoutMs);
  timer.unref();
  try {
    return await call(controller.signal);
  } catch (error) {
    throw toFault(error, what);
  } finally {
    clearTimeout(timer);
  }
}
