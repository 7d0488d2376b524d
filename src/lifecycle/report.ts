/** What a job says of records besides counting them: how many they are, and their earliest and latest time, RFC 3339. */
export interface Tally {
  readonly count: number;
  readonly oldest?: string;
  readonly newest?: string;
}

/** What became, or would become, of the records of a collection that one rule is for. */
export interface ReportLine {
  readonly collection: string;
  readonly rule: Readonly<Record<string, string | number>>;
  /** By what became of them, e.g. `disposed`, `held`. */
  readonly tallies: Readonly<Record<string, Tally>>;
}

/** Lines by collection and rule. */
export type DisposalReport = Readonly<Record<string, ReportLine>>;

export function reportOf(line: ReportLine): DisposalReport {
  return { [`${line.collection} ${JSON.stringify(line.rule)}`]: line };
}

/** Pure: counts add up, times become the earliest and the latest. */
export function addReports(a: DisposalReport = {}, b: DisposalReport = {}): DisposalReport {
  return merged(a, b, (one, other) => ({ ...one, tallies: merged(one.tallies, other.tallies, addTallies) }));
}

/** A tally of some times, milliseconds since 1970. */
export function tallyOf(times: readonly number[]): Tally {
  if (times.length === 0) return { count: 0 };
  const text = (ms: number): string => new Date(ms).toISOString();
  const oldest = text(times.reduce((a, b) => Math.min(a, b)));
  return { count: times.length, oldest, newest: text(times.reduce((a, b) => Math.max(a, b))) };
}

export function addTallies(a: Tally, b: Tally): Tally {
  const [oldest] = [a.oldest, b.oldest].filter((time) => time !== undefined).sort();
  const newest = [a.newest, b.newest].filter((time) => time !== undefined).sort().at(-1); // prettier-ignore
  const times = oldest === undefined || newest === undefined ? {} : { oldest, newest };
  return { count: a.count + b.count, ...times };
}

function merged<T>(
  a: Readonly<Record<string, T>>,
  b: Readonly<Record<string, T>>,
  add: (a: T, b: T) => T,
): Readonly<Record<string, T>> {
  const all: Record<string, T> = { ...a };
  for (const [name, value] of Object.entries(b)) {
    const known = all[name];
    all[name] = known === undefined ? value : add(known, value);
  }
  return all;
}
