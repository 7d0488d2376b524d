import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { killAll, removeFolders, start, stop, temporaryFolder, type Started } from '../e2e/support.js';
import { ageReservation } from '../support/age-reservation.js';
import { useAzurite, type AzuriteAccount } from '../support/azurite.js';
import { report } from '../support/at-length.js';
import { TROUBLES, type Trouble } from '../support/trouble.js';
import { startTroubleProxy, type TroubleProxy } from '../support/trouble-proxy.js';
import { ask, eventually } from './kill-client.js';
import { Load } from './kill-load.js';
import { openOperations, pendingEvents, violationsOf } from './kill-verdict.js';

const TENANT = 'acme';
const LOAD_MS = 4_000;
const OUTAGE_MS = 2_000;
const MET_MS = 30_000;
const ENDED_MS = 50_000;
const SEALED_MS = 30_000;
const QUICK = TROUBLES.filter((trouble) => trouble !== 'silence' && trouble !== 'lost answer');

describe('a local host whose storage is in trouble', { timeout: 120_000 }, () => {
  let azurite: AzuriteAccount;
  let proxy: TroubleProxy;
  let host: Started;

  beforeAll(async () => {
    azurite = useAzurite();
    proxy = await startTroubleProxy(azurite.connectionString, 1_500);
    const env = { DATA_DIR: temporaryFolder(), AzureWebJobsStorage: proxy.connectionString };
    host = await start(env, 'node');
  }, 180_000);
  afterAll(async () => {
    killAll();
    await proxy.close();
    azurite.close();
    removeFolders();
  });

  it('answers rightly or 503, and loses and doubles nothing', async () => {
    const load = new Load(() => [host.baseUrl], TENANT);
    load.start();
    // Two requests that nobody answers cost ten seconds each, of somebody's time and not of everybody's.
    const silent: Trouble[] = ['silence', 'lost answer'];
    let number = 0;
    proxy.plan = () => {
      number += 1;
      if (number % 5 !== 0) return undefined;
      return number % 15 === 0 && silent.length > 0 ? silent.pop() : QUICK[(number / 5) % QUICK.length];
    };
    await delay(LOAD_MS);
    // However slow the machine: until every kind of trouble has been met.
    const met = (): boolean => TROUBLES.every((trouble) => (proxy.counts[trouble] ?? 0) > 0);
    await eventually(() => Promise.resolve(met()), MET_MS);

    // Now nobody gets through at all.
    proxy.plan = () => 'reset before';
    const outage = performance.now();
    const health = await ask(host.baseUrl, TENANT, { method: 'GET', path: '/health' });
    expect(health).toMatchObject({ status: 503, retryAfter: expect.stringMatching(/^[1-9]\d*$/) as unknown });
    await delay(OUTAGE_MS - (performance.now() - outage));
    proxy.plan = () => undefined;
    await load.stop();

    const open = load.open.length;
    await load.finish(
      ({ request }) =>
      ageReservation(azurite.ports, { tenant: TENANT, actor: 'developer' }, `/api${request.path}`, request.key ?? ''), // prettier-ignore
    );
    const ended = await eventually(async () => (await openOperations(load, host.baseUrl)) === 0, ENDED_MS);
    expect(ended, 'all operations ended in time').toBeDefined();
    const sealed = await eventually(
      async () => (await pendingEvents(azurite.ports, TENANT)) === 0,
      SEALED_MS,
    );
    expect(sealed, 'all events were sealed in time').toBeDefined();
    report('trouble', { ...proxy.counts, acknowledged: load.acknowledged, open, ...load.counts });
    expect(await violationsOf(load, host.baseUrl, azurite.ports)).toEqual([]);
    expect(Object.keys(proxy.counts).sort()).toEqual([...TROUBLES].sort());
    expect(host.process.out()).not.toContain('an error nobody handled');
    await stop(host);
  });
});
