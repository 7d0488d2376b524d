import { describe, expect, it } from 'vitest';
import { noCounts, TimedCache, type Loaded } from '../../src/storage/timed-cache.js';
import { VirtualClock } from '../support/virtual-clock.js';

interface Value {
  readonly n: number;
}
const TTL = 60_000;
const kept = (n: number, more: Partial<Loaded<Value>> = {}): Loaded<Value> => ({ value: { n }, ttlMs: TTL, bytes: 10, ...more }); // prettier-ignore

/** A cache of numbered loads: each call of the loader is the next number. */
function stage(bounds = { entries: 100, bytes: 1000 }) {
  const clock = new VirtualClock();
  const cache = new TimedCache<Value>(clock, bounds);
  const counts = noCounts();
  let loads = 0;
  const load = () => Promise.resolve(kept((loads += 1)));
  const read = async (key = 'k', fresh = false) => (await cache.read(key, load, counts, fresh)).value.n;
  return { clock, cache, counts, load, read, loads: () => loads };
}

/** A load that ends when a test says so. */
function held() {
  let end: (loaded: Loaded<Value>) => void = () => undefined;
  let fail: (error: Error) => void = () => undefined;
  const promise = new Promise<Loaded<Value>>((resolve, reject) => {
    end = resolve;
    fail = reject;
  });
  return { load: () => promise, end, fail };
}

describe('a value in memory', () => {
  it('is answered for as long as it may be, to the millisecond', async () => {
    const { clock, read, counts } = stage();
    expect([await read(), await read()]).toEqual([1, 1]);
    await clock.advance(TTL);
    expect(await read()).toBe(1);
    await clock.advance(1);
    expect([await read(), await read()]).toEqual([2, 2]);
    expect(counts).toEqual({ ...noCounts(), hits: 3, misses: 2 });
  });

  it('says how it was answered, and how old a hit is', async () => {
    const { clock, cache, counts, load } = stage();
    const said = async (fresh = false) => {
      const { reason, ageMs } = await cache.read('k', load, counts, fresh);
      return [reason, ageMs];
    };
    expect(await said()).toEqual(['miss', 0]);
    await clock.advance(1234);
    expect(await said()).toEqual(['hit', 1234]);
    await clock.advance(TTL);
    expect(await said()).toEqual(['stale', 0]);
    expect(await said(true)).toEqual(['request', 0]);
    expect(await said()).toEqual(['hit', 0]);
  });

  it('is as old as the begin of its load: a slow one may be kept for less, or not at all', async () => {
    const { clock, cache, counts, read } = stage();
    const slow = async (ms: number) => {
      const one = held();
      const found = cache.read('k', one.load, counts);
      await clock.advance(ms);
      one.end(kept(100));
      return (await found).value.n;
    };
    expect(await slow(TTL - 5)).toBe(100);
    await clock.advance(5);
    expect(await read()).toBe(100);
    await clock.advance(1);
    expect(await read()).toBe(1);
    cache.forget('k', counts);
    expect([await slow(TTL), await read()]).toEqual([100, 2]);
  });

  it('does not outlive the time that a suspended machine slept through', async () => {
    const { clock, read } = stage();
    expect(await read()).toBe(1);
    clock.jump(-3_600_000);
    expect(await read()).toBe(1);
    clock.jump(TTL + 1);
    expect(await read()).toBe(2);
    // Two clocks that differ by less than a second are two clocks, not a nap.
    for (let n = 0; n < 100; n += 1) {
      clock.jump(900);
      expect(await read()).toBe(2);
    }
  });

  it('is loaded once for all who ask at once', async () => {
    const { cache, counts } = stage();
    const one = held();
    let loads = 0;
    const load = () => {
      loads += 1;
      return one.load();
    };
    const reads = Array.from({ length: 20 }, () => cache.read('k', load, counts));
    one.end(kept(7));
    const found = await Promise.all(reads);
    expect(found.map(({ value }) => value.n)).toEqual(found.map(() => 7));
    expect(found.map(({ reason }) => reason)).toEqual(['miss', ...Array<string>(19).fill('collapsed')]);
    expect([loads, counts]).toEqual([1, { ...noCounts(), misses: 1, shared: 19 }]);
  });

  it('is not kept when its load says so', async () => {
    const { cache, counts, read } = stage();
    expect(await read()).toBe(1);
    const brief = () => Promise.resolve(kept(50, { ttlMs: 0 }));
    expect((await cache.read('k', brief, counts, true)).value.n).toBe(50);
    expect(await read()).toBe(2);
  });

  it('is no failure: that is the answer of all who waited, and of nobody after them', async () => {
    const { cache, counts, read } = stage();
    const one = held();
    const reads = [cache.read('k', one.load, counts), cache.read('k', one.load, counts)];
    one.fail(new Error('no answer'));
    const ends = await Promise.allSettled(reads);
    expect(ends.map((end) => end.status === 'rejected' && (end.reason as Error).message)).toEqual(['no answer', 'no answer']); // prettier-ignore
    expect(await read()).toBe(1);
  });

  it('is known to the load that follows it, and gone if that fails', async () => {
    const { clock, cache, counts, read } = stage();
    await read();
    await clock.advance(TTL + 1);
    const seen: unknown[] = [];
    const failing = cache.read(
      'k',
      (previous) => {
        seen.push(previous);
        return Promise.reject(new Error('x'));
      },
      counts,
    );
    await expect(failing).rejects.toThrow('x');
    expect([seen, await read()]).toEqual([[{ n: 1 }], 2]);
  });
});

describe('a value that was forgotten', () => {
  it('is loaded again, and counted where there was one', async () => {
    const { cache, counts, read } = stage();
    cache.forget('k', counts);
    await read();
    cache.forget('k', counts);
    expect([await read(), counts]).toEqual([2, { ...noCounts(), misses: 2, invalidated: 1 }]);
  });

  it.each([0, 1, 3])(
    'while it was loaded is for those who waited, beside %i others kept; never kept, nor given to who comes later',
    async (others) => {
      const { cache, counts, read } = stage();
      for (let n = 0; n < others; n += 1) await read(`other ${n}`);
      const old = held();
      const before = cache.read('k', old.load, counts);
      cache.forget('k', counts);
      const now = held();
      const after = cache.read('k', now.load, counts);
      old.end(kept(100));
      expect((await before).value.n).toBe(100);
      const late = cache.read('k', old.load, counts);
      now.end(kept(200));
      expect([(await after).value.n, (await late).value.n, await read()]).toEqual([200, 200, 200]);
    },
  );

  it('while it was loaded is not put back when nobody asks meanwhile', async () => {
    const { cache, counts, read } = stage();
    const old = held();
    const before = cache.read('k', old.load, counts);
    cache.forget('k', counts);
    old.end(kept(100));
    await before;
    expect(await read()).toBe(1);
  });

  it('while its load failed leaves what was loaded after it', async () => {
    const { cache, counts, load, read } = stage();
    const old = held();
    const before = cache.read('k', old.load, counts);
    cache.forget('k', counts);
    await cache.read('k', load, counts);
    old.fail(new Error('no answer'));
    await expect(before).rejects.toThrow('no answer');
    expect(await read()).toBe(1);
  });
});

describe('a fresh read', () => {
  it('loads, and what it loaded is kept', async () => {
    const { read, counts } = stage();
    expect([await read(), await read('k', true), await read()]).toEqual([1, 2, 2]);
    expect(counts).toEqual({ ...noCounts(), misses: 1, bypassed: 1, hits: 1 });
  });

  it('takes nothing from a load that began before it', async () => {
    const { cache, counts, read } = stage();
    const old = held();
    const before = cache.read('k', old.load, counts);
    const fresh = read('k', true);
    old.end(kept(100));
    expect([(await before).value.n, await fresh, await read()]).toEqual([100, 1, 1]);
  });
});

describe('memory', () => {
  it('is bounded by bytes: what was not read for longest goes', async () => {
    const { read, counts } = stage({ entries: 100, bytes: 30 });
    for (const key of ['a', 'b', 'c']) await read(key);
    await read('a');
    await read('d');
    expect(counts).toEqual({ ...noCounts(), misses: 4, hits: 1, evicted: 1 });
    expect([await read('a'), await read('c'), await read('d')]).toEqual([1, 3, 4]);
    expect(await read('b')).toBe(5);
  });

  it('is bounded by how many there are', async () => {
    const { read, counts } = stage({ entries: 2, bytes: 1000 });
    for (const key of ['a', 'b', 'c']) await read(key);
    expect([await read('a'), counts.evicted]).toEqual([4, 2]);
  });

  it('holds nothing that alone is larger than all of it', async () => {
    const { cache, counts, read } = stage({ entries: 100, bytes: 30 });
    await read('small');
    const large = () => Promise.resolve(kept(9, { bytes: 31 }));
    for (let n = 0; n < 2; n += 1) expect((await cache.read('k', large, counts)).value.n).toBe(9);
    expect([await read('small'), counts]).toEqual([1, { ...noCounts(), misses: 3, hits: 1 }]);
  });

  it('is not lost to loads under way: one that is pushed out answers who waits for it', async () => {
    const { cache, counts, read } = stage({ entries: 1, bytes: 1000 });
    const one = held();
    const waiting = cache.read('k', one.load, counts);
    await read('other');
    one.end(kept(100));
    expect((await waiting).value.n).toBe(100);
    expect([await read('other'), await read('k')]).toEqual([1, 2]);
  });
});
