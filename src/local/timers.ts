import { Cron } from 'croner';
import { resolveSettings } from './app-setting.js';
import { within } from './bounded.js';
import type { RegisteredFunction } from './functions-core.js';
import { errorFields, type HostLog } from './host-log.js';
import { triggerOf, type Invoke } from './invocation.js';
import { dotnetTime } from './queue-function.js';
import type { Stoppable } from './queue-listener.js';
import { StartError, firstLine } from './start-error.js';

export interface TimerEnvironment {
  readonly env: NodeJS.ProcessEnv;
  readonly log: HostLog;
  readonly invoke: Invoke;
}

/** A timer that was checked and can be started. */
export interface PreparedTimer {
  start(): Stoppable;
}

/** NCRONTAB is narrower than cron: no nicknames, `?`, `L`, `W` or `#`. */
const NCRONTAB = /^[\d*,/\-A-Za-z]+(?: [\d*,/\-A-Za-z]+){5}$/;
const NAMES = /^(?:JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC|SUN|MON|TUE|WED|THU|FRI|SAT)$/i;

/** Checks an NCRONTAB schedule of six fields, seconds first, in UTC. */
export function parseSchedule(text: string, functionName: string, onTick: () => void): Cron {
  const schedule = text.trim().replace(/\s+/g, ' ');
  const refused = (why: string): StartError =>
    new StartError(`the schedule "${text}" of function "${functionName}" is not valid: ${why}`);
  if (!NCRONTAB.test(schedule)) throw refused('it needs six fields, seconds first');
  if (!(schedule.match(/[A-Za-z]+/g) ?? []).every((word) => NAMES.test(word))) throw refused('unknown name');
  try {
    const cron = new Cron(
      schedule,
      // NCRONTAB wants day of month and day of week to hold both, and reads 5/15 as "from 5, every 15".
      { mode: '6-part', timezone: 'UTC', domAndDow: true, sloppyRanges: true, paused: true },
      onTick,
    );
    if (cron.nextRun() === null) throw new Error('it never occurs');
    return cron;
  } catch (error) {
    throw refused(firstLine(error));
  }
}

/** Prepares a function with a timer trigger. Throws a StartError for a schedule that is not valid. */
export function prepareTimer(fn: RegisteredFunction, { env, log, invoke }: TimerEnvironment): PreparedTimer {
  const { name } = fn.metadata;
  const { schedule, runOnStartup } = triggerOf(fn).binding;
  let running: Promise<void> | undefined;
  let last: number | undefined;

  const run = async (): Promise<void> => {
    const now = Date.now();
    const status = {
      // The default of a .NET date: there was no run before.
      Last: last === undefined ? '0001-01-01T00:00:00' : dotnetTime(last),
      LastUpdated: dotnetTime(now),
      Next: dotnetTime(cron.nextRun()?.getTime() ?? now),
    };
    last = now;
    const info = { Schedule: { AdjustForDST: true }, ScheduleStatus: status, IsPastDue: false };
    try {
      await invoke(fn, { data: { json: JSON.stringify(info) } });
    } catch (error) {
      log.error('a timer function failed', { function: name, ...errorFields(error) });
    }
  };
  // One run at a time: an occurrence that comes while the last one is still at work is skipped.
  const tick = (): void => {
    running ??= run().finally(() => (running = undefined));
  };
  const text = resolveSettings(String(schedule), env, `the schedule of function "${name}"`);
  const cron = parseSchedule(text, name, tick);

  return {
    start: () => {
      cron.resume();
      if (runOnStartup === true) tick();
      return {
        stop: async (limitMs) => {
          cron.stop();
          if (running !== undefined && !(await within(limitMs, running)))
            log.warn('a timer function was still running at the end', { function: name });
        },
      };
    },
  };
}
