import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { measureCalls } from './calls.js';
import { measureCpu } from './cpu.js';
import { compareLifecycle } from './lifecycle.js';
import { measureLoad } from './load.js';
import { measureLog } from './log.js';
import { readOptions, USAGE, type BenchOptions } from './options.js';
import { recordTemplates } from './payload.js';
import { print, type Report } from './report.js';
import { compareInProcess, compareOverHttp, comparePages } from './scenarios.js';
import { BenchStorage } from './storage.js';
import { compareTypes } from './types.js';
import type { BenchTools } from './tools.js';

export interface BenchPlace {
  /** The folder of the repository. */
  readonly root: string;
  /** The folder this was built into. */
  readonly folder: string;
  readonly args: readonly string[];
}

const progress = (text: string): void =>
  void process.stderr.write(`${performance.now().toFixed(0).padStart(7)} ${text}\n`);

/** Makes the deployable folder, as `npm run package` does. */
function packageInto(root: string, folder: string): void {
  const script = join(root, 'scripts', 'package.mjs');
  const { status } = spawnSync(process.execPath, [script, '--out', folder], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (status !== 0) throw new Error('the package could not be made');
}

async function run({ quick, sections }: BenchOptions, place: BenchPlace, temporary: string): Promise<Report> {
  const start = performance.now();
  const wants = (section: BenchOptions['sections'][number]): boolean => sections.includes(section);
  const templates = await recordTemplates();
  const storage = await BenchStorage.start();
  const tools: BenchTools = { storage, templates, folder: place.folder, temporary, quick, progress };
  try {
    const inProcess = wants('process') ? await compareInProcess(tools) : [];
    const overHttp = wants('http') ? await compareOverHttp(tools) : [];
    const types = wants('types') ? await compareTypes(tools) : [];
    const pages = wants('pages') ? await comparePages(tools) : [];
    if (wants('calls')) progress('CPU of single calls');
    const calls = wants('calls') ? await measureCalls(tools) : [];
    const log = wants('log') ? await measureLog(tools) : undefined;
    const lifecycle = wants('lifecycle') ? await compareLifecycle(tools) : [];
    await storage.stop();
    if (wants('cpu')) progress('CPU on ports in memory');
    const cpu = wants('cpu') ? await measureCpu(quick) : [];
    const packaged = join(temporary, 'package');
    if (wants('load')) progress('import time and memory');
    if (wants('load')) packageInto(place.root, packaged);
    const load = wants('load') ? await measureLoad(place.folder, packaged, quick ? 1 : 7) : [];
    return {
      version: 1,
      node: process.versions.node,
      cpus: availableParallelism(),
      quick,
      seconds: (performance.now() - start) / 1000,
      scenarios: [...inProcess, ...overHttp],
      types,
      pages,
      calls,
      cpu,
      load,
      log,
      lifecycle,
    };
  } finally {
    await storage.stop();
  }
}

/** Runs the bench and prints its report; gives the exit code. */
export async function main(place: BenchPlace): Promise<number> {
  const options = readOptions(place.args);
  if (options === undefined) {
    progress(USAGE);
    return 2;
  }
  const temporary = mkdtempSync(join(tmpdir(), 'business-records-bench-'));
  try {
    const report = await run(options, place, temporary);
    process.stdout.write(print(report));
    if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
    return 0;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}
