import { beforeEach, describe, expect, it } from 'vitest';
import { workAll } from '../support/courier.js';
import { created, newTenant } from '../support/decisions.js';
import { writeOldDecision } from '../support/old-decision.js';
import { STORAGES } from '../support/platform.js';
import { useHttpHost } from '../support/use-http-host.js';

const JOBS = ['collect-orphans', 'expire-keys', 'check-partitions', 'roll-up-series', 'migrate'];

describe.each(STORAGES)('jobs over HTTP $name', (kind) => {
  const { storage, host } = useHttpHost(kind);
  let tenant: string;
  beforeEach(() => (tenant = newTenant()));

  const run = (query = '', name = 'migrate') => host.request('POST', `/jobs/${name}/run${query}`);
  const jobs = async () => (await host.get('/jobs')).json['items'] as Record<string, unknown>[];

  it('are listed: what each did last, its counts and what it takes', async () => {
    const items = await jobs();
    expect(items.map(({ name }) => name)).toEqual(expect.arrayContaining(JOBS));
    expect(items.find(({ name }) => name === 'migrate')).toEqual({
      name: 'migrate',
      state: 'never',
      suspended: false,
      began_at: null,
      ended_at: null,
      counts: {},
      error: null,
      takes: ['dry_run', 'sample'],
    });
  });

  it('are tried out on a sample, then run, and say what they did', async () => {
    for (let n = 0; n < 3; n += 1) await writeOldDecision(storage.ports, tenant, n);
    const dry = await run('?dry_run=true');
    const alone = { name: 'migrate', dry_run: true, sample: null, outcome: 'done' };
    expect([dry.status, dry.json]).toEqual([200, { ...alone, counts: { looked_at: 3, would_migrate: 3 } }]);
    expect(dry.headers['cache-control']).toBe('no-store');
    const sample = await run('?sample=2');
    expect(sample.json).toEqual({
      ...alone,
      dry_run: false,
      sample: 2,
      counts: { looked_at: 2, migrated: 2 },
    });
    expect((await jobs()).find(({ name }) => name === 'migrate')).toMatchObject({ state: 'never' });
    const all = await run('?dry_run=false');
    const counts = { looked_at: 3, migrated: 1, already_current: 2 };
    expect([all.status, all.json]).toEqual([200, { ...alone, dry_run: false, counts }]);
    expect((await jobs()).find(({ name }) => name === 'migrate')).toMatchObject({
      state: 'resting',
      began_at: expect.any(String),
      ended_at: expect.any(String),
      counts,
      error: null,
    });
    const again = await run();
    expect(again.json['counts']).toEqual({ looked_at: 3, already_current: 3 });
  });

  it('are all started by hand', async () => {
    for (const name of JOBS)
      expect((await run('', name)).json, name).toMatchObject({ name, outcome: 'done' });
  });

  it('that work by messages tell how far they are, stop when they are paused, and go on by hand', async () => {
    await created(host, {}, { tenant });
    await host.platform.jobs.run('dispose');
    const dispose = async () => (await jobs()).find(({ name }) => name === 'dispose');
    const begun = (await dispose())?.['counts'] as Record<string, number>;
    expect(begun).toEqual({ partitions: begun['partitions'], partitions_waiting: begun['partitions'] });
    expect(begun['partitions']).toBeGreaterThan(0);
    await host.request('POST', '/jobs/dispose/pause');
    expect(await workAll(host.platform, storage.ports)).toBe(begun['partitions']);
    await host.platform.jobs.run('dispose');
    expect(await dispose()).toMatchObject({ state: 'paused', suspended: true, counts: begun });
    expect((await run('', 'dispose')).status).toBe(409);
    await host.request('POST', '/jobs/dispose/resume');
    const done = await run('', 'dispose');
    expect([done.status, done.json['counts']]).toMatchObject([200, { ...begun, partitions_waiting: 0 }]);
    expect(await dispose()).toMatchObject({ state: 'resting', error: null });
  });

  it.each([
    ['?dry_run=yes', 'migrate', 400, 'request-malformed'],
    ['?sample=0', 'migrate', 400, 'request-malformed'],
    ['?sample=1.5', 'migrate', 400, 'request-malformed'],
    ['?sample=1000001', 'migrate', 400, 'request-malformed'],
    ['?sample=1&sample=2', 'migrate', 400, 'request-malformed'],
    ['?force=true', 'migrate', 400, 'request-malformed'],
    ['?dry_run=true', 'expire-keys', 400, 'request-malformed'],
    ['?sample=3', 'check-partitions', 400, 'request-malformed'],
    ['', 'nothing', 404, 'record-not-found'],
    ['?dry_run=true', 'nothing', 404, 'record-not-found'],
    ['', '_clock', 404, 'record-not-found'],
  ])('refuse %s for %s', async (query, name, status, code) => {
    const reply = await run(query, name);
    expect([reply.status, reply.code]).toEqual([status, code]);
  });

  it.each([
    ['/jobs/migrate/pause', '/jobs/migrate/resume', false],
    ['/jobs/pause', '/jobs/resume', true],
  ])(
    // prettier-ignore
    'are switched off by %s, and on again by %s',
    async (pause, resume, all) => {
      for (let times = 0; times < 2; times += 1) {
        const paused = await host.request('POST', pause);
        expect([paused.status, paused.json['suspended']]).toEqual([200, all]);
        expect(paused.headers['cache-control']).toBe('no-store');
      }
      const suspended = (await jobs()).filter((job) => job['suspended'] === true).map(({ name }) => name);
      expect(suspended).toEqual(all ? (await jobs()).map(({ name }) => name) : ['migrate']);
      const refused = await run();
      expect([refused.status, refused.code]).toEqual([409, 'transition-not-allowed']);
      expect((await run('?sample=1')).status).toBe(409);
      expect((await run('?dry_run=true')).status).toBe(200);
      for (let times = 0; times < 2; times += 1)
        expect((await host.request('POST', resume)).json).toMatchObject({ suspended: false });
      expect((await run()).status).toBe(200);
      const unknown = all ? '/jobs/nothing/resume' : '/jobs/nothing/pause';
      expect((await host.request('POST', unknown)).code).toBe('record-not-found');
    },
  );

  it('are the operator’s alone', async () => {
    const others =
      'records.reader,records.sensitive-reader,records.writer,records.auditor,records.privacy-officer';
    expect((await host.get('/jobs', { roles: others })).code).toBe('forbidden');
    expect((await host.request('POST', '/jobs/pause', { roles: others })).code).toBe('forbidden');
    expect((await host.request('POST', '/jobs/migrate/run', { roles: others })).code).toBe('forbidden');
    expect((await host.get('/jobs', { roles: 'records.operator' })).status).toBe(200);
    expect((await host.request('POST', '/jobs/migrate/run', { roles: 'records.operator' })).status).toBe(200);
  });
});
