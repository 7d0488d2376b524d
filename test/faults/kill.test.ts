import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openAzureStorage, type AzureStorage } from '../../src/azure/index.js';
import { LIMITS } from '../../src/domain/limits.js';
import { startAzurite, type EmbeddedAzurite } from '../../src/local/azurite.js';
import { killAll, removeFolders, start, stop, temporaryFolder, type Started } from '../e2e/support.js';
import { run } from '../local/processes.js';
import { ROOT } from '../local/support.js';
import { ageReservation } from '../support/age-reservation.js';
import { numberSetting, report } from '../support/at-length.js';
import { eventually } from './kill-client.js';
import { Load, type Deed } from './kill-load.js';
import { openOperations, pendingEvents, violationsOf } from './kill-verdict.js';

/** `npm run kill-test -- --rounds 100`. */
const ROUNDS = numberSetting('rounds', 3);
/** Acknowledged before the next kill, in a round. */
const DEEDS = 25;
const SEALED_MS = 30_000;
/** A message that a killed host had is hidden for 30 s. */
const ENDED_MS = 45_000;

const chance = (share: number): boolean => Math.random() < share;

describe('two hosts that are killed under load', { timeout: 180_000 + ROUNDS * 60_000 }, () => {
  let azurite: EmbeddedAzurite;
  let storage: AzureStorage;
  let env: NodeJS.ProcessEnv;
  const hosts: (Started | undefined)[] = [undefined, undefined];
  const addresses = (): string[] => hosts.flatMap((host) => (host === undefined ? [] : [host.baseUrl]));

  beforeAll(async () => {
    azurite = await startAzurite();
    const { connectionString } = azurite;
    storage = openAzureStorage({ connectionString });
    env = { DATA_DIR: temporaryFolder(), AzureWebJobsStorage: connectionString };
  }, 180_000);
  afterAll(async () => {
    killAll();
    storage.close();
    await azurite.stop();
    removeFolders();
  });

  const revive = async (n: number): Promise<void> => {
    // One that dies before it has begun to serve leaves no more behind than any other.
    if (chance(0.3)) {
      const stillborn = run(ROOT, process.execPath, ['scripts/start.mjs'], env);
      await delay(Math.random() * 1_500);
      stillborn.child.kill('SIGKILL');
      await stillborn.exited;
    }
    hosts[n] = await startedInTime();
  };
  /** One that finds storage too busy to begin with says so and ends; whoever supervises it starts it again. */
  const startedInTime = async (tries = 3): Promise<Started> => {
    try {
      return await start(env, 'node');
    } catch (error) {
      if (tries === 1 || !String(error).includes('Storage does not answer in time')) throw error;
      return startedInTime(tries - 1);
    }
  };
  const kill = async (n: number): Promise<void> => {
    const { process: victim } = hosts[n] as Started;
    victim.child.kill('SIGKILL');
    await victim.exited;
    hosts[n] = undefined;
    expect(victim.out()).not.toContain('an error nobody handled');
  };

  it(`${ROUNDS} times have every decision that was acknowledged, once, with its event`, async () => {
    await Promise.all([revive(0), revive(1)]);
    const load = new Load(addresses, 'acme');
    load.start();
    let lastStart = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const before = load.acknowledged;
      const enough = await eventually(async () => load.acknowledged >= before + DEEDS, 60_000);
      expect(enough, `round ${round}: ${JSON.stringify(load.counts)} ${load.wrong.join('\n')}`).toBeDefined();
      await delay(Math.random() * 600);
      const first = chance(0.5) ? 0 : 1;
      const victims = chance(0.3) ? [0, 1] : [first];
      await Promise.all(victims.map(kill));
      await Promise.all(victims.map(revive));
      lastStart = performance.now();
    }
    await load.stop();
    const [host = ''] = addresses();

    const leftMs = (limit: number): number => limit - (performance.now() - lastStart);
    const sealedMs = await eventually(async () => (await pendingEvents(storage.ports, 'acme')) === 0, leftMs(SEALED_MS)); // prettier-ignore
    expect(sealedMs, 'all events were sealed in time').toBeDefined();

    const open = load.open.length;
    const ended = performance.now();
    const takenOver = (): Promise<void> =>
      delay(Math.max(0, ended + LIMITS.idempotencyTakeoverMs - performance.now()));
    await load.finish(ROUNDS > 10 ? takenOver : age);
    const endedMs = await eventually(async () => (await openOperations(load, host)) === 0, Math.max(5_000, leftMs(ENDED_MS))); // prettier-ignore
    expect(endedMs, 'all operations ended in time').toBeDefined();
    await eventually(async () => (await pendingEvents(storage.ports, 'acme')) === 0, SEALED_MS);

    expect(await violationsOf(load, host, storage.ports)).toEqual([]);
    report('killed', { rounds: ROUNDS, deeds: load.deeds.length, acknowledged: load.acknowledged, open, sealedMs, endedMs, ...load.counts }); // prettier-ignore
    await Promise.all(hosts.map((each) => stop(each as Started)));
  });

  /** A retry takes a key over after a minute. The test run has none, and makes the reservation a minute older. */
  const age = async ({ request }: Deed): Promise<void> =>
    ageReservation(storage.ports, { tenant: 'acme', actor: 'developer' }, `/api${request.path}`, request.key ?? ''); // prettier-ignore
});
