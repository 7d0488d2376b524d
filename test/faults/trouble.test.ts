import pLimit from 'p-limit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/domain/limits.js';
import { numberSetting, report } from '../support/at-length.js';
import type { HttpHost, Reply } from '../support/http-harness.js';
import { TROUBLES, type Sent, type Trouble, type TroublePlan } from '../support/trouble.js';
import { openTroubleWorld, SCENARIOS, SPEED, type TroubleWorld } from './trouble-world.js';

/** Kinds of trouble that each request of each scenario meets; all eight by command. */
const KINDS = numberSetting('kinds', 2);
const AT_ONCE = 16;
/** Trouble after which trying again costs next to nothing: there is time enough for the right answer. */
const QUICK: readonly Trouble[] = ['busy', 'reset before', 'reset after', 'late', 'broken body'];
/** What a busy machine may add between the decision to try again and the try. */
const LAG_MS = 2_000;

describe('trouble with storage over HTTP', { timeout: 240_000 }, () => {
  let world: TroubleWorld;
  let runs = 0;
  const limit = pLimit(AT_ONCE);

  beforeAll(async () => {
    world = await openTroubleWorld();
  });
  afterAll(() => {
    report('trouble', { runs });
    world.close();
  });

  /** Asks under a plan, then again without trouble, and holds both against what is stored. */
  const run = async (
    name: string,
    host: HttpHost,
    scenario: string,
    plan: TroublePlan,
  ): Promise<{ readonly reply: Reply; readonly sent: Sent }> => {
    runs += 1;
    const { ask, success, settled } = await (SCENARIOS[scenario] as (typeof SCENARIOS)[string])(world);
    const { result: reply, sent } = await world.trouble.during(plan, () => ask(host));
    expect([success, 503], `${name}: ${reply.text}`).toContain(reply.status);
    if (reply.status === 503) {
      expect(reply.code, name).toBe('storage-unavailable');
      expect(Number(reply.headers['retry-after']), name).toBeGreaterThan(0);
      expect(reply.text, name).not.toMatch(/ECONNRESET|ServerBusy|127\.0\.0\.1|abort/i);
    }
    const again = await ask(world.later);
    expect(again.status, `${name}, again: ${again.text}`).toBe(success);
    await settled(world.later, reply.status === success ? [reply, again] : [again]);
    return { reply, sent };
  };
  /** How many requests a scenario sends when all is well. */
  const requestsOf = async (scenario: string): Promise<number> =>
    (await run(`${scenario}, without trouble`, world.patient, scenario, () => undefined)).sent.requests;

  it.concurrent.each(Object.keys(SCENARIOS))(
    'of a moment is not noticed by %s, whichever request meets it',
    async (scenario) => {
      const cases = Array.from({ length: await requestsOf(scenario) }, (_, at) =>
        Array.from({ length: KINDS }, (_kind, k) => ({
          number: at + 1,
          trouble: TROUBLES[(at * KINDS + k) % TROUBLES.length] as Trouble,
        })),
      );
      const one = async (number: number, trouble: Trouble): Promise<void> => {
        const name = `${scenario}, ${trouble} at request ${number}`;
        const plan: TroublePlan = (n) => (n === number ? trouble : undefined);
        const { reply } = await run(name, world.patient, scenario, plan);
        if (QUICK.includes(trouble)) expect(reply.status, `${name}: ${reply.text}`).toBeLessThan(300);
      };
      await Promise.all(cases.flat().map(({ number, trouble }) => limit(() => one(number, trouble))));
    },
  );

  it.concurrent.each(Object.keys(SCENARIOS))(
    'that stays is 503 for %s, and is not tried for longer than the budget',
    async (scenario) => {
      const requests = await requestsOf(scenario);
      const begins = [1, Math.ceil(requests / 2), requests];
      const one = async (begin: number, trouble: Trouble): Promise<void> => {
        const name = `${scenario}, ${trouble} from request ${begin} on`;
        const plan: TroublePlan = (n) => (n >= begin ? trouble : undefined);
        const { reply, sent } = await run(name, world.hurried, scenario, plan);
        // Slow storage is storage that answers.
        if (trouble === 'slow') return;
        expect(reply.status, name).toBe(503);
        expect(sent.lastMs, name).toBeLessThan(LIMITS.storageBudgetMs / SPEED + LAG_MS);
      };
      await Promise.all(
        TROUBLES.map((trouble, kind) => limit(() => one(begins[kind % begins.length] as number, trouble))),
      );
    },
  );
});
