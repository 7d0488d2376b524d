import pino from 'pino';
import { isAppError, type AppError } from '../domain/errors.js';
import { StorageFault } from '../storage/ports.js';

/** Structured logs to standard error. Fields are listed here one by one: whole objects are never logged. */
export interface Log {
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  failure(error: AppError, where: LogFields): void;
}

export interface LogFields {
  readonly invocationId?: string;
  readonly functionName?: string;
  readonly tenant?: string;
  readonly count?: number;
  readonly reason?: string;
  /** Numbers by what they count. */
  readonly counts?: Readonly<Record<string, number>>;
}

/** Where lines of a log go. */
export interface LogDestination {
  write(line: string): void;
}

/** `level` as pino names them; `silent` for tests. Goes to standard error, or where a test reads it. */
export function createLog(level: string, destination?: LogDestination): Log {
  const logger = pino({ level, base: null }, destination ?? pino.destination({ dest: 2, sync: true }));
  const pick = ({ invocationId, functionName, tenant, count, reason, counts }: LogFields = {}): LogFields =>
    JSON.parse(JSON.stringify({ invocationId, functionName, tenant, count, reason, counts })) as LogFields;
  return {
    info: (message, fields) => {
      logger.info(pick(fields), message);
    },
    warn: (message, fields) => {
      logger.warn(pick(fields), message);
    },
    failure: (error, where) => {
      logger.error(
        { ...pick(where), code: error.code, evidence: error.evidence, cause: causeOf(error) },
        error.message,
      );
    },
  };
}

/** What a log says of an error: the words where they are ours, else the class, for other words may quote data. */
export function saidOf(error: unknown): string {
  if (error instanceof StorageFault || isAppError(error)) return String(error);
  return error instanceof Error ? error.name : typeof error;
}

/** What is underneath, by class and place; messages of unknown errors may quote data and are left out. */
function causeOf(error: AppError): readonly string[] {
  const chain: string[] = [];
  let cause: unknown = error.cause;
  for (let depth = 0; depth < 5 && cause instanceof Error; depth += 1) {
    const said = cause instanceof StorageFault ? `${cause.kind}: ${cause.message}` : '';
    const at =
      cause.stack
        ?.split('\n')
        .find((line) => line.trim().startsWith('at '))
        ?.trim() ?? '';
    chain.push([cause.name, said, at].filter((part) => part !== '').join(' | '));
    cause = cause.cause;
  }
  return chain;
}
