import { generateKeyPairSync } from 'node:crypto';
import { afterEach, expect, it, vi } from 'vitest';
import { useAzurite } from '../support/azurite.js';
import { keyOf } from '../support/key-ring.js';

const { privateKey } = generateKeyPairSync('ed25519');
const base64 = (byte: number): string => Buffer.from(keyOf(byte)).toString('base64');

afterEach(() => vi.unstubAllEnvs());

it('a storage that holds wrapped keys is opened by whoever has the keys in use, and by nobody else', async () => {
  const azurite = useAzurite();
  const common = {
    AUTH_MODE: 'development',
    AzureWebJobsStorage: azurite.connectionString,
    CURSOR_KEY: base64(1),
    AUDIT_SIGNING_KEY: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
  };
  /** Starts a process of its own with these settings, and lets it work. */
  async function started(settings: Record<string, string>, work?: 'seal' | 'rotate'): Promise<string> {
    vi.resetModules();
    for (const name of ['WRAPPING_KEY', 'WRAPPING_KEYS_FORMER', 'KEY_VAULT_KEY']) vi.stubEnv(name, undefined);
    for (const [name, value] of Object.entries({ ...common, ...settings })) vi.stubEnv(name, value);
    const composition = await import('../../src/composition.js');
    try {
      // All that a process serves: a start looks whether each row of the access table has a route.
      await import('../../functions/index.js');
      await composition.start();
      const { manager, jobs, types } = await composition.httpServices();
      const call = { tenant: 'acme', actor: 'ann', correlationId: 'c' };
      if (work === 'seal') {
        const type = [...types.types].find(({ recordType }) => recordType === 'decision');
        if (type !== undefined)
          await manager.create(type, { decision_type: 'financial', title: 'Lease' }, call);
      }
      return work === 'rotate' ? JSON.stringify((await jobs.start('rotate-keys')).counts) : 'ready';
    } catch (error) {
      return (error as Error).message;
    } finally {
      await composition.stop().catch(() => undefined);
    }
  }
  const refused = 'this storage holds records and its WRAPPING_KEY is missing: configure the key it was first used with'; // prettier-ignore

  expect(await started({ WRAPPING_KEY: base64(2) }, 'seal')).toBe('ready');
  expect(await started({})).toBe('the setting WRAPPING_KEY is missing');
  expect(await started({ WRAPPING_KEY: base64(3) })).toBe(refused);
  expect(await started({ KEY_VAULT_KEY: 'https://records.vault.example.net/keys/tenants' })).toBe(refused);
  const both = { WRAPPING_KEY: base64(3), WRAPPING_KEYS_FORMER: base64(2) };
  expect(await started(both, 'rotate')).toBe('{"tenants":1,"rewrapped":1}');
  expect(await started({ WRAPPING_KEY: base64(2) })).toBe(refused);
  expect(await started({ WRAPPING_KEY: base64(3) }, 'seal')).toBe('ready');
  azurite.close();
});
