import { LIMITS } from '../domain/limits.js';

/** A part of every day, in minutes of it, UTC; from inclusive, to exclusive. It may go over midnight. */
export interface DailyWindow {
  readonly fromMinute: number;
  readonly toMinute: number;
}

/** What the timer of the job `migrate` does (REQ-STO-017, steps 3 to 5). Who starts it by hand says so himself. */
export interface MigrateSettings {
  /** False: nothing. */
  readonly enabled: boolean;
  /** Counts and validates, and writes nothing. */
  readonly dryRun: boolean;
  /** Records of each type that a round takes on at most; undefined: all. */
  readonly sample: number | undefined;
  /** Undefined: always. */
  readonly window: DailyWindow | undefined;
}

const MINUTES = 24 * 60;

/** `on`, `off`, `dry-run` or `sample:<1 to 1,000,000>`; undefined for anything else. Pure. */
export function parseMode(text: string): Omit<MigrateSettings, 'window'> | undefined {
  const [, sample] = /^sample:([1-9]\d{0,6})$/.exec(text) ?? [];
  if (sample !== undefined)
    return Number(sample) > LIMITS.sampleRecords
      ? undefined
      : { enabled: true, dryRun: false, sample: Number(sample) };
  if (!['on', 'off', 'dry-run'].includes(text)) return undefined;
  return { enabled: text !== 'off', dryRun: text === 'dry-run', sample: undefined };
}

/** `22:00-04:00`; undefined for anything else, also for a window that ends when it begins. Pure. */
export function parseWindow(text: string): DailyWindow | undefined {
  const match = /^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)$/.exec(text);
  if (match === null) return undefined;
  const [fromHour = 0, from = 0, toHour = 0, to = 0] = match.slice(1).map(Number);
  const window = { fromMinute: fromHour * 60 + from, toMinute: toHour * 60 + to };
  return window.fromMinute === window.toMinute ? undefined : window;
}

/** Whether a time, milliseconds since 1970, is in a window. Pure. */
export function inWindow({ fromMinute, toMinute }: DailyWindow, ms: number): boolean {
  const minute = Math.floor(ms / 60_000) % MINUTES;
  if (fromMinute < toMinute) return minute >= fromMinute && minute < toMinute;
  return minute >= fromMinute || minute < toMinute;
}
