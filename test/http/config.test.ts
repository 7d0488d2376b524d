import { createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { logKeysOf } from '../../src/audit/log-keys.js';
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
      formerAuditPublicKeys: [],
      logKeys: { signer: expect.any(Function), vkeys: expect.any(Function) },
      logLevel: 'warn',
      sweepSchedule: '*/30 * * * * *',
      collectOrphansSchedule: '10 */5 * * * *',
      expireKeysSchedule: '25 */5 * * * *',
      checkPartitionsSchedule: '40 */5 * * * *',
      rollUpSeriesSchedule: '55 */5 * * * *',
      movePartsSchedule: '5 */5 * * * *',
      disposeSchedule: '13 */5 * * * *',
      retention: { enabled: true, dryRun: false },
      migrateSchedule: '48 */5 * * * *',
      archiveSchedule: '18 */5 * * * *',
      archiveSeriesSchedule: '8 */5 * * * *',
      rehydrateSchedule: '3 */5 * * * *',
      rotateKeysSchedule: '33 */5 * * * *',
      verifyLogsSchedule: '3 */5 * * * *',
      indexSubjectsSchedule: '43 */5 * * * *',
      eraseSchedule: '28 * * * * *',
      keyBackupDays: undefined,
      migrating: { enabled: true, dryRun: false, sample: undefined, window: undefined },
      rateLimits: {
        caller: { perSecond: 2000, burst: 2000 },
        tenant: { perSecond: 10_000, burst: 10_000 },
        address: { perSecond: 2000, burst: 2000 },
      },
      auditReads: 'buffered',
      anchoring: { enabled: true, schedule: '18 */5 * * * *', copies: undefined, witness: undefined },
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

  it.each([
    ['on', { enabled: true, dryRun: false }],
    ['dry-run', { enabled: true, dryRun: true }],
    ['off', { enabled: false, dryRun: false }],
  ])('says with RETENTION_MODE=%s what becomes of what is past its time', (mode, settings) => {
    expect(readConfig({ ...GOOD, RETENTION_MODE: mode }).retention).toEqual(settings);
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
    const { logKeys, ...others } = readConfig({ ...GOOD, AUDIT_SIGNING_KEY: oneLine });
    const { logKeys: same, ...expected } = readConfig(GOOD);
    expect(others).toEqual(expected);
    expect(logKeys.vkeys('acme')).toEqual(same.vkeys('acme'));
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
    ['VERIFY_LOGS_SCHEDULE', ''],
    ['AUDIT_SIGNING_KEY', 'not a key at all'],
    ['AUDIT_ORIGIN', ''],
    ['AUDIT_ORIGIN', 'https://records.example'],
    ['AUDIT_ORIGIN', 'records.example/'],
    ['AUDIT_ORIGIN', 'with a space'],
    ['AUDIT_ORIGIN', 'with+plus'],
    ['AUDIT_ORIGIN', 'x'.repeat(201)],
    ['AUDIT_FORMER_KEYS', 'no-key'],
    ['AUDIT_FORMER_KEYS', 'records.example/acme+530d903a'],
    ['AUDIT_SIGNING_KEY', pem('x25519')],
    ['AUTH_MODE', 'none-at-all'],
    ['LOG_LEVEL', 'shouting'],
    ['AzureWebJobsStorage__accountName', 'Not_An_Account'],
    ['SWEEP_SCHEDULE', ''],
    ['MIGRATE_SCHEDULE', ''],
    ['DISPOSE_SCHEDULE', ''],
    ['RETENTION_MODE', 'later'],
    ['ARCHIVE_SCHEDULE', ''],
    ['ARCHIVE_SERIES_SCHEDULE', ''],
    ['REHYDRATE_SCHEDULE', ''],
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

  describe('with entra, the default', () => {
    const TID = '11111111-1111-4111-8111-111111111111';
    const OTHER = 'aaaaaaaa-1111-4111-8111-111111111111';
    const ENTRA = {
      ...GOOD,
      AUTH_MODE: 'entra',
      ENTRA_AUDIENCE: 'api://records',
      ENTRA_TENANTS: `${TID}=acme`,
    };

    it('says what tokens are held against', () => {
      const entra = { authority: 'https://login.microsoftonline.com', audiences: ['api://records'], tenants: new Map([[TID, ['acme']]]), tenantClaim: undefined }; // prettier-ignore
      for (const mode of [undefined, 'entra'])
        expect(readConfig({ ...ENTRA, AUTH_MODE: mode, WEBSITE_INSTANCE_ID: 'abc' })).toMatchObject({ authMode: 'entra', entra }); // prettier-ignore
      expect(readConfig({ ...ENTRA, AUTH_MODE: 'development' }).entra).toBeUndefined();
      const all = {
        ENTRA_AUDIENCE: ' api://records , 22222222-1111-4111-8111-111111111111',
        ENTRA_TENANTS: `${TID}=acme, ${OTHER.toUpperCase()} = globex,${TID}=acme-eu`,
        ENTRA_TENANT_CLAIM: 'extn.recordsTenant',
        ENTRA_AUTHORITY: 'https://login.microsoftonline.us/',
      };
      expect(readConfig({ ...ENTRA, ...all }).entra).toEqual({
        authority: 'https://login.microsoftonline.us',
        audiences: ['api://records', '22222222-1111-4111-8111-111111111111'],
        tenants: new Map([[TID, ['acme', 'acme-eu']], [OTHER, ['globex']]]), // prettier-ignore
        tenantClaim: 'extn.recordsTenant',
      });
      const local = ['http://127.0.0.1:8080', 'http://localhost:8080', 'http://[::1]:8080'];
      for (const authority of local)
        expect(readConfig({ ...ENTRA, ENTRA_AUTHORITY: authority }).entra?.authority).toBe(authority);
    });

    it.each(['ENTRA_AUDIENCE', 'ENTRA_TENANTS'])('is refused without %s, by that name', (name) => {
      for (const value of [undefined, ''])
        expect(refusal({ ...ENTRA, [name]: value })).toMatch(
          new RegExp(`^the setting ${name} is missing: .+$`),
        );
    });

    it('is refused when one Entra tenant has several tenants and no claim tells them apart', () => {
      const env = { ...ENTRA, ENTRA_TENANTS: `${TID}=acme,${TID}=globex` };
      for (const ENTRA_TENANT_CLAIM of [undefined, ''])
        expect(refusal({ ...env, ENTRA_TENANT_CLAIM })).toMatch(
          /^the setting ENTRA_TENANT_CLAIM is missing: .+$/,
        );
      expect(readConfig({ ...env, ENTRA_TENANT_CLAIM: 'records' }).entra?.tenantClaim).toBe('records');
    });

    it.each<[string, string]>([
      ['ENTRA_AUDIENCE', 'api://records,'],
      ['ENTRA_AUDIENCE', 'api://my records'],
      ['ENTRA_TENANTS', 'contoso.onmicrosoft.com=acme'],
      ['ENTRA_TENANTS', TID],
      ['ENTRA_TENANTS', `${TID}=`],
      ['ENTRA_TENANTS', `${TID}=Acme`],
      ['ENTRA_TENANTS', `${TID}=_system`],
      ['ENTRA_TENANTS', `${TID}=acme=globex`],
      ['ENTRA_TENANTS', `${TID}=acme,${TID}=acme`],
      ['ENTRA_TENANTS', `common=acme`],
      ['ENTRA_TENANTS', `*=acme`],
      ['ENTRA_TENANT_CLAIM', 'two words'],
      ['ENTRA_AUTHORITY', 'http://login.microsoftonline.com'],
      ['ENTRA_AUTHORITY', 'login.microsoftonline.com'],
      ['ENTRA_AUTHORITY', 'https://login.microsoftonline.com/common'],
      ['ENTRA_AUTHORITY', 'https://user:password@login.microsoftonline.com'],
      ['ENTRA_AUTHORITY', 'http://127.0.0.1.nip.io'],
      ['ENTRA_AUTHORITY', 'ftp://localhost'],
    ])('is refused with a bad %s, which is not shown: %s', (name, value) => {
      const message = refusal({ ...ENTRA, [name]: value });
      expect(message).toMatch(new RegExp(`^the setting ${name} is not valid: .+$`));
      expect(message).not.toContain(value);
    });
  });

  it('is refused in Azure with the development caller', () => {
    expect(refusal({ ...GOOD, WEBSITE_INSTANCE_ID: 'abc' })).toMatch(/refused in Azure/);
  });
});

describe('the keys of the log', () => {
  const [vkey = ''] = readConfig(GOOD).logKeys.vkeys('acme');

  it('are named after AUDIT_ORIGIN and the tenant', () => {
    expect(vkey).toMatch(/^business-records\.local\/acme\+[0-9a-f]{8}\+/);
    const named = readConfig({ ...GOOD, AUDIT_ORIGIN: 'log.example:8080/records' }).logKeys;
    expect(named.signer('acme').name).toBe('log.example:8080/records/acme');
  });

  it('list those from before after the one that signs', () => {
    const AUDIT_SIGNING_KEY = pem('ed25519');
    const rotated = readConfig({ ...GOOD, AUDIT_SIGNING_KEY, AUDIT_FORMER_KEYS: ` ${vkey},\n${vkey} ` });
    const keys = rotated.logKeys.vkeys('acme');
    expect(keys).toEqual([expect.not.stringContaining(vkey), vkey]);
    expect(rotated.formerAuditPublicKeys[0]).toEqual(readConfig(GOOD).auditPublicKey);
    expect(rotated.logKeys.vkeys('zeta')[1]?.split('+').at(-1)).toBe(vkey.split('+').at(-1));
  });

  it('show their private half in no dump, error or text', () => {
    const seed = createPrivateKey(SIGNING).export({ format: 'jwk' }).d ?? '';
    const forms = [
      seed,
      Buffer.from(seed, 'base64url').toString('hex'),
      Buffer.from(seed, 'base64url').toString('base64'),
      SIGNING.split('\n')[1] ?? '',
    ];
    const config = readConfig(GOOD);
    const signer = config.logKeys.signer('acme');
    const shown = [
      inspect(config, { depth: 20, showHidden: true }),
      inspect(signer, { depth: 20, showHidden: true }),
      JSON.stringify(config),
      JSON.stringify(signer),
      // A key in one line too many, a truncated one, and one of another kind.
      ...[
        SIGNING.slice(0, 60),
        `${SIGNING}x`.replace('PRIVATE', 'PUBLIC'),
        SIGNING.replaceAll('\n', ' '),
      ].map((broken) => refusalOf(() => readConfig({ ...GOOD, AUDIT_SIGNING_KEY: broken }))),
      refusalOf(() => logKeysOf('records.test', SIGNING.slice(0, 60)).signer('acme')),
      refusalOf(() => logKeysOf('no name', SIGNING).signer('acme')),
    ].join('\n');
    expect(forms.every((form) => form.length > 40)).toBe(true);
    for (const form of forms) expect(shown).not.toContain(form);
  });
});

/** Everything that an error says, causes included. */
function refusalOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return inspect(error, { depth: 20, showHidden: true });
  }
  return '';
}
