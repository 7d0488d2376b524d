import { describe, expect, it } from 'vitest';
import type { RegisteredFunction } from '../../src/local/functions-core.js';
import type { Invoke } from '../../src/local/invocation.js';
import { parseSchedule, prepareTimer } from '../../src/local/timers.js';
import { recordingLog, until } from './support.js';

const timer = (binding: object): RegisteredFunction => ({
  metadata: { name: 'sweep', bindings: { t: { type: 'timerTrigger', direction: 'in', ...binding } } },
  callback: () => undefined,
});

const next = (schedule: string, from: string): string | undefined => {
  const cron = parseSchedule(schedule, 'sweep', () => undefined);
  return cron.nextRun(new Date(from))?.toISOString();
};

/** Lets this many occurrences of an every-second schedule pass, as another timer sees them. */
async function occurrences(count: number): Promise<void> {
  let seen = 0;
  const invoke: Invoke = async () => {
    seen += 1;
    return {};
  };
  const fn = timer({ schedule: '* * * * * *' });
  const witness = prepareTimer(fn, { env: {}, log: recordingLog(), invoke }).start();
  await until(() => seen >= count, `${count} occurrences`);
  await witness.stop(1_000);
}

describe('a schedule', () => {
  it.each([
    ['*/15 * * * * *', '2026-01-01T00:00:01Z', '2026-01-01T00:00:15.000Z'],
    ['0 */5 * * * *', '2026-01-01T00:01:00Z', '2026-01-01T00:05:00.000Z'],
    ['0 30 9 * * MON-FRI', '2026-01-03T00:00:00Z', '2026-01-05T09:30:00.000Z'],
    ['0 0 0 1 jan *', '2026-02-01T00:00:00Z', '2027-01-01T00:00:00.000Z'],
    ['0 5/20 * * * *', '2026-01-01T00:06:00Z', '2026-01-01T00:25:00.000Z'],
    // Day of month and day of week must both hold: the first Monday 13th after that day.
    ['0 0 0 13 * 1', '2026-01-01T00:00:00Z', '2026-04-13T00:00:00.000Z'],
  ])('%s occurs after %s at %s', (schedule, from, expected) => {
    expect(next(schedule, from)).toBe(expected);
  });

  it.each([
    '* * * * *',
    '61 * * * * *',
    '@daily',
    '0 0 0 L * *',
    '0 0 0 ? * *',
    '0 0 0 * * MON#1',
    '00:05:00',
    '0 0 0 31 2 *',
    '0 0 0 * FOO *',
    '',
  ])('"%s" is refused in one line that quotes it', (schedule) => {
    const parse = (): unknown => parseSchedule(schedule, 'sweep', () => undefined);
    expect(parse).toThrow(`the schedule "${schedule}" of function "sweep" is not valid`);
  });

  it('comes from the setting it names', () => {
    const environment = { log: recordingLog(), invoke: (async () => ({})) as Invoke };
    const fn = timer({ schedule: '%WHEN%' });
    expect(() => prepareTimer(fn, { ...environment, env: { WHEN: '0 0 * * * *' } })).not.toThrow();
    expect(() => prepareTimer(fn, { ...environment, env: {} })).toThrow(/needs the setting WHEN/);
    expect(() => prepareTimer(fn, { ...environment, env: { WHEN: 'never' } })).toThrow(/"never"/);
  });
});

describe('a timer', () => {
  it('runs on its schedule, one run at a time, and goes on after a failure', async () => {
    const log = recordingLog();
    let running = 0;
    let most = 0;
    let runs = 0;
    let release = (): void => undefined;
    const invoke: Invoke = async () => {
      runs += 1;
      most = Math.max(most, (running += 1));
      if (runs === 1) await new Promise<void>((resolve) => (release = resolve));
      running -= 1;
      if (runs === 2) throw new Error('once');
      return {};
    };
    const prepared = prepareTimer(timer({ schedule: '* * * * * *', runOnStartup: true }), {
      env: {},
      log,
      invoke,
    });
    const started = prepared.start();
    await until(() => runs === 1, 'the run at start');
    await occurrences(2);
    expect(runs).toBe(1);
    release();
    await until(() => runs >= 3, 'runs after a failure');
    await started.stop(1_000);
    expect(most).toBe(1);
    expect(log.lines.map((line) => line.message)).toEqual(['a timer function failed']);
    const after = runs;
    await occurrences(2);
    expect(runs).toBe(after);
  });

  it('waits for its run when it is stopped, within a limit', async () => {
    const log = recordingLog();
    let release = (): void => undefined;
    let finished = false;
    const invoke: Invoke = async () => {
      await new Promise<void>((resolve) => (release = resolve));
      finished = true;
      return {};
    };
    const fn = timer({ schedule: '0 0 0 1 1 *', runOnStartup: true });
    const started = prepareTimer(fn, { env: {}, log, invoke }).start();
    const stopped = started.stop(5_000);
    release();
    await stopped;
    expect(finished).toBe(true);

    const stuck = prepareTimer(fn, { env: {}, log, invoke: () => new Promise(() => undefined) }).start();
    await stuck.stop(20);
    expect(log.lines.at(-1)?.message).toMatch(/still running/);
  });
});
