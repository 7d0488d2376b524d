import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MINIMAL, vote } from '../support/decisions.js';
import { changesIn, client, eventsIn, killAll, refusal, removeFolders, start, stop, temporaryFolder, type Started } from './support.js'; // prettier-ignore

/** The tests follow the life of one data folder, in this order. */
describe('npm start', { timeout: 120_000 }, () => {
  let dataDir: string;
  let started: Started;
  const decisions: string[] = [];

  beforeAll(async () => {
    dataDir = temporaryFolder();
    started = await start({ DATA_DIR: dataDir });
  }, 180_000);
  afterAll(() => {
    killAll();
    removeFolders();
  });

  const acme = () => client(started.baseUrl, 'acme');
  const lock = (): string => join(dataDir, 'azurite', '.azurite.lock');

  it('says nothing on standard error, serves the loopback interface, and is healthy', async () => {
    expect(started.baseUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/api$/);
    expect(started.process.err().replaceAll(/^npm warn .*\n/gm, '')).toBe('');
    expect((await acme().get('/health')).json).toEqual({ status: 'ok', storage: 'reachable' });
  });

  it('prints a curl that works', () => {
    const line = /^curl .*$/m.exec(started.process.out())?.[0] ?? '';
    const answer = execFileSync('sh', [
      '-c',
      `${line.replace('curl', 'curl -sS')} -H 'x-dev-tenant: welcome'`,
    ]);
    expect(JSON.parse(answer.toString())).toMatchObject({ record_type: 'decision', revision: 1 });
  });

  it('stores decisions and votes, and seals their events within a few seconds', async () => {
    const created = await acme().post('/decisions', MINIMAL);
    expect(created.status).toBe(201);
    const { id } = created.envelope;
    decisions.push(id);
    const location = created.headers.get('location') ?? '';
    expect((await acme().post(`/decisions/${id}/votes`, vote('cfo'))).status).toBe(200);
    const read = await acme().get(location.slice('/api'.length));
    expect([read.status, read.envelope.revision]).toEqual([200, 2]);
    const sealed = await acme().eventually(`/audit-events?resource_id=${id}`, (answer) => changesIn(answer).length === 2, 8_000); // prettier-ignore
    expect(changesIn(sealed).map((event) => event['leaf_index'])).toEqual([1, 0]);
    const reads = await acme().eventually(`/audit-events?resource_id=${id}&event_type=record.read`, (answer) => eventsIn(answer).length === 1, 8_000); // prettier-ignore
    expect(eventsIn(reads)[0]).toMatchObject({ action: 'read', details: { revision: 2, sensitive: true } });
  });

  it('stores what the inbox promised within 5 s', async () => {
    const accepted = await acme().post('/inbox/decisions', MINIMAL);
    expect(accepted.status).toBe(202);
    const path = (accepted.headers.get('location') ?? '').slice('/api'.length);
    const done = await acme().eventually(path, (answer) => answer.json['status'] !== 'pending', 5_000);
    expect(done.json).toMatchObject({ status: 'succeeded', problem: null });
    decisions.push(String(done.json['record_id']));
    const large = { ...MINIMAL, inputs: { texts: Array(10).fill('x'.repeat(60_000)) } };
    const promised = await acme().post('/inbox/decisions', large);
    const second = (promised.headers.get('location') ?? '').slice('/api'.length);
    const stored = await acme().eventually(second, (answer) => answer.json['status'] !== 'pending', 5_000);
    decisions.push(String(stored.json['record_id']));
    expect((await acme().get(`/decisions/${decisions[2] ?? ''}`)).envelope.data['inputs']).toEqual(
      large.inputs,
    );
  });

  it('refuses a body over the limit with an answer that arrives', async () => {
    const body = { ...MINIMAL, inputs: { text: 'x'.repeat(15_000_000) } };
    expect((await acme().post('/decisions', body)).status).toBe(413);
    const query = await acme().get('/decisions?status=queued&status=failed');
    expect(query.status).toBe(400);
    const strange = await fetch(`${started.baseUrl}/decisions`, { method: 'DELETE' });
    expect([strange.status, strange.headers.get('allow')]).toEqual([405, 'POST, GET']);
  });

  it('ends with 0 when npm is told to end, everything on disk and no storage left running', async () => {
    await stop(started);
    expect(existsSync(lock())).toBe(false);
  });

  it('has it all after a restart on the same folder', async () => {
    started = await start({ DATA_DIR: dataDir }, 'node');
    for (const id of decisions) expect((await acme().get(`/decisions/${id}`)).status).toBe(200);
    const listed = await acme().get('/decisions');
    expect((listed.json['items'] as { id: string }[]).map(({ id }) => id).sort()).toEqual(
      [...decisions].sort(),
    );
    const events = await acme().get(`/audit-events?resource_id=${decisions[0] ?? ''}`);
    expect(changesIn(events)).toHaveLength(2);
  });

  it('killed right after a write it acknowledged, has it at the next start and seals its event within 30 s', async () => {
    const created = await acme().post('/decisions', MINIMAL, { 'idempotency-key': 'before-the-end' });
    started.process.child.kill('SIGKILL');
    expect(created.status).toBe(201);
    await started.process.exited;
    started = await start({ DATA_DIR: dataDir }, 'node');
    const { id } = created.envelope;
    expect((await acme().get(`/decisions/${id}`)).json).toEqual(created.json);
    const again = await acme().post('/decisions', MINIMAL, { 'idempotency-key': 'before-the-end' });
    expect([again.json, again.headers.get('idempotency-replayed')]).toEqual([created.json, 'true']);
    await acme().eventually(
      `/audit-events?resource_id=${id}`,
      (answer) => changesIn(answer).length === 1,
      30_000,
    );
    await stop(started);
  });

  it('without the keys that its data was made with, refuses in one line and leaves no storage running', async () => {
    const keys = join(dataDir, 'keys.json');
    const kept = readFileSync(keys);
    rmSync(keys);
    const { code, said } = await refusal({ DATA_DIR: dataDir });
    expect([code, said]).toEqual([1, expect.stringMatching(/^business-records: .*key.*\n$/i)]);
    expect(existsSync(lock())).toBe(false);
    writeFileSync(keys, kept, { mode: 0o600 });
  });

  it('with damaged keys or damaged data, refuses in one line and leaves no storage running', async () => {
    const keys = join(dataDir, 'keys.json');
    const kept = readFileSync(keys);
    writeFileSync(keys, '{"CURSOR_KEY":', { mode: 0o600 });
    const unreadable = await refusal({ DATA_DIR: dataDir });
    expect([unreadable.code, unreadable.said]).toEqual([
      1,
      expect.stringMatching(/^business-records: .*keys\.json.*\n$/),
    ]);
    writeFileSync(keys, kept, { mode: 0o600 });
    const folder = join(dataDir, 'azurite');
    const database = readdirSync(folder).find((name) => name.includes('table')) ?? '';
    writeFileSync(join(folder, database), '{"filename": 7, "coll');
    const damaged = await refusal({ DATA_DIR: dataDir });
    expect([damaged.code, damaged.said]).toEqual([1, expect.stringMatching(/^business-records: .+\n$/)]);
    expect(existsSync(lock())).toBe(false);
  });

  it('refuses a port that is none or in use in one line', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const folder = temporaryFolder();
    for (const PORT of ['rubbish', '70000', '-1', String(port)]) {
      const { code, said } = await refusal({ DATA_DIR: folder, PORT });
      expect([code, said]).toEqual([
        1,
        expect.stringMatching(new RegExp(`^business-records: .*${PORT}.*\\n$`)),
      ]);
    }
    server.close();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('refuses storage that is no connection string, and a sign-in without its settings', async () => {
    const folder = temporaryFolder();
    const storage = await refusal({ DATA_DIR: folder, AzureWebJobsStorage: 'AccountKey=very-secret' });
    expect([storage.code, storage.said]).toEqual([1, expect.stringMatching(/^business-records: .+\n$/)]);
    expect(storage.said).not.toContain('very-secret');
    const entra = await refusal({ DATA_DIR: folder, AUTH_MODE: 'entra' });
    expect([entra.code, entra.said]).toEqual([
      1,
      expect.stringMatching(/^business-records: the setting ENTRA_AUDIENCE is missing.*\n$/),
    ]);
    expect(existsSync(join(folder, 'azurite', '.azurite.lock'))).toBe(false);
  });
});
