import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/domain/limits.js';
import { parseRateLimit, take, untilNextMs, type Bucket } from '../../src/security/rate-limit.js';
import { RateLimiter, type RateLimits } from '../../src/security/rate-limiter.js';
import { VirtualClock } from '../support/virtual-clock.js';

const limits = fc.record({
  perSecond: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 1_000_000 })),
  burst: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 1_000_000 })),
});
/** Waits between requests, whole milliseconds, most of them short, and what each asks for. */
const requests = fc.array(
  fc.tuple(fc.oneof(fc.constant(0), fc.nat(3), fc.nat(100_000)), fc.integer({ min: 1, max: 50 })),
  { minLength: 1, maxLength: 60 },
);

describe('a token bucket', () => {
  it('lets at most burst + rate × time through, in any span of time', () => {
    fc.assert(
      fc.property(limits, requests, (limit, asked) => {
        let bucket: Bucket | undefined;
        let nowMs = 0;
        const passed: { atMs: number; cost: number }[] = [];
        for (const [waitedMs, cost] of asked) {
          nowMs += waitedMs;
          const taken = take(limit, bucket, nowMs, cost);
          bucket = taken.bucket;
          if (taken.allowed) passed.push({ atMs: nowMs, cost });
        }
        for (let from = 0; from < passed.length; from += 1) {
          let sum = 0;
          for (const { atMs, cost } of passed.slice(from)) {
            sum += cost;
            const span = atMs - (passed[from]?.atMs ?? 0);
            // Thousandths, so that the bound is exact.
            expect(sum * 1000).toBeLessThanOrEqual(limit.burst * 1000 + limit.perSecond * span);
          }
        }
      }),
    );
  });

  it('gives all of that to who asks for it steadily', () => {
    fc.assert(
      fc.property(limits, fc.integer({ min: 1, max: 50 }), (limit, steps) => {
        // What comes back between two requests, with a part of one that was left, is no more than the bucket holds.
        fc.pre(limit.burst >= 2 && limit.burst * 1000 >= 2 * limit.perSecond);
        const stepMs = Math.floor((limit.burst * 500) / limit.perSecond);
        let bucket = take(limit, undefined, 0, limit.burst).bucket;
        let got = 0;
        for (let step = 1; step <= steps; step += 1) {
          const { left } = take(limit, bucket, step * stepMs, 0);
          bucket = take(limit, bucket, step * stepMs, left).bucket;
          got += left;
          expect(got).toBe(Math.floor((limit.perSecond * step * stepMs) / 1000));
        }
      }),
    );
  });

  it('takes nothing from who is refused, and says exactly when to come again', () => {
    fc.assert(
      fc.property(limits, fc.integer({ min: 1, max: 50 }), fc.nat(10_000), (limit, cost, atMs) => {
        fc.pre(cost <= limit.burst);
        const empty = take(limit, undefined, atMs, limit.burst).bucket;
        const refused = take(limit, empty, atMs, cost);
        expect(refused).toMatchObject({ allowed: false, bucket: empty, left: 0 });
        expect(take(limit, refused.bucket, atMs + refused.waitMs - 1, cost).allowed).toBe(false);
        expect(take(limit, refused.bucket, atMs + refused.waitMs, cost)).toMatchObject({ allowed: true, waitMs: 0 }); // prettier-ignore
      }),
    );
  });

  it('tells when one more will be there', () => {
    fc.assert(
      fc.property(limits, fc.integer({ min: 1, max: 50 }), (limit, cost) => {
        fc.pre(cost <= limit.burst);
        const { bucket, left } = take(limit, undefined, 0, cost);
        const nextMs = untilNextMs(limit, bucket);
        expect(take(limit, bucket, nextMs - 1, 0).left).toBe(left);
        expect(take(limit, bucket, nextMs, 0).left).toBeGreaterThan(left);
      }),
    );
  });

  it('never lets more through than it holds, however long it waits', () => {
    const limit = { perSecond: 10, burst: 3 };
    expect(take(limit, undefined, 0, 4)).toMatchObject({ allowed: false, waitMs: Infinity, left: 3 });
    const { bucket } = take(limit, undefined, 0, 3);
    expect(take(limit, bucket, 1e13, 0).left).toBe(3);
  });

  it('gives nothing for a clock that goes back, nor for the time until it is where it was', () => {
    const limit = { perSecond: 1000, burst: 1 };
    const { bucket } = take(limit, undefined, 10, 1);
    const back = take(limit, bucket, 0, 1);
    expect(back).toMatchObject({ allowed: false, left: 0 });
    expect(take(limit, back.bucket, 10, 1).allowed).toBe(false);
    expect(take(limit, back.bucket, 11, 1).allowed).toBe(true);
  });

  it.each([
    ['2000', { perSecond: 2000, burst: 2000 }],
    ['20:1', { perSecond: 20, burst: 1 }],
    ['1000000:1000000', { perSecond: 1_000_000, burst: 1_000_000 }],
    ['0', 'none'],
  ])('is read from %s', (text, limit) => {
    expect(parseRateLimit(text)).toEqual(limit);
  });

  it.each(['', '00', '0:5', '5:0', '05', '1e3', '1.5', '-1', '1000001', '1:1000001', '5:', ' 5'])(
    'is not read from %j',
    (text) => {
      expect(parseRateLimit(text)).toBeUndefined();
    },
  );
});

const LOW: RateLimits = {
  caller: { perSecond: 1, burst: 2 },
  tenant: { perSecond: 1, burst: 3 },
  address: { perSecond: 1, burst: 1 },
};

describe('the rate limiter', () => {
  it('uses nothing of a tenant up for a caller who is refused, and nothing of a caller for a tenant that is', () => {
    const limiter = new RateLimiter(LOW, new VirtualClock());
    const admit = (actor: string) => limiter.admitCaller({ tenant: 'acme', actor });
    const left = (actor: string) => admit(actor).standings.map((one) => one.left);
    expect([left('ann'), left('ann')]).toEqual([[1, 2], [0, 1]]); // prettier-ignore
    for (let more = 0; more < 10; more += 1) expect(left('ann')).toEqual([0, 1]);
    expect(left('bob')).toEqual([1, 0]);
    expect(admit('bob')).toMatchObject({ allowed: false, retryAfterS: 1 });
    expect(left('bob')).toEqual([1, 0]);
  });

  it('waits for the slowest of the limits', async () => {
    const clock = new VirtualClock();
    const slow = { perSecond: 1, burst: 1 };
    const limiter = new RateLimiter({ ...LOW, caller: { perSecond: 1000, burst: 1 }, tenant: slow }, clock);
    const admit = () => limiter.admitCaller({ tenant: 'acme', actor: 'ann' });
    expect(admit().allowed).toBe(true);
    await clock.advance(1);
    expect(admit()).toMatchObject({ allowed: false, retryAfterS: 1 });
    await clock.advance(999);
    expect(admit().allowed).toBe(true);
  });

  it('takes bounded memory for any number of callers, tenants and addresses', () => {
    const limiter = new RateLimiter(LOW, new VirtualClock());
    for (let each = 0; each < LIMITS.rateLimitedParties + 50; each += 1) {
      limiter.admitCaller({ tenant: `t${each}`, actor: 'ann' });
      limiter.admitAddress(`10.0.${each >> 8}.${each & 255}`);
    }
    expect(limiter.known).toBe(3 * LIMITS.rateLimitedParties);
  });

  it('does not forget a tenant because of many callers of it', () => {
    const limiter = new RateLimiter(LOW, new VirtualClock());
    let passed = 0;
    for (let each = 0; each < LIMITS.rateLimitedParties + 50; each += 1)
      if (limiter.admitCaller({ tenant: 'acme', actor: `a${each}` }).allowed) passed += 1;
    expect(passed).toBe(3);
  });

  it('forgets who has not asked for as long as it takes to have everything back', async () => {
    const clock = new VirtualClock();
    const limiter = new RateLimiter(LOW, clock);
    const ask = (from: number, to: number) => {
      for (let each = from; each < to; each += 1) limiter.admitAddress(`10.0.0.${each}`);
    };
    ask(0, 100);
    expect(limiter.known).toBe(100);
    await clock.advance(999);
    ask(100, 110);
    expect(limiter.known).toBe(110);
    await clock.advance(1);
    ask(110, 200);
    // Of the first hundred two went with each request, and the ten of a moment ago did not.
    expect(limiter.known).toBe(100);
    expect(limiter.admitAddress('10.0.0.105').allowed).toBe(false);
  });

  it('lets everything through where nothing is limited, and remembers nobody', () => {
    const none = { caller: undefined, tenant: undefined, address: undefined };
    const limiter = new RateLimiter(none, new VirtualClock());
    for (let each = 0; each < 100; each += 1)
      expect(limiter.admitAddress('::1')).toEqual({ allowed: true, retryAfterS: 0, standings: [] });
    expect(limiter.known).toBe(0);
  });
});
