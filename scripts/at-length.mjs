/**
 * Runs a test that is short in the test run at whatever length is asked for: `at-length.mjs FILE --rounds 100` runs the
 * file with `AT_LENGTH_ROUNDS=100`, which the test reads with `numberSetting` (test/support/at-length.ts).
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const [file, ...options] = process.argv.slice(2);
const settings = {};
for (let at = 0; at < options.length; at += 2) {
  const name = /^--([a-z]+)$/.exec(options[at])?.[1];
  const value = options[at + 1] ?? '';
  if (name === undefined || !/^\d+$/.test(value)) {
    console.error(`usage: at-length.mjs FILE [--name NUMBER]…, not ${options.slice(at).join(' ')}`);
    process.exit(2);
  }
  settings[`AT_LENGTH_${name.toUpperCase()}`] = value;
}
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
const child = spawn(process.execPath, [vitest, 'run', file], {
  cwd: root,
  env: { ...process.env, ...settings },
  stdio: 'inherit',
});
child.once('exit', (code) => process.exit(code ?? 1));
