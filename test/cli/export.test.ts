import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../src/cli/run.js';
import { aCovenant } from '../support/covenants.js';
import { created, newTenant, vote } from '../support/decisions.js';
import { httpHost, type HttpHost } from '../support/http-harness.js';
import { TEST_LOG_KEYS } from '../support/log-keys.js';
import { openStorage, STORAGES } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';
import { filesOnDisk } from './support.js';

const BASE = 'http://platform.test/api';
const CONTACT = { name: 'Jo Voorbeeld', email: 'jo@meridian.example' };

describe.each(STORAGES)('business-records export $name', (kind) => {
  let storage: StorageUnderTest;
  let host: HttpHost;
  let folder: string;
  const tenant = newTenant();
  const [vkey = ''] = TEST_LOG_KEYS.vkeys(tenant);
  const [otherKey = ''] = TEST_LOG_KEYS.vkeys(newTenant());
  let roles = 'records.auditor';
  let asked: string[] = [];
  /** What the network does before the platform is asked: an answer of its own, or nothing. */
  let before: (path: string) => Response | undefined = () => undefined;
  let [underWay, busiest] = [0, 0];
  let decision: string;

  async function ran(...args: readonly string[]): Promise<{ code: number; out: string; complaints: string }> {
    let [out, complaints] = ['', ''];
    asked = [];
    const code = await run(args, {
      out: (text) => void (out += text),
      complain: (text) => void (complaints += text),
      env: {},
      deadline: (ms) => ({ signal: AbortSignal.timeout(ms), clear: () => undefined }),
      ...filesOnDisk,
      openFsck: () => Promise.reject(new Error('there is no storage to open')),
      fetch: async (url) => {
        const path = String(url).slice(BASE.length);
        asked.push(path);
        const first = before(path);
        if (first !== undefined) return first;
        busiest = Math.max(busiest, (underWay += 1));
        await new Promise((resolve) => setImmediate(resolve));
        const reply = await host.get(path, { tenant, roles });
        underWay -= 1;
        return new Response(reply.bytes, { status: reply.status });
      },
      sleep: () => Promise.resolve(),
    });
    return { code, out, complaints };
  }
  const exported = (out: string, ...args: readonly string[]) =>
    ran('export', '--url', BASE, '--out', out, '--vkey', vkey, ...args);
  const offline = async (...args: readonly string[]) => {
    const result = await ran(...args);
    expect(asked).toEqual([]);
    return result;
  };
  const filesIn = async (out: string): Promise<string[]> =>
    (await readdir(out, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(out.length + 1))
      .sort();

  beforeAll(async () => {
    storage = await openStorage(kind);
    host = httpHost(storage.ports);
    folder = await mkdtemp(join(tmpdir(), 'export-'));
    decision = (await created(host, {}, { tenant })).envelope.id;
    for (let at = 0; at < 12; at += 1)
      await host.post(`/decisions/${decision}/votes`, vote(`a${at}`), { tenant });
    await aCovenant(host, { organization: { name: 'Meridian', contact: CONTACT } }, { tenant });
    const execution = await host.post(
      '/workflow-executions',
      { workflow_name: 'w', version: '1' },
      { tenant },
    );
    const step = { step_id: 's', status: 'running' };
    await host.post(`/workflow-executions/${execution.envelope.id}/steps`, step, { tenant });
    await host.platform.sealer.sealTenant(tenant);
  });
  afterAll(async () => {
    storage.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('writes what verify and verify-log say yes to, with no network', async () => {
    const out = join(folder, 'all');
    const { code, out: said } = await exported(out, '--json');
    expect(said).toContain('"verdict": "yes"');
    expect(code).toBe(0);
    const index = JSON.parse(await readFile(join(out, 'index.json'), 'utf8')) as Record<string, unknown>;
    expect(index).toMatchObject({ entries: 16, proofs: 15, erased: 0, unknown_types: 0, disclose: 'none' });
    expect(index['collections']).toEqual({ decisions: 13, covenants: 1, 'workflow-executions': 1 });
    const names = await filesIn(out);
    expect(names).toContain(`records/decisions/${decision}/13.json`);
    expect(names.filter((name) => !name.startsWith('records/'))).toEqual([
      'checkpoint',
      'index.json',
      'tile/0/000.p/16',
      'tile/entries/000.p/16',
      'vkey',
    ]);
    expect(busiest).toBeGreaterThan(1);
    expect(busiest).toBeLessThanOrEqual(9);
    expect((await offline('verify-log', '--dir', out, '--vkey', vkey)).out).toContain(
      'yes: everything holds',
    );
    const all = await offline('verify', '--dir', out, '--vkey', vkey);
    expect([all.code, all.out]).toEqual([0, expect.stringContaining('15 of 15 proofs hold')]);
    const one = await offline('verify', join(out, `records/decisions/${decision}/7.json`), '--vkey', vkey);
    expect(one.code, one.out).toBe(0);
    expect((await offline('verify', '--dir', out, '--vkey', otherKey)).code).toBe(1);
    const texts = await Promise.all(names.map((name) => readFile(join(out, name), 'utf8')));
    expect(texts.join()).not.toContain(CONTACT.name);
  });

  it('goes on where it was, under the same checkpoint, and asks for nothing twice', async () => {
    const out = join(folder, 'again');
    let left = 8;
    before = (path) =>
      path.includes('/proof') && (left -= 1) < 0 ? new Response('', { status: 403 }) : undefined;
    const cut = await exported(out);
    expect([cut.code, cut.complaints]).toEqual([2, expect.stringContaining('the server answered 403')]);
    before = () => undefined;
    const kept = (await filesIn(out)).filter((name) => name.startsWith('records/'));
    expect(kept.length).toBeGreaterThan(0);
    await host.post(`/decisions/${decision}/votes`, vote('late'), { tenant });
    await host.platform.sealer.sealTenant(tenant);
    expect((await exported(out)).code).toBe(0);
    expect(asked).toHaveLength(15 - kept.length);
    expect(asked.every((path) => path.includes('/proof?revision='))).toBe(true);
    expect((await filesIn(out)).filter((name) => name.startsWith('records/'))).toHaveLength(15);
    expect((await exported(out)).code).toBe(0);
    expect(asked).toEqual([]);
    expect((await offline('verify-log', '--dir', out, '--vkey', vkey)).code).toBe(0);
  });

  it('takes a part of the records, and what is sensitive where it may', async () => {
    const out = join(folder, 'part');
    expect((await exported(out, '--collection', 'covenants', '--disclose', 'all')).code).toBe(2);
    roles = 'records.auditor,records.sensitive-reader';
    const { code } = await exported(out, '--collection', 'covenants', '--disclose', 'all');
    roles = 'records.auditor';
    expect(code).toBe(0);
    const [name = '', ...others] = (await filesIn(out)).filter((file) => file.startsWith('records/'));
    expect(others).toEqual([]);
    expect(await readFile(join(out, name), 'utf8')).toContain(CONTACT.name);
    expect((await offline('verify', '--dir', out, '--vkey', vkey)).code).toBe(0);
    const nothing = join(folder, 'nothing');
    expect((await exported(nothing, '--to', '2020-01-01T00:00:00Z')).code).toBe(0);
    expect((await exported(nothing, '--from', '2099-01-01T00:00:00Z')).code).toBe(0);
    expect((await filesIn(nothing)).filter((file) => file.startsWith('records/'))).toEqual([]);
  });

  it.each([
    [['--collection', 'nothings'], 'no collection'],
    [['--from', 'yesterday'], 'RFC 3339'],
    [['--disclose', 'some'], 'none or all'],
  ])('does not begin with %j', async (args, said) => {
    const { code, complaints } = await exported(join(folder, 'bad'), ...args);
    expect([code, complaints]).toEqual([2, expect.stringContaining(said)]);
    expect(asked).toEqual([]);
  });

  it('says no to a server whose records are not those of its log', async () => {
    const revision = `/decisions/${decision}/proof?revision=3`;
    const real = (await host.get(revision, { tenant, roles })).json;
    const other = (await host.get(`/decisions/${decision}/proof?revision=4`, { tenant, roles })).text;
    const lied = JSON.stringify({ ...real, envelope: { ...(real['envelope'] as object), revision: 2 } });
    for (const [at, answer] of [
      new Response('', { status: 404 }),
      new Response(other),
      new Response(lied),
      new Response('{}'),
    ].entries()) {
      before = (path) => (path === revision ? answer : undefined);
      const { code, out } = await exported(join(folder, `lie-${String(at)}`));
      expect([code, out]).toEqual([1, expect.stringMatching(/FAIL records .*3\.json/)]);
    }
    before = (path) => (path === revision ? new Response('', { status: 410 }) : undefined);
    const erased = await exported(join(folder, 'erased'), '--json');
    expect([erased.code, erased.out]).toEqual([0, expect.stringContaining('"erased": 1')]);
    before = () => undefined;
  });

  it('says no to a file that was changed, put elsewhere or cut, and to a log that was', async () => {
    const out = join(folder, 'changed');
    expect((await exported(out)).code).toBe(0);
    const at = (revision: number): string =>
      join(out, `records/decisions/${decision}/${String(revision)}.json`);
    const text = await readFile(at(3), 'utf8');
    const good = await readFile(at(4), 'utf8');
    for (const wrong of [text.replace('"confidence":0.9', '"confidence":0.8'), good, text.slice(0, -1), '']) {
      await writeFile(at(3), wrong);
      const checked = await offline('verify', '--dir', out, '--vkey', vkey);
      expect([checked.code, checked.out]).toEqual([1, expect.stringContaining('/3.json')]);
      expect((await exported(out)).code).toBe(1);
    }
    await writeFile(at(3), text);
    expect((await offline('verify', '--dir', out, '--vkey', vkey)).code).toBe(0);
    const [bundle = ''] = (await filesIn(out)).filter((name) => name.startsWith('tile/entries'));
    const bytes = await readFile(join(out, bundle));
    bytes.writeUInt8(bytes.readUInt8(100) ^ 1, 100);
    await writeFile(join(out, bundle), bytes);
    expect((await offline('verify-log', '--dir', out, '--vkey', vkey)).code).toBe(1);
    expect((await exported(out)).code).toBe(1);
    await rm(join(out, bundle));
    expect((await offline('verify-log', '--dir', out, '--vkey', vkey)).code).toBe(1);
  });

  it('wants one place to verify, and one that is there', async () => {
    const nowhere = join(folder, 'nowhere');
    for (const args of [
      ['verify', '--vkey', vkey],
      ['verify', 'x', '--dir', nowhere, '--vkey', vkey],
      ['verify', '--dir', nowhere, '--vkey', vkey],
      ['verify-log', '--vkey', vkey],
      ['verify-log', '--dir', nowhere, '--url', BASE, '--vkey', vkey],
      ['verify-log', '--dir', nowhere, '--vkey', vkey],
    ])
      expect([args, (await offline(...args)).code]).toEqual([args, 2]);
  });
});
