import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { readConfig, StartupError } from '../../src/config.js';

const pem = (type: 'ed25519' | 'x25519'): string => {
  const { privateKey } = type === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('x25519');
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
};
const SIGNING = pem('ed25519');
const GOOD = {
  AUTH_MODE: 'development',
  AzureWebJobsStorage: 'UseDevelopmentStorage=true',
  CURSOR_KEY: randomBytes(32).toString('base64'),
  WRAPPING_KEY: randomBytes(32).toString('base64'),
  AUDIT_SIGNING_KEY: SIGNING,
};
type Env = Record<string, string | undefined>;

function refusal(env: Env): string {
  try {
    readConfig(env);
  } catch (error) {
    if (error instanceof StartupError) return error.message;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('the configuration', () => {
  it('is read from the environment, with defaults for what may be left out', () => {
    expect(readConfig({ ...GOOD, PATH: '/bin', OTHER: 'x' })).toEqual({
      authMode: 'development',
      storage: { connectionString: 'UseDevelopmentStorage=true' },
      cursorKey: Buffer.from(GOOD.CURSOR_KEY, 'base64'),
      wrappingKeys: [Buffer.from(GOOD.WRAPPING_KEY, 'base64')],
      keyVaultKey: undefined,
      clientId: undefined,
      auditPublicKey: expect.any(Uint8Array),
      logLevel: 'warn',
      sweepSchedule: '*/30 * * * * *',
      collectOrphansSchedule: '10 */5 * * * *',
      expireKeysSchedule: '25 */5 * * * *',
      checkPartitionsSchedule: '40 */5 * * * *',
      rollUpSeriesSchedule: '55 */5 * * * *',
      movePartsSchedule: '5 */5 * * * *',
      migrateSchedule: '48 */5 * * * *',
      rotateKeysSchedule: '33 */5 * * * *',
      migrating: { enabled: true, dryRun: false, sample: undefined, window: undefined },
      rateLimits: {
        caller: { perSecond: 2000, burst: 2000 },
        tenant: { perSecond: 10_000, burst: 10_000 },
        address: { perSecond: 2000, burst: 2000 },
      },
    });
  });

  it.each([
    ['on', { enabled: true, dryRun: false, sample: undefined }],
    ['off', { enabled: false, dryRun: false, sample: undefined }],
    ['dry-run', { enabled: true, dryRun: true, sample: undefined }],
    ['sample:25', { enabled: true, dryRun: false, sample: 25 }],
    ['sample:1000000', { enabled: true, dryRun: false, sample: 1_000_000 }],
  ])('says with MIGRATE_MODE=%s what the timer of migrations does', (mode, settings) => {
    expect(readConfig({ ...GOOD, MIGRATE_MODE: mode }).migrating).toEqual({ ...settings, window: undefined });
  });

  it('says with MIGRATE_WINDOW when on a day it does it', () => {
    const window = (text: string) => readConfig({ ...GOOD, MIGRATE_WINDOW: text }).migrating.window;
    expect(window('22:00-04:30')).toEqual({ fromMinute: 22 * 60, toMinute: 4 * 60 + 30 });
    expect(window('00:00-23:59')).toEqual({ fromMinute: 0, toMinute: 24 * 60 - 1 });
    expect(window('')).toBeUndefined();
  });

  it.each([
    ['500', { perSecond: 500, burst: 500 }],
    ['5:1000000', { perSecond: 5, burst: 1_000_000 }],
    ['0', undefined],
  ])('takes %s as a limit of a caller, a tenant and an address', (text, limit) => {
    const limits = { RATE_LIMIT_CALLER: text, RATE_LIMIT_TENANT: text, RATE_LIMIT_ADDRESS: text };
    expect(readConfig({ ...GOOD, ...limits }).rateLimits).toEqual({
      caller: limit,
      tenant: limit,
      address: limit,
    });
  });

  it('may name an account and an identity instead of a connection string', () => {
    const env = { ...GOOD, AzureWebJobsStorage: undefined, AzureWebJobsStorage__accountName: 'acct1' };
    expect(readConfig(env).storage).toEqual({ accountName: 'acct1' });
    expect(readConfig({ ...env, AzureWebJobsStorage__clientId: 'id' }).storage).toEqual({
      accountName: 'acct1',
      clientId: 'id',
    });
  });

  it('takes former wrapping keys, and the key of a vault beside or instead of them', () => {
    const [one, other] = [randomBytes(32), randomBytes(32)];
    const former = { WRAPPING_KEYS_FORMER: `${one.toString('base64')}, ${other.toString('base64')}` };
    const current = Buffer.from(GOOD.WRAPPING_KEY, 'base64');
    expect(readConfig({ ...GOOD, ...former }).wrappingKeys).toEqual([current, one, other]);
    const vault = { KEY_VAULT_KEY: 'https://records.vault.azure.net/keys/tenants' };
    expect(readConfig({ ...GOOD, ...vault })).toMatchObject({ wrappingKeys: [current], keyVaultKey: vault.KEY_VAULT_KEY }); // prettier-ignore
    const alone = { ...GOOD, ...vault, WRAPPING_KEY: undefined };
    expect(readConfig(alone)).toMatchObject({ wrappingKeys: [], keyVaultKey: vault.KEY_VAULT_KEY });
    expect(readConfig({ ...alone, ...former }).wrappingKeys).toEqual([one, other]);
    const version = `${vault.KEY_VAULT_KEY}/${'0a'.repeat(16)}`;
    expect(readConfig({ ...alone, KEY_VAULT_KEY: version }).keyVaultKey).toBe(version);
  });

  it('takes a signing key on one line, as app settings hold it', () => {
    const oneLine = SIGNING.replaceAll('\n', '\\n');
    expect(readConfig({ ...GOOD, AUDIT_SIGNING_KEY: oneLine })).toEqual(readConfig(GOOD));
  });

  it.each(['CURSOR_KEY', 'WRAPPING_KEY', 'AUDIT_SIGNING_KEY', 'AzureWebJobsStorage'])(
    'without %s is refused by that name',
    (name) => {
      expect(refusal({ ...GOOD, [name]: undefined })).toBe(`the setting ${name} is missing`);
    },
  );

  it.each<[string, string]>([
    ['CURSOR_KEY', randomBytes(31).toString('base64')],
    ['CURSOR_KEY', randomBytes(33).toString('base64')],
    ['CURSOR_KEY', 'not base64 at all'],
    ['CURSOR_KEY', ''],
    ['WRAPPING_KEY', randomBytes(16).toString('base64')],
    ['WRAPPING_KEYS_FORMER', `${GOOD.WRAPPING_KEY},${randomBytes(16).toString('base64')}`],
    ['KEY_VAULT_KEY', 'http://vault.example/keys/records'],
    ['KEY_VAULT_KEY', 'https://vault.example/secrets/records'],
    ['KEY_VAULT_KEY', 'https://vault.example/keys/records/newest'],
    ['ROTATE_KEYS_SCHEDULE', ''],
    ['AUDIT_SIGNING_KEY', 'not a key at all'],
    ['AUDIT_SIGNING_KEY', pem('x25519')],
    ['AUTH_MODE', 'none-at-all'],
    ['LOG_LEVEL', 'shouting'],
    ['AzureWebJobsStorage__accountName', 'Not_An_Account'],
    ['SWEEP_SCHEDULE', ''],
    ['MIGRATE_SCHEDULE', ''],
    ['MIGRATE_MODE', ''],
    ['MIGRATE_MODE', 'sometimes'],
    ['MIGRATE_MODE', 'sample:0'],
    ['MIGRATE_MODE', 'sample:1000001'],
    ['MIGRATE_MODE', 'sample:ten'],
    ['RATE_LIMIT_CALLER', ''],
    ['RATE_LIMIT_CALLER', '-7'],
    ['RATE_LIMIT_CALLER', '7:0'],
    ['RATE_LIMIT_TENANT', '1.57'],
    ['RATE_LIMIT_TENANT', '7:1000001'],
    ['RATE_LIMIT_ADDRESS', '1000001'],
    ['MIGRATE_WINDOW', 'at night'],
    ['MIGRATE_WINDOW', '22:00-24:00'],
    ['MIGRATE_WINDOW', '22:00-22:00'],
    ['MIGRATE_WINDOW', '9:00-10:00'],
    ['MIGRATE_WINDOW', '22:00-04:60'],
  ])('with a bad %s is refused in one line that never shows the value', (name, value) => {
    const message = refusal({ ...GOOD, [name]: value });
    expect(message).toMatch(new RegExp(`^the setting ${name} is not valid: .+$`));
    if (value !== '') expect(message).not.toContain(value);
    expect(message).not.toContain('\n');
  });

  it('needs a way to tell who calls: entra, the default, is refused until it is built', () => {
    for (const mode of [undefined, 'entra']) expect(refusal({ ...GOOD, AUTH_MODE: mode })).toMatch(/entra/);
  });

  it('is refused in Azure with the development caller', () => {
    expect(refusal({ ...GOOD, WEBSITE_INSTANCE_ID: 'abc' })).toMatch(/refused in Azure/);
  });
});
