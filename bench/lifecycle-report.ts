import { number, table } from './markdown.js';
import type { Comparison } from './rounds.js';

/** A stage of lifecycle work beside the bare SDK. Rates are records a second. */
export interface LifecycleResult extends Comparison {
  readonly stage: string;
  readonly records: number;
  /** Pairs of rounds. */
  readonly rounds: number;
  /** Of the storage of records, for each record; of these, transactions of tables. */
  readonly calls: number;
  readonly transactions: number;
}

const each = (value: number): string => value.toFixed(value < 1 ? 3 : 2);

/** The table of the section. */
export function printLifecycle(results: readonly LifecycleResult[]): string {
  return table(
    ['lifecycle', 'records', 'calls a record', 'transactions a record', 'ours, records per s', 'floor, per s', 'ratio', 'p10 to p90'],
    results.map(({ stage, records, calls, transactions, ours, floor, ratio }) => [
      stage,
      String(records),
      each(calls),
      each(transactions),
      number(ours),
      number(floor),
      ratio.median.toFixed(2),
      `${ratio.p10.toFixed(2)} to ${ratio.p90.toFixed(2)}`,
    ]),
  ); // prettier-ignore
}
