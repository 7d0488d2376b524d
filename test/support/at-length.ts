import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * A number that `scripts/at-length.mjs` was given by name, for tests that are short in the test run and long by
 * command; `otherwise` in the test run.
 */
export function numberSetting(name: string, otherwise: number): number {
  const text = process.env[`AT_LENGTH_${name.toUpperCase()}`];
  return text === undefined ? otherwise : Number(text);
}

/** Says what a long run has seen; the test run stays silent. */
export function report(what: string, numbers: Readonly<Record<string, unknown>>): void {
  if (Object.keys(process.env).some((name) => name.startsWith('AT_LENGTH_')))
    process.stdout.write(`${what}: ${JSON.stringify(numbers)}\n`);
}

/** Lets everything go that nobody can reach. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

/** Bytes that are in use once everything that nobody can reach is gone. */
export function heapAfterCollection(): number {
  collectGarbage();
  collectGarbage();
  return process.memoryUsage().heapUsed;
}
