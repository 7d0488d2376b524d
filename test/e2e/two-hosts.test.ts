import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openAzureStorage } from '../../src/azure/index.js';
import { startAzurite, type EmbeddedAzurite } from '../../src/local/azurite.js';
import { MINIMAL, vote } from '../support/decisions.js';
import { client, eventsIn, killAll, refusal, removeFolders, start, stop, temporaryFolder, type Started } from './support.js'; // prettier-ignore

describe('two hosts on one storage', { timeout: 120_000 }, () => {
  let azurite: EmbeddedAzurite;
  let dataDir: string;
  let hosts: readonly Started[];
  const on = (n: number, tenant = 'acme') => client(hosts[n % 2]?.baseUrl ?? '', tenant);

  beforeAll(async () => {
    azurite = await startAzurite();
    dataDir = temporaryFolder();
    const often = { DISPOSE_SCHEDULE: '* * * * * *' };
    const env = { DATA_DIR: dataDir, AzureWebJobsStorage: azurite.connectionString, ...often };
    hosts = await Promise.all([start(env), start(env)]);
  }, 180_000);
  afterAll(async () => {
    killAll();
    await azurite.stop();
    removeFolders();
  });

  it('started at once on a new folder and new storage have the same keys: cursors of one work on the other', async () => {
    const items = Array.from({ length: 7 }, (_, n) => ({ ...MINIMAL, title: `decision ${n}` }));
    expect((await on(0).post('/decisions/batch', { items })).status).toBe(201);
    const ids = new Set<string>();
    let path = '/decisions?limit=2';
    for (let page = 0; ; page += 1) {
      const answer = await on(page).get(path);
      expect(answer.status).toBe(200);
      for (const item of answer.json['items'] as { id: string }[]) ids.add(item.id);
      const cursor = answer.json['next_cursor'] as string | null;
      if (cursor === null) break;
      path = `/decisions?limit=2&cursor=${encodeURIComponent(cursor)}`;
    }
    expect(ids.size).toBe(7);
  });

  it('given the same key at once store one record', async () => {
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        on(n, 'keyed').post('/decisions', MINIMAL, { 'idempotency-key': 'one' }),
      ),
    );
    const stored = answers.filter((answer) => answer.status === 201);
    expect(new Set(stored.map((answer) => answer.envelope.id)).size).toBe(1);
    for (const answer of answers) expect([201, 409]).toContain(answer.status);
    expect((await on(1, 'keyed').get('/decisions')).json['items']).toHaveLength(1);
  });

  it('given fifty votes at once land all of them, each sealed once', async () => {
    const { id } = (await on(0, 'votes').post('/decisions', MINIMAL)).envelope;
    const path = `/decisions/${id}`;
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, n) => on(n, 'votes').post(`${path}/votes`, vote(`agent ${n}`))),
    );
    expect(answers.map((answer) => answer.status)).toEqual(answers.map(() => 200));
    const final = (await on(1, 'votes').get(path)).envelope;
    expect([final.revision, (final.data['agent_votes'] as object[]).length]).toEqual([51, 50]);
    const sealed = await on(0, 'votes').eventually(
      `/audit-events?resource_id=${id}&limit=100`,
      (answer) => eventsIn(answer).length >= 51,
      20_000,
    );
    const leaves = eventsIn(sealed).map((event) => Number(event['leaf_index']));
    expect(leaves.sort((a, b) => a - b)).toEqual(leaves.map((_, index) => index));
  });

  it('share the inbox', async () => {
    const accepted = await Promise.all(
      Array.from({ length: 8 }, (_, n) =>
        on(n, 'inbox').post('/inbox/decisions', { ...MINIMAL, title: `${n}` }),
      ),
    );
    for (const [n, { headers }] of accepted.entries()) {
      const path = (headers.get('location') ?? '').slice('/api'.length);
      const done = await on(n + 1, 'inbox').eventually(
        path,
        (answer) => answer.json['status'] !== 'pending',
        8_000,
      );
      expect(done.json['status']).toBe('succeeded');
    }
    expect((await on(0, 'inbox').get('/decisions')).json['items']).toHaveLength(8);
  });

  it('share the work of a job, a partition at a time', async () => {
    const tenants = ['work-a', 'work-b', 'work-c'];
    const gone: (readonly [tenant: string, path: string])[] = [];
    for (const tenant of tenants)
      for (const month of ['03', '04', '05']) {
        const body = { ...MINIMAL, created_at: `2011-${month}-01T00:00:00.000Z` };
        const { status, envelope } = await on(0, tenant).post('/decisions', body);
        expect(status).toBe(201);
        gone.push([tenant, `/decisions/${envelope.id}`]);
      }
    // The round of the start is over. Without its row there is a new one.
    const { ports, close } = openAzureStorage({ connectionString: azurite.connectionString });
    const job = async () => ((await on(1).get('/jobs')).json['items'] as { name: string; state: string; counts: Record<string, number> }[]).find(({ name }) => name === 'dispose'); // prettier-ignore
    while ((await job())?.state !== 'resting') await delay(100);
    await ports.tables.commit('jobs', '_system:jobs', [{ kind: 'delete', rowKey: 'dispose', etag: '*' }]);
    for (const [tenant, path] of gone)
      await on(1, tenant).eventually(path, (answer) => answer.status === 410, 30_000);
    while ((await job())?.state !== 'resting') await delay(100);
    expect((await job())?.counts).toMatchObject({ disposed: 9, cleared: 9, certificates: 3, partitions_waiting: 0 }); // prettier-ignore
    for (const tenant of tenants) {
      const path = '/audit-events?event_type=job.completed';
      const told = await on(0, tenant).eventually(path, (answer) => eventsIn(answer).length > 0, 20_000);
      expect(eventsIn(told)).toMatchObject([{ details: { collections: [{ disposed: { count: 3 } }] } }]);
    }
    for (const queue of ['lifecycle-work', 'lifecycle-work-poison'])
      expect(await ports.queues.receive(queue, { limit: 1, hiddenS: 1 })).toEqual([]);
    close();
  });

  it('are not joined by one with other keys, but by one that is given theirs', async () => {
    const env = { DATA_DIR: temporaryFolder(), AzureWebJobsStorage: azurite.connectionString };
    const { code, said } = await refusal(env);
    expect([code, said]).toEqual([1, expect.stringMatching(/^business-records: .*key.*\n$/i)]);
    const keys = JSON.parse(readFileSync(join(dataDir, 'keys.json'), 'utf8')) as Record<string, string>;
    const third = await start({ ...env, ...keys, DATA_DIR: temporaryFolder() });
    const cursor = (await on(0).get('/decisions?limit=2')).json['next_cursor'] as string;
    const page = await client(third.baseUrl, 'acme').get(`/decisions?limit=2&cursor=${cursor}`);
    expect(page.status).toBe(200);
    await stop(third);
  });

  it('end, and leave the storage to its owner', async () => {
    await Promise.all(hosts.map(stop));
    const ended = await Promise.race([azurite.exited.then(() => 'ended'), Promise.resolve('running')]);
    expect(ended).toBe('running');
  });
});
