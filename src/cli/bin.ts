#!/usr/bin/env node
import { setTimeout as sleep } from 'node:timers/promises';
import { listFiles, readFile, writeFile } from './files.js';
import { run } from './run.js';

function deadline(ms: number): { signal: AbortSignal; clear: () => void } {
  const ending = new AbortController();
  const timer = setTimeout(() => ending.abort(new Error('no answer in time')), ms);
  return { signal: ending.signal, clear: () => clearTimeout(timer) };
}

// Set and not called: what was printed into a pipe is still on its way.
process.exitCode = await run(process.argv.slice(2), {
  out: (text) => void process.stdout.write(text),
  complain: (text) => void process.stderr.write(text),
  env: process.env,
  readFile,
  writeFile,
  listFiles,
  fetch: globalThis.fetch,
  sleep: (ms) => sleep(ms),
  deadline,
  // Only who checks a storage needs what opens one.
  openFsck: async (asked) => (await import('../composition.js')).openFsck(asked),
});
