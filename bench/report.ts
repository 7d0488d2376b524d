import { printLifecycle, type LifecycleResult } from './lifecycle-report.js';
import { printLog, type LogResult } from './log-report.js';
import { number, table } from './markdown.js';
import type { Comparison } from './rounds.js';
import type { OperationName } from './side.js';

export interface ScenarioResult extends Comparison {
  readonly where: 'process' | 'http';
  readonly operation: OperationName;
  readonly clients: number;
  /** Pairs of rounds that counted. */
  readonly rounds: number;
  /** Operations in each round. */
  readonly operations: number;
}

/** One way to use one record type, in this process, by one client. */
export interface TypeResult extends Comparison {
  readonly recordType: string;
  readonly operation: string;
  /** Pairs of rounds that counted. */
  readonly rounds: number;
  /** Operations in each round. */
  readonly operations: number;
}

export interface PageResult extends Comparison {
  /** Rows in the table that is listed. */
  readonly rows: number;
  readonly items: number;
}

export interface CpuResult {
  readonly operation: string;
  /** Microseconds of CPU, user and system, for one operation on ports in memory. */
  readonly micros: number;
  /** Of these, what the ports in memory take themselves. */
  readonly ports: number;
}

/** Microseconds of CPU, user and system, in the process that calls. */
export interface CallResult {
  readonly call: string;
  /** By the platform's adapter, time limit and checks included. */
  readonly adapter: number;
  /** By the SDK alone. */
  readonly sdk: number;
}

export interface LoadResult {
  readonly app: string;
  readonly importMs: number;
  /** Mebibytes after a garbage collection. */
  readonly rssMib: number;
  readonly heapMib: number;
}

export interface Report {
  readonly version: 1;
  readonly node: string;
  readonly cpus: number;
  readonly quick: boolean;
  readonly seconds: number;
  readonly scenarios: readonly ScenarioResult[];
  readonly types: readonly TypeResult[];
  readonly pages: readonly PageResult[];
  readonly calls: readonly CallResult[];
  readonly cpu: readonly CpuResult[];
  readonly load: readonly LoadResult[];
  /** Undefined where it was not asked for. */
  readonly log: LogResult | undefined;
  readonly lifecycle: readonly LifecycleResult[];
}

function compared({ ours, floor, ratio }: Comparison): readonly string[] {
  return [
    number(ours),
    number(floor),
    ratio.median.toFixed(2),
    `${ratio.p10.toFixed(2)} to ${ratio.p90.toFixed(2)}`,
  ];
}

const RATES = ['ours, per s', 'floor, per s', 'ratio', 'p10 to p90'];

/** The report for people. */
export function print(report: Report): string {
  const { scenarios, types, pages, calls, cpu, load, log, lifecycle } = report;
  const parts = [`Node ${report.node}, ${String(report.cpus)} cores, ${report.seconds.toFixed(0)} s`];
  if (scenarios.length > 0)
    parts.push(table(
      ['where', 'operation', 'clients', ...RATES],
      scenarios.map((one) => [one.where, one.operation, String(one.clients), ...compared(one)]),
    )); // prettier-ignore
  if (types.length > 0)
    parts.push(table(
      ['record type', 'operation', ...RATES],
      types.map((one) => [one.recordType, one.operation, ...compared(one)]),
    )); // prettier-ignore
  if (pages.length > 0)
    parts.push(table(
      ['rows in the table', 'items of the page', ...RATES],
      pages.map((one) => [String(one.rows), String(one.items), ...compared(one)]),
    )); // prettier-ignore
  if (calls.length > 0)
    parts.push(table(
      ['one call of storage', 'adapter, CPU µs', 'bare SDK, CPU µs'],
      calls.map((one) => [one.call, one.adapter.toFixed(0), one.sdk.toFixed(0)]),
    )); // prettier-ignore
  if (cpu.length > 0)
    parts.push(table(
      ['operation, on ports in memory', 'CPU, µs', 'of it the ports, µs'],
      cpu.map((one) => [one.operation, one.micros.toFixed(0), one.ports.toFixed(0)]),
    )); // prettier-ignore
  if (load.length > 0)
    parts.push(table(
      ['app', 'import, ms', 'RSS, MiB', 'heap, MiB'],
      load.map((one) => [one.app, one.importMs.toFixed(0), one.rssMib.toFixed(0), one.heapMib.toFixed(1)]),
    )); // prettier-ignore
  if (log !== undefined) parts.push(...printLog(log));
  if (lifecycle.length > 0) parts.push(printLifecycle(lifecycle));
  return `${parts.join('\n\n')}\n`;
}
