import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { numberSetting } from '../support/at-length.js';
import { ROUTES } from '../support/http-harness.js';
import { openStorage, STORAGES } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';
import { LEAKS, type Leak } from './tenants-leaks.js';
import { actOf, inTurn, script, TENANTS, Told, type Act, type Draw } from './tenants-script.js';
import { World, type Seen } from './tenants-world.js';

const SEED = numberSetting('seed', 1);
const RUNS = numberSetting('runs', 4);
const STEPS = 60;

/** One step that was made, and what the one who made it was told. */
interface Made {
  readonly act: Act;
  readonly seen?: Seen;
}

/** A script with all tenants in it: what was asked, and what each was told. */
async function together(draws: readonly Draw[], world: World): Promise<readonly Made[]> {
  const told = new Told();
  const made: Made[] = [];
  for (const [step, draw] of draws.entries()) {
    const act = actOf(draw, step, told);
    if (act === undefined) continue;
    if (act.kind === 'happen') await world.happen(act.step, act.what, TENANTS);
    if (act.kind === 'drop') await world.drop(act.dropped);
    if (act.kind !== 'send') {
      made.push({ act });
      continue;
    }
    const { reply, seen } = await world.send(act.sent);
    told.hear(act.sent, reply);
    made.push({ act, seen });
  }
  return made;
}

/** The very same requests of one tenant where there is nobody else: what it is told otherwise than before. */
async function otherwise(tenant: string, made: readonly Made[], world: World): Promise<readonly string[]> {
  const wrong: string[] = [];
  for (const { act, seen } of made) {
    if (act.kind === 'happen') await world.happen(act.step, act.what, [tenant]);
    if (act.kind === 'drop' && act.dropped.tenant === tenant) await world.drop(act.dropped);
    if (act.kind !== 'send' || act.sent.tenant !== tenant || seen === undefined) continue;
    const { method, path, step } = act.sent;
    const alone = (await world.send(act.sent)).seen;
    // What a write announces for others to find somebody else may have announced a moment ago.
    const reads = method === 'GET' || alone.status >= 400;
    const [before, now] = [seen, alone].map((one) => JSON.stringify(reads ? one : { ...one, calls: [] }));
    if (before !== now) wrong.push(`step ${step}: ${tenant} ${method} ${path}\nwith others ${before ?? ''}\nalone ${now ?? ''}`); // prettier-ignore
  }
  return wrong;
}

/** What shows of tenants to each other in a script. */
async function interference(
  draws: readonly Draw[],
  open: () => Promise<StorageUnderTest>,
  plant?: Leak['plant'],
): Promise<{ readonly made: readonly Made[]; readonly wrong: readonly string[] }> {
  const storages: StorageUnderTest[] = [];
  const world = async (): Promise<World> => {
    const storage = await open();
    storages.push(storage);
    return new World(storage.ports, plant);
  };
  try {
    const made = await together(draws, await world());
    const wrong: string[] = [];
    for (const tenant of TENANTS)
      if (wrong.length === 0) wrong.push(...(await otherwise(tenant, made, await world())));
    return { made, wrong };
  } finally {
    for (const storage of storages) storage.close();
  }
}

/** Routes of tenants' data and the methods they take, as templates. */
const OURS = Object.entries(ROUTES)
  .filter(([template]) => !/^(health|docs|openapi|jobs|\{\*)/.test(template))
  .flatMap(([template, resource]) => Object.keys(resource).map((method) => `${method} ${template}`));

/** The template that serves an address: of those that fit the one with most that is said literally. */
function routeOf(method: string, path: string): string {
  const [bare = ''] = path.slice(1).split('?');
  const fits = OURS.filter((route) => {
    const pattern = route.replace(/\{\*[^}]+\}/g, '.+').replace(/\{[^}]+\}/g, '[^/]+');
    return new RegExp(`^${pattern}$`).test(`${method} ${bare}`);
  });
  const literal = (route: string): number => route.split('/').filter((part) => !part.includes('{')).length;
  return [...fits].sort((a, b) => literal(b) - literal(a))[0] ?? '';
}

describe.each(STORAGES)('what a tenant is told $name', { timeout: 300_000 }, (kind) => {
  const runs = kind.realTime ? Math.ceil(RUNS / 4) : RUNS;

  it('is what it would be told if there were no others, in all that an answer says and in calls of storage', async () => {
    const asked = new Set<string>();
    const answered = new Set<string>();
    await fc.assert(
      fc.asyncProperty(script(STEPS), async (draws) => {
        const { made, wrong } = await interference(draws, () => openStorage(kind));
        expect(wrong).toEqual([]);
        for (const { act, seen } of made) {
          if (act.kind !== 'send' || seen === undefined) continue;
          const route = routeOf(act.sent.method, act.sent.path);
          asked.add(route);
          if (seen.status < 400) answered.add(route);
        }
      }),
      { numRuns: runs, seed: SEED, endOnFailure: true, examples: [[inTurn()]] },
    );
    // Nothing was equal because nobody was told anything.
    if (kind.realTime) return;
    expect([...asked].sort()).toEqual([...OURS].sort());
    // There is no anchor before the platform's log has one (test/audit/anchors), and nothing is in the archive in its first
    // ninety days (test/http/archived.test.ts).
    const never = [
      'GET audit/log/anchor',
      'GET audit/platform/checkpoint',
      'POST {collection}/{id}/rehydrate',
    ];
    expect([...new Set([...answered, ...never])].sort()).toEqual([...new Set([...OURS, ...never])].sort());
  });
});

describe('a leak between tenants', { timeout: 300_000 }, () => {
  const [memory] = STORAGES;
  it.each(LEAKS)('is found: $name', async ({ plant }) => {
    const found = await fc.check(
      fc.asyncProperty(script(STEPS), async (draws) => {
        const { wrong } = await interference(
          draws,
          () => openStorage(memory as (typeof STORAGES)[number]),
          plant,
        );
        return wrong.length === 0;
      }),
      { numRuns: 30, seed: SEED, endOnFailure: true, examples: [[inTurn()]] },
    );
    expect(found.failed).toBe(true);
    // Because of what was told, and not because the test itself broke.
    expect(found.errorInstance).toMatchObject({ message: expect.stringContaining('returning false') });
  });
});

describe('what an operator of one tenant is shown of jobs', () => {
  it.each(STORAGES)('is numbers, times and words of our own $name', async (kind) => {
    const storage = await openStorage(kind);
    const world = new World(storage.ports);
    const draws = fc.sample(script(STEPS), { numRuns: 1, seed: SEED })[0] ?? [];
    const made = await together(draws, world);
    await world.happen(STEPS, 'jobs', TENANTS);
    const sent = { step: STEPS + 1, tenant: 'newcomer', options: {} };
    const { reply } = await world.send({ ...sent, method: 'GET', path: '/jobs' });
    const run = await world.send({ ...sent, method: 'POST', path: '/jobs/check-partitions/run' });
    const ids = made.flatMap(({ seen }) => seen?.text.match(/[a-z]{3}_[0-9a-f-]{36}/g) ?? []);
    expect(ids.length).toBeGreaterThan(10);
    for (const shown of [reply, run.reply]) {
      for (const hidden of [...ids, ...TENANTS]) expect(shown.text).not.toContain(hidden);
      const words = shown.text.match(/(?<=:)"[^"]*"/g) ?? [];
      expect(words.filter((word) => !/^"([a-z_-]+|\d{4}-\d\d-\d\dT[\d:.]+Z)"$/.test(word))).toEqual([]);
    }
    storage.close();
  });
});
