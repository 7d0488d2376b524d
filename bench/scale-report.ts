import { number, table } from './markdown.js';
import { totalOf, type Counted } from './storage-calls.js';

/** What one stage of lifecycle work took at one size. */
export interface ScaleResult extends Counted {
  readonly where: 'memory' | 'azurite';
  readonly stage: string;
  readonly records: number;
  /** By how much the heap was larger at most than before, of what could be reached. */
  readonly peakBytes: number;
  readonly seconds: number;
}

/** How far the calls for one record more may differ between the sizes. */
const SLACK = 0.03;
/** By how much the heap may be larger where there is a hundred times as much: code that is compiled, caches that fill. */
const GROWTH_BYTES = 8 * 2 ** 20;
const MIB = 2 ** 20;

/** Results by place and stage, each by size. */
function series(results: readonly ScaleResult[]): readonly (readonly ScaleResult[])[] {
  const all = new Map<string, ScaleResult[]>();
  for (const one of results) {
    const name = `${one.where}: ${one.stage}`;
    all.set(name, [...(all.get(name) ?? []), one]);
  }
  return [...all.values()];
}

/** Calls for each record more, from one size to the next. */
export function slopesOf(sizes: readonly Pick<ScaleResult, 'records' | 'calls'>[]): readonly number[] {
  return sizes.slice(1).map((one, at) => {
    const before = sizes[at] as (typeof sizes)[number];
    return (totalOf(one.calls) - totalOf(before.calls)) / (one.records - before.records);
  });
}

/** What is not as it has to be: calls that grow otherwise than records, and memory that grows with them. */
export function faultsOf(results: readonly ScaleResult[]): readonly string[] {
  return series(results).flatMap((sizes) => {
    const [first, last] = [sizes[0] as ScaleResult, sizes.at(-1) as ScaleResult];
    const name = `${first.where}, ${first.stage}`;
    const slopes = slopesOf(sizes);
    const [least, most] = [Math.min(...slopes), Math.max(...slopes)];
    const told = slopes.map((slope) => slope.toFixed(4)).join(' and ');
    const growth = last.peakBytes - first.peakBytes;
    return [
      ...(most > least * (1 + SLACK) ? [`${name}: not linear, ${told} calls for a record more`] : []),
      ...(growth > GROWTH_BYTES ? [`${name}: not flat, ${(growth / MIB).toFixed(1)} MiB more for more records`] : []), // prettier-ignore
    ];
  });
}

const each = (count: number, { records }: ScaleResult): string => {
  const per = count / records;
  return per === 0 ? '0' : per < 0.1 ? per.toFixed(4) : per.toFixed(2);
};

/** The tables for people. */
export function printScale(results: readonly ScaleResult[]): string {
  const head = ['where', 'work', 'records', 'calls', 'calls a record', 'transactions', 'table reads', 'rows read', 'blob reads', 'blob writes', 'blob deletes', 'heap, MiB', 'seconds', 'records per s']; // prettier-ignore
  const rows = results.map((one) => {
    const { where, stage, records, calls, rowsRead, peakBytes, seconds } = one;
    return [
      where,
      stage,
      String(records),
      String(totalOf(calls)),
      each(totalOf(calls), one),
      each(calls.transactions, one),
      each(calls.points + calls.ranges, one),
      each(rowsRead, one),
      each(calls.blobReads + calls.blobLists, one),
      each(calls.blobWrites, one),
      each(calls.blobDeletes, one),
      (peakBytes / MIB).toFixed(1),
      seconds.toFixed(1),
      number(records / seconds),
    ];
  });
  return `${table(head, rows)}\n`;
}
