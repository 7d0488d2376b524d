import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { KeyVaultWrapper, parseVaultKey, type KeyVaultOptions } from '../../src/azure/index.js';
import type { SealingContext } from '../../src/domain/commitment.js';
import { seededEntropy } from '../support/entropy.js';
import { keyOf, testKeyRing } from '../support/key-ring.js';
import { saying, TestVault } from '../support/key-vault.js';
import { memoryPorts } from '../support/memory-ports.js';
import { VirtualClock } from '../support/virtual-clock.js';

const KEY = seededEntropy('a key of a tenant').bytes(32);
const URL_OF_KEY = `${TestVault.URL}/keys/tenants`;
const CONTEXT: SealingContext = { tenant: 'acme', type: 'decision', id: 'dec_1', revision: 1 };
const SECRETS = { '/v': { salt: 'c2FsdA', value: 'born 1970' } };

describe('a key in Azure Key Vault', () => {
  const vault = new TestVault();
  const ONE = vault.versions[0]?.id ?? '';
  let wrapper: KeyVaultWrapper;

  function wrapperOf(url = URL_OF_KEY, options: KeyVaultOptions = {}): KeyVaultWrapper {
    const key = parseVaultKey(url);
    if (key === undefined) throw new Error(`${url} is the identifier of a key`);
    const { credential, httpClient } = vault;
    return new KeyVaultWrapper(key, { credential, httpClient, ...options });
  }

  beforeAll(() => vault.open());
  afterAll(() => vault.close());
  beforeEach(() => {
    vault.trouble = undefined;
    for (const version of vault.versions) version.enabled = true;
    vault.calls.splice(0);
    wrapper = wrapperOf();
  });

  it('wraps and unwraps, answering the challenge of the vault with a token for it', async () => {
    const wrapped = await wrapper.wrap('acme', KEY);
    expect(wrapped).toEqual({ wrappedBy: URL_OF_KEY, version: vault.versions.at(-1)?.id, wrapped: expect.stringMatching(/^[A-Za-z0-9_-]{342}$/) as string }); // prettier-ignore
    expect(Buffer.from(wrapped.wrapped, 'base64url').includes(Buffer.from(KEY))).toBe(false);
    expect(Buffer.from((await wrapper.unwrap('acme', wrapped)) ?? []).equals(KEY)).toBe(true);
    expect(Buffer.from((await wrapperOf().unwrap('acme', wrapped)) ?? []).equals(KEY)).toBe(true);
    expect(new Set(vault.credential.scopes)).toEqual(new Set(['https://vault.example.net/.default']));
    expect(vault.challenges).toBeGreaterThan(0);
  });

  it('costs one call to unwrap, and one to find the current version where none is configured', async () => {
    const wrapped = await wrapper.wrap('acme', KEY);
    const version = vault.versions.at(-1)?.id ?? '';
    expect(vault.calls).toEqual(['GET /keys/tenants/', `POST /keys/tenants/${version}/wrapkey`]);
    vault.calls.splice(0);
    await wrapper.unwrap('acme', wrapped);
    expect(vault.calls).toEqual([`POST /keys/tenants/${version}/unwrapkey`]);
    vault.calls.splice(0);
    expect((await wrapperOf(`${URL_OF_KEY}/${ONE}`).wrap('acme', KEY)).version).toBe(ONE);
    expect(vault.calls).toEqual([`POST /keys/tenants/${ONE}/wrapkey`]);
  });

  it('wraps by the newest version and unwraps what others did', async () => {
    const before = await wrapper.wrap('acme', KEY);
    const version = vault.addVersion();
    expect(await wrapper.currentVersion()).toBe(version);
    expect((await wrapper.wrap('acme', KEY)).version).toBe(version);
    expect(Buffer.from((await wrapper.unwrap('acme', before)) ?? []).equals(KEY)).toBe(true);
  });

  it('does not unwrap what it has not wrapped', async () => {
    const wrapped = await wrapper.wrap('acme', KEY);
    const bytes = Buffer.from(wrapped.wrapped, 'base64url');
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    expect(
      await wrapper.unwrap('acme', { ...wrapped, wrapped: bytes.toString('base64url') }),
    ).toBeUndefined();
    expect(await wrapper.unwrap('acme', { ...wrapped, wrapped: 'AAAA' })).toBeUndefined();
    expect(await wrapper.unwrap('acme', { ...wrapped, version: '../x' })).toBeUndefined();
  });

  it.each([
    ['is throttled', saying(429, 'Throttled'), 'unavailable', /429 Throttled/],
    ['is out of order', saying(503, 'ServiceUnavailable'), 'unavailable', /503/],
    ['hangs up', (response: { destroy: () => void }) => response.destroy(), 'unavailable', /broke off/],
    ['does not answer', () => undefined, 'unavailable', /did not answer in time/],
    ['forbids it', saying(403, 'Forbidden'), 'refused', /403 Forbidden/],
    ['does not know the key', saying(404, 'KeyNotFound'), 'refused', /404 KeyNotFound/],
  ])('that %s says so', async (_, trouble, kind, message) => {
    const wrapped = await wrapper.wrap('acme', KEY);
    vault.trouble = trouble;
    const late = wrapperOf(URL_OF_KEY, { tryMs: 500 });
    for (const call of [() => late.wrap('acme', KEY), () => late.unwrap('acme', wrapped), () => late.currentVersion()])
      await expect(call()).rejects.toMatchObject({ name: 'StorageFault', kind, message: expect.stringMatching(message) as string }); // prettier-ignore
  });

  it('of which a version is disabled says which', async () => {
    const wrapped = await wrapper.wrap('acme', KEY);
    for (const version of vault.versions) version.enabled = false;
    const message = `the key ${URL_OF_KEY}/${wrapped.version} answered 403 KeyDisabled`;
    await expect(wrapper.unwrap('acme', wrapped)).rejects.toMatchObject({ kind: 'refused', message });
    await expect(wrapper.wrap('acme', KEY)).rejects.toMatchObject({ kind: 'refused' });
  });

  it('seals for tenants, and in its absence values are not to be had rather than damaged', async () => {
    const clock = new VirtualClock();
    const ports = memoryPorts({ clock });
    const ring = testKeyRing(ports, { vault: wrapper, keys: [keyOf(2)] });
    const sealed = await ring.secretBox.seal(CONTEXT, SECRETS, { '/v': ['ann'] });
    expect(
      await testKeyRing(ports, { vault: wrapperOf(), keys: [] }).secretBox.open(CONTEXT, sealed),
    ).toEqual(SECRETS);
    // One try is all the time there is.
    const impatient = { now: () => clock.now(), monotonic: () => performance.now() * 10_000, sleep: () => Promise.resolve() }; // prettier-ignore
    vault.trouble = saying(429, 'Throttled');
    const cold = testKeyRing(ports, { vault: wrapperOf(), keys: [], clock: impatient }).secretBox;
    await expect(cold.open(CONTEXT, sealed)).rejects.toMatchObject({ code: 'storage-unavailable' });
    vault.trouble = undefined;
    const { secretBox } = testKeyRing(ports, { keys: [keyOf(2)] });
    await expect(secretBox.open(CONTEXT, sealed)).rejects.toMatchObject({ code: 'integrity-failure' });
  });
});

describe('the identifier of a key', () => {
  it.each([
    '',
    'tenants',
    'http://v.example/keys/k',
    'https://v.example/keys',
    'https://v.example/secrets/k',
    'https://v.example/keys/k/newest',
    'https://v.example/keys/k?x',
  ])(
    // prettier-ignore
    'is not %j',
    (url) => {
      expect(parseVaultKey(url)).toBeUndefined();
    },
  );
});
