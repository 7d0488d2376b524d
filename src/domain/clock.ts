/** Time as an argument: the system clock in production, a virtual one in simulations. */
export interface Clock {
  /** Wall clock, milliseconds since 1970-01-01 UTC. May jump. */
  now(): number;
  /** Monotonic milliseconds from an arbitrary origin. Never jumps. */
  monotonic(): number;
  /** Resolves after `ms` milliseconds of this clock. */
  sleep(ms: number): Promise<void>;
}

/** Source of unpredictable bytes as an argument. */
export interface Entropy {
  bytes(count: number): Uint8Array;
}

const RFC3339 =
  /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/**
 * Milliseconds of an RFC 3339 timestamp, or undefined when it is not one. Offsets are accepted, fractions are cut
 * to milliseconds, a leap second and a date that does not exist (30 February) are refused.
 */
export function parseTime(text: string): number | undefined {
  const match = RFC3339.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second] = match.map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (month < 1 || month > 12 || day < 1) return undefined;
  if (day > 28 && day > new Date(Date.UTC(year, month, 0)).getUTCDate()) return undefined;
  if (hour > 23 || minute > 59 || second > 59) return undefined;
  const ms = Date.parse(text.toUpperCase());
  return Number.isNaN(ms) ? undefined : ms;
}

/** RFC 3339 in UTC with milliseconds, as everything is stored and returned. */
export function formatTime(ms: number): string {
  return new Date(ms).toISOString();
}

/** The calendar year of a time, UTC. */
export function yearOf(ms: number): number {
  return new Date(ms).getUTCFullYear();
}

/** Now, or the time something began where the clocks of importers put that later: nothing ends before it began. */
export function endTime(begunAt: string, nowMs: number): string {
  return formatTime(Math.max(nowMs, parseTime(begunAt) ?? nowMs));
}
