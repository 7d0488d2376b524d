#!/usr/bin/env node
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from './run.js';

/** The file up to `maxBytes`; one that is longer is not read to its end. */
async function readFile(path: string, maxBytes: number): Promise<Uint8Array> {
  const file = await open(path);
  try {
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of file.createReadStream({ autoClose: false }) as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > maxBytes) throw new Error(`it has more than ${String(maxBytes)} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, length);
  } finally {
    await file.close();
  }
}

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
  fetch: globalThis.fetch,
  sleep: (ms) => sleep(ms),
  deadline,
  // Only who checks a storage needs what opens one.
  openFsck: async (asked) => (await import('../composition.js')).openFsck(asked),
});
