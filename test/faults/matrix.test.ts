import { afterAll, describe, expect, it, vi } from 'vitest';
import { Stage, WAYS, type RecordedCall, type Scenario, type Way } from './matrix-stage.js';
import { scenariosOf } from './matrix-scenarios.js';

vi.mock('lru-cache', () => import('../support/small-caches.js'));

/** Of reads that found nothing and are otherwise the same, so many are taken from either end. */
const ALIKE = 2;

/** The calls to interfere with: all of them, but for the middle of long rows of reads that found nothing. */
function worthTrying(calls: readonly RecordedCall[]): readonly RecordedCall[] {
  return calls.filter((call) => {
    if (!call.empty) return true;
    const alike = calls.filter(({ name, empty }) => empty && name === call.name);
    const at = alike.indexOf(call);
    return at < ALIKE || at >= alike.length - ALIKE;
  });
}

const READ = /\.(?:find|range|list|appendState|blockState) /;

/**
 * That a read happened whose answer was lost, nobody can tell from one that never happened; and what a process leaves that
 * dies after a read, it leaves that died after the change before it. So reads never happen, and the first of all is died
 * after.
 */
function waysOf({ name, number }: RecordedCall): readonly Way[] {
  if (!READ.test(name)) return WAYS;
  return number === 1 ? ['never happened', 'stopped right after'] : ['never happened'];
}

async function recorded(scenario: Scenario): Promise<readonly RecordedCall[]> {
  const stage = new Stage(undefined);
  expect(await stage.run(scenario)).toEqual([]);
  return stage.calls;
}

const scenarios = scenariosOf(new Stage(undefined).subject.platform);
const ran = new Map<string, number>();

describe('whatever becomes of any one call', () => {
  for (const scenario of scenarios)
    it(`${scenario.name} holds to its promises`, { timeout: 300_000 }, async () => {
      const calls = worthTrying(await recorded(scenario));
      expect(calls.length).toBeGreaterThan(0);
      const failed: string[] = [];
      let cases = 0;
      for (const call of calls)
        for (const way of waysOf(call)) {
          cases += 1;
          const violations = await new Stage({ call: call.number, way }).run(scenario);
          if (violations.length > 0)
            failed.push(`call ${call.number}, ${call.name}, ${way}: ${violations.join('; ')}`);
        }
      ran.set(scenario.name, cases);
      expect(failed).toEqual([]);
    });

  afterAll(() => {
    const total = [...ran.values()].reduce((sum, count) => sum + count, 0);
    // The number is part of what the run says.
    process.stdout.write(`fault matrix: ${total} cases of ${ran.size} scenarios\n`);
  });
});

it('covers every job of the platform', () => {
  expect(scenarios.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['job sweep', 'job collect-orphans', 'job expire-keys', 'job check-partitions']),
  );
});
