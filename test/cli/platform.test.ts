import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../src/cli/run.js';
import { created, newTenant, vote } from '../support/decisions.js';
import { httpHost, type HttpHost } from '../support/http-harness.js';
import { TEST_LOG_KEYS } from '../support/log-keys.js';
import { openStorage, STORAGES } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';

const BASE = 'http://platform.test/api';

describe.each(STORAGES)('the command and the platform $name', (kind) => {
  let storage: StorageUnderTest;
  let host: HttpHost;
  const tenant = newTenant();
  const as = { tenant, roles: 'records.auditor' };
  const [vkey = ''] = TEST_LOG_KEYS.vkeys(tenant);
  const files: Record<string, Uint8Array> = {};
  let asked: string[] = [];

  /** Runs the command with the platform's routes for a network. */
  async function ran(...args: readonly string[]): Promise<{ code: number; out: string }> {
    let out = '';
    asked = [];
    const code = await run(args, {
      out: (text) => void (out += text),
      complain: (text) => void (out += text),
      env: {},
      openFsck: () => Promise.reject(new Error('there is no storage')),
      deadline: (ms) => ({ signal: AbortSignal.timeout(ms), clear: () => undefined }),
      readFile: async (path) =>
        files[path] ?? Promise.reject(Object.assign(new Error('no such file'), { code: 'ENOENT' })),
      writeFile: (path, bytes) => {
        files[path] = bytes;
        return Promise.resolve();
      },
      listFiles: (folder) =>
        Promise.resolve(
          Object.keys(files).flatMap((name) =>
            name.startsWith(`${folder}/`) ? [name.slice(folder.length + 1)] : [],
          ),
        ),
      fetch: async (url) => {
        const path = String(url).slice(BASE.length);
        asked.push(path);
        const reply = await host.get(path, as);
        return new Response(reply.bytes, { status: reply.status });
      },
      sleep: () => Promise.resolve(),
    });
    return { code, out };
  }
  const verifyLog = (...args: readonly string[]): Promise<{ code: number; out: string }> =>
    ran('verify-log', '--url', `${BASE}/audit/log`, '--vkey', vkey, '--tenant', tenant, ...args);

  beforeAll(async () => {
    storage = await openStorage(kind);
    host = httpHost(storage.ports);
  });
  afterAll(() => storage.close());

  it('agree on a record, on the log, and on the log as it goes on', async () => {
    const decision = `/decisions/${(await created(host, {}, { tenant })).envelope.id}`;
    await host.platform.sealer.sealTenant(tenant);
    files['old'] = (await host.get('/audit/log/checkpoint', as)).bytes;
    await host.post(`${decision}/votes`, vote('cfo'), { tenant });
    await host.platform.sealer.sealTenant(tenant);
    files['proof'] = (await host.get(`${decision}/proof`, as)).bytes;
    expect(await ran('verify', 'proof', '--vkey', vkey)).toMatchObject({ code: 0 });
    const { code, out } = await verifyLog('--since', 'old');
    expect([code, out]).toEqual([0, expect.stringMatching(/^ok {3}consistency +the first 1 entries/m)]);
    // The checkpoint, one bundle and its tile.
    expect(asked).toHaveLength(3);
  });

  it('agree that nothing of it may be another', async () => {
    const text = Buffer.from(files['proof'] as Uint8Array).toString();
    files['changed'] = Buffer.from(text.replace('"revision":2', '"revision":1'));
    expect(await ran('verify', 'changed', '--vkey', vkey)).toMatchObject({ code: 1 });
    const [other = ''] = TEST_LOG_KEYS.vkeys(newTenant());
    expect(await ran('verify', 'proof', '--vkey', other)).toMatchObject({ code: 1 });
    expect(await ran('verify-log', '--url', `${BASE}/audit/log`, '--vkey', other)).toMatchObject({ code: 1 });
    expect(await ran('verify-log', '--url', `${BASE}/nowhere`, '--vkey', vkey)).toMatchObject({ code: 2 });
  });
});
