/** A rate that may not be exceeded for long: a token bucket (IETF draft-ietf-httpapi-ratelimit-headers, Appendix A). */
export interface RateLimit {
  /** Requests a second that come back; a whole number, 1 or more. */
  readonly perSecond: number;
  /** Requests that may come at once after a quiet time; a whole number, 1 or more. */
  readonly burst: number;
}

/**
 * What is left of a limit for one party, and when that was reckoned. In thousandths of a request, of which
 * `perSecond` come back each millisecond: whole numbers, so that nothing is ever gained by rounding.
 */
export interface Bucket {
  readonly thousandths: number;
  /** Whole milliseconds of a clock that does not go back. */
  readonly atMs: number;
}

/** What became of a request for `cost`. */
export interface Taken {
  /** False: nothing was taken, `bucket` is what there was. */
  readonly allowed: boolean;
  readonly bucket: Bucket;
  /** Whole requests that could be made now. */
  readonly left: number;
  /** Milliseconds until what was asked for is there; 0 when it was. Infinity when it is more than the bucket holds. */
  readonly waitMs: number;
}

const ONE = 1000;

/**
 * Takes `cost` requests out of a bucket; a party of whom nothing is known has a full one. In any time of `t` seconds at
 * most `burst + perSecond * t` are let through. A time before that of the bucket counts as that of the bucket. Pure.
 */
export function take(limit: RateLimit, before: Bucket | undefined, nowMs: number, cost = 1): Taken {
  const bucket = filled(limit, before, Math.floor(nowMs));
  const missing = cost * ONE - bucket.thousandths;
  if (missing <= 0) {
    const rest = { ...bucket, thousandths: bucket.thousandths - cost * ONE };
    return { allowed: true, bucket: rest, left: wholeOf(rest), waitMs: 0 };
  }
  const waitMs = cost > limit.burst ? Infinity : Math.ceil(missing / limit.perSecond);
  return { allowed: false, bucket, left: wholeOf(bucket), waitMs };
}

function filled({ perSecond, burst }: RateLimit, before: Bucket | undefined, nowMs: number): Bucket {
  if (before === undefined) return { thousandths: burst * ONE, atMs: nowMs };
  const atMs = Math.max(nowMs, before.atMs);
  const back = (atMs - before.atMs) * perSecond;
  return { thousandths: Math.min(burst * ONE, before.thousandths + back), atMs };
}

const wholeOf = ({ thousandths }: Bucket): number => Math.floor(thousandths / ONE);

/** Whether a bucket is as one of whom nothing is known: it need not be kept. Pure. */
export function isFull(limit: RateLimit, bucket: Bucket, nowMs: number): boolean {
  return filled(limit, bucket, Math.floor(nowMs)).thousandths === limit.burst * ONE;
}

/** Milliseconds until one more whole request than now could be made, whether or not the bucket holds so many. Pure. */
export function untilNextMs({ perSecond }: RateLimit, bucket: Bucket): number {
  return Math.ceil((ONE - (bucket.thousandths % ONE)) / perSecond);
}

const MOST = 1_000_000;

/**
 * `2000`, or `2000:5000` with a burst other than a second's worth; `0` is no limit, and undefined anything else. Numbers
 * are up to 1,000,000. Pure.
 */
export function parseRateLimit(text: string): RateLimit | 'none' | undefined {
  if (text === '0') return 'none';
  const [, rate, burst] = /^([1-9]\d{0,6})(?::([1-9]\d{0,6}))?$/.exec(text) ?? [];
  if (rate === undefined) return undefined;
  const limit = { perSecond: Number(rate), burst: Number(burst ?? rate) };
  return limit.perSecond > MOST || limit.burst > MOST ? undefined : limit;
}
