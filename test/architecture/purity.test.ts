import { describe, expect, it } from 'vitest';
import { codeLines, filesBelow } from './support.js';

/**
 * Time, randomness and the environment are arguments (`Clock`, `Entropy`, `Config`), so that the fault simulation can
 * run the very code that runs in production. `new Date(ms)` only converts and is fine.
 */
const IMPURE: Readonly<Record<string, RegExp>> = {
  'the wall clock': /\bDate\.now\b|\bnew Date\(\s*\)|\bDate\(\s*\)/,
  'the monotonic clock': /\bperformance\.now\b|\bprocess\.(?:hrtime|uptime)\b/,
  timers: /\bset(?:Timeout|Interval|Immediate)\b|timers\/promises/,
  randomness: /\bMath\.random\b|\brandom(?:UUID|Bytes|Int|FillSync|Fill)\b|getRandomValues/,
  'the environment': /\bprocess\.(?:env|argv|cwd)\b/,
  'the process': /\bprocess\.(?:exit|on|kill|stdout|stderr)\b/,
};

/** Where each is at home. Everything else in `src/` and `functions/` gets them as arguments. */
const AT_HOME: Readonly<Record<string, readonly RegExp[]>> = {
  'the wall clock': [/^src\/system\.ts$/, /^src\/local\//],
  'the monotonic clock': [/^src\/system\.ts$/, /^src\/local\//],
  // The limit of one call on the network: nothing that the simulation runs.
  timers: [/^src\/system\.ts$/, /^src\/local\//, /^src\/cli\/bin\.ts$/, /^src\/azure\/faults\.ts$/],
  // Boundaries of a request body and the proposed id of a lease: gone when the call is, and never stored.
  randomness: [/^src\/system\.ts$/, /^src\/local\//, /^src\/azure\/(?:table-batch|blob-lease)\.ts$/],
  'the environment': [/^src\/composition\.ts$/, /^src\/local\//, /^src\/cli\/bin\.ts$/],
  'the process': [/^src\/local\//, /^src\/cli\/bin\.ts$/],
};

const SOURCES = [...filesBelow('src'), ...filesBelow('functions')].filter((path) => path.endsWith('.ts'));

describe('purity', () => {
  it.each(Object.keys(IMPURE))('takes %s as an argument', (what) => {
    const pattern = IMPURE[what] as RegExp;
    const found = SOURCES.filter((path) => !AT_HOME[what]?.some((home) => home.test(path)))
      .flatMap(codeLines)
      .filter(({ code }) => pattern.test(code))
      .map(({ path, line, code }) => `${path}:${line} ${code.trim()}`);
    expect(found).toEqual([]);
  });

  it('writes nothing to the console', () => {
    const found = SOURCES.flatMap(codeLines)
      .filter(({ code }) => /\bconsole\.\w+/.test(code))
      .map(({ path, line }) => `${path}:${line}`);
    expect(found).toEqual([]);
  });

  it('has no exception that nobody needs', () => {
    const idle = Object.entries(AT_HOME).flatMap(([what, homes]) =>
      homes
        .filter((home) => {
          const there = SOURCES.filter((path) => home.test(path)).flatMap(codeLines);
          return !there.some(({ code }) => IMPURE[what]?.test(code));
        })
        .map((home) => `${what}: ${home.source}`),
    );
    expect(idle).toEqual([]);
  });
});
