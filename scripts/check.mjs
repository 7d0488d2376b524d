/**
 * Everything that can be said of the code without running it: `npm run check`. Two checks at a time, each told whole when
 * it is over, and all of them even if one fails.
 */
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';

/** Scripts of package.json, the longest first. */
const CHECKS = ['lint', 'format', 'types', 'architecture', 'unused', 'generated', 'openapi'];

/** What a check printed, and whether it passed. */
function run(name) {
  return new Promise((resolve) => {
    const child = spawn('npm', ['run', `check:${name}`], { stdio: ['ignore', 'pipe', 'pipe'] });
    const printed = [];
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => printed.push(chunk));
    child.on('error', (error) => resolve({ name, passed: false, output: String(error) }));
    child.on('close', (code) =>
      resolve({ name, passed: code === 0, output: Buffer.concat(printed).toString() }),
    );
  });
}

const left = [...CHECKS];
const failed = [];
async function work() {
  for (let name = left.shift(); name !== undefined; name = left.shift()) {
    const { passed, output } = await run(name);
    if (!passed) failed.push(name);
    process.stdout.write(`${output.trimEnd()}\n${passed ? 'passed' : 'FAILED'}: check:${name}\n`);
  }
}
await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, work));
if (failed.length > 0) {
  process.stderr.write(`failed: ${failed.join(', ')}\n`);
  process.exitCode = 1;
}
