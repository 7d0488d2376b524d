import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readOptions, SECTIONS } from '../../bench/options.js';
import { LIFECYCLE } from '../../bench/lifecycle-work.js';
import type { LogResult } from '../../bench/log-report.js';
import type { Report } from '../../bench/report.js';
import { spreadOf } from '../../bench/statistics.js';
import { RECORD_TYPES } from '../../src/records/registry.js';
import { removeFolders, ROOT, temporaryFolder } from '../local/support.js';

function expectLog(log: LogResult | undefined): void {
  expect(log?.rates.map(({ work, hashed }) => `${work}, ${hashed}`)).toEqual(
    ['integrate', 'verify'].flatMap((work) => ['createHash', 'hash', 'one piece'].map((floor) => `${work}, ${floor}`)),
  ); // prettier-ignore
  for (const { ours, floor, ratio } of log?.rates ?? []) {
    expect(Math.min(ours, floor)).toBeGreaterThan(0);
    expect(ratio.p90).toBeGreaterThanOrEqual(ratio.median);
  }
  // What is counted is no matter of speed. A path of 10 hashes leads through 2 levels of tiles, and the last tile of one.
  expect(log?.proofs.map(({ leaves, tiles }) => [leaves, tiles.max])).toEqual([[1000, 3]]);
  for (const { bytes, checkMs } of log?.proofs ?? []) {
    expect(bytes.max).toBeGreaterThan(10 * 44);
    expect(checkMs.max).toBeGreaterThan(0);
  }
  expect(log?.rounds.map(({ events }) => events)).toEqual([1, 100]);
  const [one, hundred] = log?.rounds.map(({ events, calls }) => calls / events) ?? [];
  expect(hundred).toBeLessThan((one ?? 0) / 10);
  expect(log?.load.map(({ clients }) => clients)).toEqual([1]);
  for (const { events, rounds, callsPerEvent, sealedMs } of log?.load ?? []) {
    expect(events).toBeGreaterThanOrEqual(rounds);
    expect(callsPerEvent).toBeGreaterThan(1);
    expect(sealedMs.max).toBeGreaterThan(0);
  }
}

/** Runs it beside this process, which goes on with what it has under way. */
async function bench(args: readonly string[]): Promise<{ readonly status: number | null; readonly stdout: string; readonly stderr: string }> {
  const child = spawn(process.execPath, ['bench/run.mjs', ...args], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { status, stdout, stderr };
} // prettier-ignore

/** Nothing here says how fast anything is: a test machine is nobody's measure. */
describe('npm run bench', () => {
  afterAll(removeFolders);

  it('measures everything and reports it as JSON', async () => {
    const file = join(temporaryFolder(), 'report.json');
    const run = await bench(['--quick', '--json', file]);
    expect(run.status, run.stderr).toBe(0);
    const report = JSON.parse(readFileSync(file, 'utf8')) as Report;
    expect(report).toMatchObject({ version: 1, node: process.versions.node, quick: true });

    const names = report.scenarios.map(({ where, operation, clients }) => `${where} ${operation} ${clients}`);
    const both = ['create', 'read', 'list', 'vote'].flatMap((operation) => [
      `${operation} 1`,
      `${operation} 16`,
    ]);
    expect(names.sort()).toEqual(
      [
        ...['process', 'http'].flatMap((where) => [...both, 'batch 1'].map((name) => `${where} ${name}`)),
        'process seal 1',
      ].sort(),
    );
    for (const { recordType, named, parts, actions } of RECORD_TYPES) {
      const rows = report.types
        .filter((row) => row.recordType === recordType)
        .map(({ operation }) => operation);
      const ways = [...(named === undefined ? [] : ['put']), ...Object.keys(actions), ...(parts === undefined ? [] : [parts.path])]; // prettier-ignore
      expect(rows).toEqual(expect.arrayContaining(['create', 'read', 'list', ...ways]));
    }
    for (const { ours, floor, ratio } of [
      ...report.scenarios,
      ...report.types,
      ...report.pages,
      ...report.lifecycle,
    ]) {
      expect(ours).toBeGreaterThan(0);
      expect(floor).toBeGreaterThan(0);
      expect(ratio.p10).toBeGreaterThan(0);
      expect(ratio.median).toBeGreaterThanOrEqual(ratio.p10);
      expect(ratio.p90).toBeGreaterThanOrEqual(ratio.median);
    }
    expect(report.pages.map(({ rows, items }) => [rows, items])).toEqual([[96, 12], [1000, 50]]); // prettier-ignore
    expect(report.cpu.map(({ operation }) => operation)).toEqual([
      'create', 'read', 'vote', 'list of 50 of 100 records', 'batch of 100', 'seal of 100',
    ]); // prettier-ignore
    for (const { micros } of report.cpu) expect(micros).toBeGreaterThan(0);
    expect(report.calls.map(({ call }) => call)).toEqual([
      'put a blob of 1,000 bytes', 'get it', 'point read', 'range read of 51 rows', 'transaction of 8 rows',
    ]); // prettier-ignore
    for (const { adapter, sdk } of report.calls) expect(Math.min(adapter, sdk)).toBeGreaterThan(0);
    expect(report.load.map(({ app }) => app)).toEqual(['one function', 'built, unbundled', 'packaged']);
    for (const { importMs, rssMib, heapMib } of report.load) {
      expect(importMs).toBeGreaterThan(0);
      expect(rssMib).toBeGreaterThan(heapMib);
    }
    expectLog(report.log);
    expect(report.lifecycle.map(({ stage }) => stage)).toEqual(LIFECYCLE.flatMap(({ stages }) => stages.map(({ name }) => name))); // prettier-ignore
    for (const { calls, transactions } of report.lifecycle) expect(calls).toBeGreaterThanOrEqual(transactions); // prettier-ignore
    expect(run.stdout).toContain('| where');
    expect(run.stdout).toContain('| the log');
    expect(run.stdout).toContain('| lifecycle');
  }, 300_000);

  it('refuses arguments it does not know', () => {
    expect(readOptions([])).toEqual({ quick: false, json: undefined, sections: SECTIONS });
    expect(readOptions(['--quick', '--only', 'cpu,http', '--json', 'x'])).toEqual({
      quick: true,
      json: 'x',
      sections: ['http', 'cpu'],
    });
    for (const args of [['--fast'], ['--json'], ['--only', 'cpu,gpu'], ['--only']]) {
      expect(readOptions(args)).toBeUndefined();
    }
  });

  it('reports the middle and the spread of what it measured', () => {
    expect(spreadOf([3, 1, 2])).toEqual({ median: 2, p10: 1.2, p90: 2.8 });
    expect(spreadOf([4, 1])).toEqual({ median: 2.5, p10: 1.3, p90: 3.7 });
    expect(spreadOf([7])).toEqual({ median: 7, p10: 7, p90: 7 });
  });
});
