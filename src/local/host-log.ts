import { pino } from 'pino';

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** What the local host writes about itself and passes on from `context.log`. */
export interface HostLog {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

const LEVELS = new Set(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']);

/**
 * JSON lines on standard output; standard error is kept for the one line that says why the host ended. Synchronous,
 * so that nothing is lost when the process exits.
 */
export function createHostLog(level: string | undefined): HostLog {
  const logger = pino(
    { name: 'host', level: level !== undefined && LEVELS.has(level) ? level : 'info', base: null },
    pino.destination({ fd: 1, sync: true }),
  );
  return {
    debug: (message, fields) => logger.debug(fields ?? {}, message),
    info: (message, fields) => logger.info(fields ?? {}, message),
    warn: (message, fields) => logger.warn(fields ?? {}, message),
    error: (message, fields) => logger.error(fields ?? {}, message),
  };
}

/** The fields under which an error is logged; the stack stays on this machine. */
export function errorFields(error: unknown): LogFields {
  if (!(error instanceof Error)) return { error: String(error) };
  return { error: `${error.name}: ${error.message}`, stack: error.stack };
}
