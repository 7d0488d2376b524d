import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { verifyAnchor } from '../../../src/audit/verifier/index.js';
import { run } from '../../../src/cli/run.js';
import { created, newTenant } from '../../support/decisions.js';
import { countingPorts } from '../../support/counting-ports.js';
import { httpHost, type HttpHost } from '../../support/http-harness.js';
import { TEST_LOG_KEYS } from '../../support/log-keys.js';
import { openStorage, STORAGES } from '../../support/platform.js';
import type { StorageUnderTest } from '../../support/storages.js';
import { startWitness, type TestWitness } from '../../support/witness.js';
import { entriesOf, PLATFORM_VKEY, replaceLog, rewritten, round, witnessedBy } from './support.js';

const ORIGIN = 'records.test/_system';
const [TENANT, OTHER] = [newTenant(), newTenant()];
const [VKEY = ''] = TEST_LOG_KEYS.vkeys(TENANT);

describe.each(STORAGES)('anchors $name', (kind) => {
  let storage: StorageUnderTest;
  let witness: TestWitness;
  let host: HttpHost;
  const as = { tenant: TENANT, roles: 'records.auditor' };

  beforeEach(async () => {
    storage = await openStorage(kind);
    witness = await startWitness([PLATFORM_VKEY]);
    host = httpHost(storage.ports, { anchoring: witnessedBy(witness) });
  });
  afterEach(() => {
    witness.close();
    storage.close();
  });

  const write = async (tenant = TENANT): Promise<void> => {
    await created(host, {}, { tenant });
    await host.platform.sealer.sealTenant(tenant);
  };
  const anchor = async () => (await host.get('/audit/log/anchor', as)).json as Record<'checkpoint' | 'entry' | 'proof', string>; // prettier-ignore
  const keys = () => ({ vkey: VKEY, platformVkey: PLATFORM_VKEY, witnessVkeys: [witness.vkey] });
  const provenSize = async (): Promise<unknown> => {
    const { verdict, checks, proven } = await verifyAnchor(JSON.stringify(await anchor()), keys());
    expect([verdict, checks.filter(({ outcome }) => outcome !== 'pass')]).toEqual(['yes', []]);
    return proven?.tree_size;
  };
  const published = async (): Promise<number> =>
    Number((await host.get('/audit/platform/checkpoint', as)).text.split('\n')[1]);
  /** Runs the command against what storage has now. */
  const command = async (args: readonly string[], files: Readonly<Record<string, string>>) => {
    let out = '';
    const code = await run(args, {
      out: (text) => void (out += text),
      complain: (text) => void (out += text),
      env: {},
      deadline: (ms) => ({ signal: AbortSignal.timeout(ms), clear: () => undefined }),
      readFile: (path) => Promise.resolve(Buffer.from(files[path] ?? '')),
      writeFile: () => Promise.reject(new Error('a read-only disk')),
      listFiles: () => Promise.resolve([]),
      openFsck: () => Promise.reject(new Error('there is no storage to open')),
      fetch: async (url) => {
        const reply = await host.get(String(url).slice('http://platform.test/api'.length), as);
        return new Response(reply.bytes, { status: reply.status });
      },
      sleep: () => Promise.resolve(),
    });
    return { code, out };
  };

  it('are not there before the first round', async () => {
    await write();
    for (const path of ['/audit/log/anchor', '/audit/platform/checkpoint'])
      expect([path, (await host.get(path, as)).code]).toEqual([path, 'record-not-found']);
    expect((await host.get('/audit/platform/vkey', as)).text).toBe(`${PLATFORM_VKEY}\n`);
  });

  it('are proven offline, cosigned, and go on with the log', async () => {
    await write();
    await write(OTHER);
    expect(await round(host)).toMatchObject({ tenants: 2, logged: 2, published: 1, cosigned: 1 });
    expect(await provenSize()).toBe(1);
    expect((await anchor()).checkpoint).toBe((await host.get('/audit/log/checkpoint', as)).text);
    expect(JSON.stringify(await anchor())).not.toContain(OTHER);
    expect((await host.get('/audit/platform/checkpoint', as)).text).toMatch(/\n\n— \S+ \S+\n— witness\.test\/w91 \S+\n$/); // prettier-ignore
    await write();
    expect(await provenSize()).toBe(1);
    expect(await round(host)).toMatchObject({ tenants: 2, logged: 1, published: 1 });
    expect(await provenSize()).toBe(2);
    expect(witness.asked.map(({ status }) => status)).toEqual([200, 200]);
    const args = ['verify-anchor', 'anchor', '--vkey', VKEY, '--platform-vkey', PLATFORM_VKEY, '--witness-vkey', witness.vkey]; // prettier-ignore
    const files = { anchor: JSON.stringify(await anchor()) };
    const { code, out } = await command(args, files);
    expect([code, out]).toEqual([0, expect.stringMatching(/witnessed +witness\.test\/w91 20/)]);
    expect((await command([...args.slice(0, -1), TEST_LOG_KEYS.vkeys(OTHER)[0] ?? ''], files)).code).toBe(2);
  });

  it('enter once, and cost two reads a tenant when nothing has grown', async () => {
    await write();
    await write(OTHER);
    await round(host);
    await round(host);
    const before = await entriesOf(storage.ports.blobs, '_system');
    expect(before).toHaveLength(2);
    const counting = countingPorts(storage.ports);
    const quiet = httpHost(counting.ports, { anchoring: witnessedBy(witness) });
    expect(await round(quiet)).toMatchObject({ tenants: 2, published: 0 });
    expect(await entriesOf(storage.ports.blobs, '_system')).toEqual(before);
    const finds = counting.calls.filter(({ method, args }) => method === 'find' && !String(args[1]).startsWith('_system')); // prettier-ignore
    expect(finds).toHaveLength(4);
    // Of the platform log: what is published, twice, its head, and its checkpoint twice.
    expect(counting.counts()).toMatchObject({ 'blobs.find': 9 });
    expect(counting.counts()['blobs.swap']).toBeUndefined();
  });

  it.each([
    ['cut', (entries: readonly string[]) => entries.slice(0, -1)],
    ['rewritten from its first entry on', (entries: readonly string[]) => rewritten(entries)],
    ['rewritten and longer', (entries: readonly string[]) => [...rewritten(entries), '{}']],
  ])('show to who holds one that the log was %s by a thief of the key', async (_, forge) => {
    await write();
    await write();
    await round(host);
    const old = await anchor();
    const url = 'http://platform.test/api/audit/log';
    const check = () => command(['verify-log', '--url', url, '--vkey', VKEY, '--since', 'old'], { old: old.checkpoint }); // prettier-ignore
    expect(await check()).toMatchObject({ code: 0 });
    await replaceLog(storage.ports.blobs, TENANT, forge(await entriesOf(storage.ports.blobs, TENANT)));
    expect(await command(['verify-log', '--url', url, '--vkey', VKEY], {})).toMatchObject({ code: 0 });
    const { code, out } = await check();
    expect([code, out]).toEqual([1, expect.stringMatching(/^FAIL consistency/m)]);
    // The platform notices as well, does not log it, and goes on giving what it had.
    expect(await round(host)).toMatchObject({ broken: 1 });
    expect((await anchor()).checkpoint).toBe(old.checkpoint);
  });

  it.each([
    ['cut', (entries: readonly string[]) => entries.slice(0, -1), 409],
    ['rewritten', (entries: readonly string[]) => rewritten(entries), 409],
    ['rewritten and longer', (entries: readonly string[]) => [...rewritten(entries), '{}'], 422],
  ])('cannot be had from the witness for a platform log that was %s', async (_, forge, status) => {
    await write();
    await round(host);
    await write();
    await round(host);
    const { blobs } = storage.ports;
    const known = witness.known.get(ORIGIN);
    await replaceLog(blobs, '_system', forge(await entriesOf(blobs, '_system')));
    // The platform's own memory would tell already: the thief deletes it.
    expect(await round(host)).toMatchObject({ broken: 1 });
    await blobs.delete('ledger', '_system/published');
    const late = httpHost(storage.ports, { anchoring: witnessedBy(witness) });
    expect(await round(late)).toMatchObject({ published: 0, cosigned: 0, refused: 1 });
    expect(witness.asked.at(-1)?.status).toBe(status);
    expect(witness.known.get(ORIGIN)).toEqual(known);
    expect((await late.get('/audit/platform/checkpoint', as)).status).toBe(404);
  });

  it('wait for a witness that is down, hold up nothing, and are all there when it is back', async () => {
    await write();
    await round(host);
    witness.mood = 'down';
    for (let day = 0; day < 3; day += 1) {
      await write();
      expect(await round(host)).toMatchObject({ published: 0, unanswered: 1 });
      expect(await provenSize()).toBe(1);
    }
    witness.mood = 503;
    expect(await round(host)).toMatchObject({ published: 0, unanswered: 1 });
    expect((await host.get('/audit/log/checkpoint', as)).text.split('\n')[1]).toBe('4');
    witness.mood = 'well';
    expect(await round(host)).toMatchObject({ published: 1, cosigned: 1 });
    expect(await provenSize()).toBe(4);
  });

  it('go on from where the witness is when its answer was lost', async () => {
    await write();
    witness.mood = 'mute';
    expect(await round(host)).toMatchObject({ unanswered: 1 });
    witness.mood = 'well';
    expect(await round(host)).toMatchObject({ published: 1 });
    expect(witness.asked.map(({ old, status }) => [old, status])).toEqual([[0, 200], [0, 409], [1, 200]]); // prettier-ignore
    await write();
    witness.mood = 'mute';
    await round(host);
    await write();
    witness.mood = 'well';
    expect(await round(host)).toMatchObject({ published: 1 });
    expect(witness.asked.slice(3).map(({ status }) => status)).toEqual([200, 409, 200]);
    expect(await provenSize()).toBe(3);
  });

  it.each([
    ['of another key', async () => (await startWitness([PLATFORM_VKEY], 92)) as TestWitness | string],
    ['that are none', () => Promise.resolve('OK\n')],
    ['without an end', () => Promise.resolve(`\u2014 witness.test/w91 ${'A'.repeat(70_000)}`)],
  ])('take no cosignatures %s', async (_, liar) => {
    await write();
    const lie = await liar();
    if (typeof lie === 'string') witness.says = lie;
    const asked = typeof lie === 'string' ? witness : { ...lie, vkey: witness.vkey };
    const fooled = httpHost(storage.ports, { anchoring: witnessedBy(asked) });
    expect(await round(fooled)).toMatchObject({ published: 0, cosigned: 0, unanswered: 1 });
    if (typeof lie !== 'string') lie.close();
    expect((await host.get('/audit/platform/checkpoint', as)).status).toBe(404);
  });

  it('are cosigned anew when a witness comes that was not there', async () => {
    host = httpHost(storage.ports);
    await write();
    expect(await round(host)).toMatchObject({ published: 1, cosigned: 0 });
    expect((await verifyAnchor(JSON.stringify(await anchor()), keys())).checks).toContainEqual({ name: 'witness', outcome: 'fail', detail: 'has no cosignature of witness.test/w91' }); // prettier-ignore
    host = httpHost(storage.ports, { anchoring: witnessedBy(witness) });
    expect(await round(host)).toMatchObject({ published: 1, cosigned: 1 });
    expect(await provenSize()).toBe(1);
  });

  it('are made by two hosts at once as by one', async () => {
    const second = httpHost(storage.ports, { anchoring: witnessedBy(witness) });
    for (let n = 1; n <= 3; n += 1) {
      await write();
      await write(OTHER);
      await Promise.all([round(host), round(second)]);
    }
    await round(host);
    expect(await provenSize()).toBe(3);
    const entries = await entriesOf(storage.ports.blobs, '_system');
    expect(new Set(entries).size).toBe(entries.length);
    const checkpoints = entries.map((entry) => (JSON.parse(entry) as { details: { checkpoint: string } }).details.checkpoint); // prettier-ignore
    expect(new Set(checkpoints).size).toBe(6);
    expect(checkpoints).toHaveLength(6);
    expect(await published()).toBe(6);
  });
});
