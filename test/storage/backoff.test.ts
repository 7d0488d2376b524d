import { describe, expect, it } from 'vitest';
import type { Clock, Entropy } from '../../src/domain/clock.js';
import { LIMITS } from '../../src/domain/limits.js';
import { Budget } from '../../src/storage/backoff.js';
import { StorageFault } from '../../src/storage/ports.js';

/** A clock that passes only by sleeping, and remembers for how long it slept. */
class SleepingClock implements Clock {
  readonly slept: number[] = [];
  #at = 1_000_000;
  now = (): number => 0;
  monotonic = (): number => this.#at;
  pass(ms: number): void {
    this.#at += ms;
  }
  async sleep(ms: number): Promise<void> {
    this.slept.push(ms);
    this.pass(ms);
  }
}

/** Entropy of one value: 255 is the whole of a wait, 0 its least part. */
const always = (value: number): Entropy => ({ bytes: (count) => new Uint8Array(count).fill(value) });
const silent = (): StorageFault => new StorageFault('unavailable', 'no answer');

async function pauses(count: number, jitter: number, ...bounds: number[]): Promise<readonly number[]> {
  const clock = new SleepingClock();
  const budget = new Budget(clock, always(jitter));
  for (let at = 0; at < count; at += 1) await budget.pause('busy', ...bounds);
  return clock.slept;
}

describe('the pauses of a budget', () => {
  it('double up to two seconds', async () => {
    expect(await pauses(9, 255)).toEqual([25, 50, 100, 200, 400, 800, 1600, 2000, 2000]);
  });

  it('are cut by chance to no less than a quarter, in whole milliseconds', async () => {
    expect(await pauses(9, 0)).toEqual([7, 13, 25, 50, 100, 200, 400, 500, 500]);
    expect(await pauses(3, 85)).toEqual([13, 25, 50]);
  });

  it('begin and end where the caller says', async () => {
    expect(await pauses(8, 255, 5, 250)).toEqual([5, 10, 20, 40, 80, 160, 250, 250]);
  });
});

describe('a budget', () => {
  it('begins no pause that would reach its end, and says why it gave up', async () => {
    const clock = new SleepingClock();
    const budget = new Budget(clock, always(255), 75);
    const cause = silent();
    await budget.pause(cause);
    await expect(budget.pause(cause)).rejects.toMatchObject({
      code: 'storage-unavailable',
      retryAfterS: 5,
      cause,
    });
    expect(clock.slept).toEqual([25]);
    const longer = new Budget(clock, always(255), 76);
    await longer.pause(cause);
    await longer.pause(cause);
    expect(clock.slept).toEqual([25, 25, 50]);
  });

  it('is spent when its time is over, which is twenty seconds unless said', () => {
    const clock = new SleepingClock();
    const budget = new Budget(clock, always(0));
    clock.pass(LIMITS.storageBudgetMs - 1);
    expect(budget.spent).toBe(false);
    clock.pass(1);
    expect(budget.spent).toBe(true);
    expect(LIMITS.storageBudgetMs).toBe(20_000);
  });

  it('repeats a call that was not answered, telling it which try it is', async () => {
    const tries: number[] = [];
    const budget = new Budget(new SleepingClock(), always(0));
    const answer = await budget.retry(async (attempt) => {
      tries.push(attempt);
      if (attempt < 3) throw silent();
      return 'done';
    });
    expect([answer, tries]).toEqual(['done', [1, 2, 3]]);
  });

  it('lets every other failure pass at once', async () => {
    const clock = new SleepingClock();
    const budget = new Budget(clock, always(0));
    for (const fault of [new StorageFault('conflict', 'moved'), new Error('a mistake of ours')]) {
      await expect(budget.retry(() => Promise.reject(fault))).rejects.toBe(fault);
    }
    expect(clock.slept).toEqual([]);
  });
});
