import { createPrivateKey, createPublicKey } from 'node:crypto';
import { z } from 'zod';
import {
  parseAccount,
  parseContainer,
  parseEvery,
  parseWitnessKey,
  parseWitnessUrl,
} from './audit/anchors/settings.js';
import { logKeysOf, publicKeyOfVkey, type LogKeys } from './audit/log-keys.js';
import type { WitnessKey } from './audit/log/witness-key.js';
import type { RetentionMode } from './lifecycle/dispose-records.js';
import { parseMode, parseWindow, type MigrateSettings } from './lifecycle/migrate-settings.js';
import {
  DEFAULT_AUTHORITY,
  parseAudiences,
  parseAuthority,
  parseTenants,
  type EntraSettings,
} from './security/entra-settings.js';
import { parseRateLimit } from './security/rate-limit.js';
import type { RateLimits } from './security/rate-limiter.js';

/** Anything that keeps the platform from starting. The message is one clear line for whoever starts it. */
export class StartupError extends Error {
  override readonly name = 'StartupError';
}

const key32 = z
  .string()
  .transform((text) => Buffer.from(text, 'base64'))
  .refine((bytes) => bytes.length === 32, 'must be 32 bytes in base64');

/** Several of them, with commas between. */
const keys32 = z.string().transform((text, context) => {
  const keys = text.split(',').filter((part) => part.trim() !== '');
  const bytes = keys.map((part) => Buffer.from(part.trim(), 'base64'));
  if (bytes.some((key) => key.length !== 32))
    context.addIssue('must be keys of 32 bytes in base64, separated by commas');
  return bytes;
});

/** An Ed25519 private key in PKCS #8 PEM; line ends may be written as \\n, as app settings hold one line. */
const signingKey = z
  .string()
  .transform((text) => text.replaceAll('\\n', '\n'))
  .refine((pem) => publicKeyOf(pem) !== undefined, 'must be an Ed25519 private key in PKCS #8 PEM');

/** What logs are named after: part of the name of a key, so without spaces and plus signs. */
const auditOrigin = z
  .string()
  .max(200)
  .regex(
    /^[A-Za-z0-9._:-]+(\/[A-Za-z0-9._:-]+)*$/,
    'must be a host name, with a path if you like, without a scheme',
  );

/** Verifier keys, separated by commas or white space. */
const formerKeys = z
  .string()
  .transform((text) => text.split(/[\s,]+/).filter((vkey) => vkey !== ''))
  .refine((vkeys) => vkeys.every(isVkey), 'must be verifier keys, as GET /audit/log/vkey showed them');

const migrateMode = z.string().transform((text, context) => {
  const mode = parseMode(text);
  if (mode === undefined) context.addIssue('must be on, off, dry-run or sample: and a number up to 1000000');
  return mode ?? z.NEVER;
});

/** Empty: always. */
const dailyWindow = z.string().transform((text, context) => {
  const window = text === '' ? undefined : parseWindow(text);
  if (text !== '' && window === undefined)
    context.addIssue('must be two times of a day in UTC, such as 22:00-04:00');
  return window;
});

const rateLimit = z.string().transform((text, context) => {
  const limit = parseRateLimit(text);
  if (limit === undefined)
    context.addIssue('must be 0, or requests a second up to 1000000, such as 2000 or with a burst 2000:5000');
  return limit === 'none' ? undefined : limit;
});

/** Empty: not set, as app settings are cleared. What `parse` makes undefined is not valid. */
const optional = <T>(parse: (text: string) => T | undefined, must: string) =>
  z
    .string()
    .transform((text, context) => {
      const value = text === '' ? undefined : parse(text);
      if (text !== '' && value === undefined) context.addIssue(must);
      return value;
    })
    .optional();

const environment = z.object({
  AUTH_MODE: z.enum(['entra', 'development']).default('entra'),
  /** What tokens are held against with AUTH_MODE=entra. */
  ENTRA_AUDIENCE: optional(parseAudiences, 'must be client ids or api:// names, comma-separated'),
  ENTRA_TENANTS: optional(parseTenants, 'must be pairs of an Entra tenant id and a tenant, such as <id>=acme, comma-separated'), // prettier-ignore
  ENTRA_TENANT_CLAIM: optional((text) => (/^[\w.:/-]{1,128}$/.test(text) ? text : undefined), 'must be the name of a claim'), // prettier-ignore
  ENTRA_AUTHORITY: optional(parseAuthority, 'must be https:// and a host; http only for this machine'),
  /** Connection string of the storage account; or, with an identity instead of a key, the account's name. */
  AzureWebJobsStorage: z.string().min(1).optional(),
  AzureWebJobsStorage__accountName: z.string().regex(/^[a-z0-9]{3,24}$/, 'must be the name of a storage account').optional(), // prettier-ignore
  /** Client id of a user-assigned identity. */
  AzureWebJobsStorage__clientId: z.string().min(1).optional(),
  CURSOR_KEY: key32,
  /** Wraps the keys of tenants, unless a vault does. */
  WRAPPING_KEY: key32.optional(),
  WRAPPING_KEYS_FORMER: keys32.prefault(''),
  /** Identifier of the key of a vault that wraps the keys of tenants. */
  KEY_VAULT_KEY: z.string().regex(/^https:\/\/[a-z0-9.-]+\/keys\/[A-Za-z0-9-]{1,127}(\/[0-9a-f]{32})?$/, 'must be the identifier of a key, https://<vault>/keys/<name>').optional(), // prettier-ignore
  AUDIT_SIGNING_KEY: signingKey,
  /** Origin of a tenant's log: this, a slash and the tenant. */
  AUDIT_ORIGIN: auditOrigin.default('business-records.local'),
  /** Verifier keys of signing keys that were in use before. */
  AUDIT_FORMER_KEYS: formerKeys.prefault(''),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('warn'),
  /** NCRONTAB, seconds first. */
  SWEEP_SCHEDULE: z.string().min(1).default('*/30 * * * * *'),
  /** How often a job looks whether its daily round is due, or goes on with it; each at seconds of its own. */
  COLLECT_ORPHANS_SCHEDULE: z.string().min(1).default('10 */5 * * * *'),
  EXPIRE_KEYS_SCHEDULE: z.string().min(1).default('25 */5 * * * *'),
  CHECK_PARTITIONS_SCHEDULE: z.string().min(1).default('40 */5 * * * *'),
  ROLL_UP_SERIES_SCHEDULE: z.string().min(1).default('55 */5 * * * *'),
  MOVE_PARTS_SCHEDULE: z.string().min(1).default('5 */5 * * * *'),
  ROTATE_KEYS_SCHEDULE: z.string().min(1).default('33 */5 * * * *'),
  VERIFY_LOGS_SCHEDULE: z.string().min(1).default('3 */5 * * * *'),
  INDEX_SUBJECTS_SCHEDULE: z.string().min(1).default('43 */5 * * * *'),
  ERASE_SCHEDULE: z.string().min(1).default('28 * * * * *'),
  /** How long backups of the table of keys are kept: until then a certificate of erasure is provisional. */
  KEY_BACKUP_DAYS: optional((text) => (/^\d{1,4}$/.test(text) && Number(text) <= 3650 ? Number(text) : undefined), 'must be a number of days from 0 to 3650'), // prettier-ignore
  MIGRATE_SCHEDULE: z.string().min(1).default('48 */5 * * * *'),
  DISPOSE_SCHEDULE: z.string().min(1).default('13 */5 * * * *'),
  /** What the job `dispose` does when its timer runs: what is past its time goes, is counted, or neither. */
  RETENTION_MODE: z.enum(['on', 'dry-run', 'off']).default('on'),
  ARCHIVE_SCHEDULE: z.string().min(1).default('18 */5 * * * *'),
  ARCHIVE_SERIES_SCHEDULE: z.string().min(1).default('8 */5 * * * *'),
  REHYDRATE_SCHEDULE: z.string().min(1).default('3 */5 * * * *'),
  /** What the job `migrate` does when its timer runs, and when on a day it may. */
  MIGRATE_MODE: migrateMode.prefault('on'),
  MIGRATE_WINDOW: dailyWindow.prefault(''),
  /** Requests a second that each process takes, with `:` and how many at once; 0 is no limit. */
  RATE_LIMIT_CALLER: rateLimit.prefault('2000'),
  RATE_LIMIT_TENANT: rateLimit.prefault('10000'),
  RATE_LIMIT_ADDRESS: rateLimit.prefault('2000'),
  /** Whether what callers are shown of records is in the audit trail. */
  AUDIT_READS: z.enum(['buffered', 'off']).default('buffered'),
  /** Anchors (docs/anchors.md): whether there are any, where copies go and how often, and who is the witness. */
  ANCHOR_LOGS: z.enum(['on', 'off']).default('on'),
  ANCHOR_LOGS_SCHEDULE: z.string().min(1).default('18 */5 * * * *'),
  ANCHOR_STORAGE: optional(parseAccount, 'must be the name of a storage account, or a connection string'),
  ANCHOR_CONTAINER: optional(parseContainer, 'must be the name of a container'),
  ANCHOR_EVERY: optional(parseEvery, 'must be a number from 1 to 999999'),
  ANCHOR_WITNESS_URL: optional(parseWitnessUrl, 'must be https:// and an address; http only for this machine'), // prettier-ignore
  ANCHOR_WITNESS_KEY: optional(parseWitnessKey, 'must be the verifier key of an Ed25519 witness'),
  /** Set by Azure on every instance of an app. */
  WEBSITE_INSTANCE_ID: z.string().optional(),
});

/** Where storage is and how we prove who we are. */
export type StorageConfig =
  { readonly connectionString: string } | { readonly accountName: string; readonly clientId?: string };

/** What is done so that a log that was cut or replaced is noticed outside. */
export interface AnchorConfig {
  readonly enabled: boolean;
  readonly schedule: string;
  /** `storage` is left out where it is the platform's own account. */
  readonly copies:
    | { readonly storage: StorageConfig | undefined; readonly container: string; readonly every: number }
    | undefined;
  readonly witness: { readonly url: string; readonly key: WitnessKey } | undefined;
}

export interface Config {
  readonly authMode: 'development' | 'entra';
  /** Exactly with `authMode` entra. */
  readonly entra: EntraSettings | undefined;
  readonly storage: StorageConfig;
  readonly cursorKey: Uint8Array;
  /** The first wraps new keys unless a vault does; all of them open what is under them. */
  readonly wrappingKeys: readonly Uint8Array[];
  readonly keyVaultKey: string | undefined;
  /** Client id of a user-assigned identity, for the vault. */
  readonly clientId: string | undefined;
  /** SPKI of the key that signs checkpoints of logs, and of those that did before it. */
  readonly auditPublicKey: Uint8Array;
  readonly formerAuditPublicKeys: readonly Uint8Array[];
  /** The private half is in here and cannot be read out of it. */
  readonly logKeys: LogKeys;
  readonly logLevel: string;
  readonly sweepSchedule: string;
  readonly collectOrphansSchedule: string;
  readonly expireKeysSchedule: string;
  readonly checkPartitionsSchedule: string;
  readonly rollUpSeriesSchedule: string;
  readonly movePartsSchedule: string;
  readonly migrateSchedule: string;
  readonly archiveSchedule: string;
  readonly archiveSeriesSchedule: string;
  readonly rehydrateSchedule: string;
  readonly rotateKeysSchedule: string;
  readonly verifyLogsSchedule: string;
  readonly indexSubjectsSchedule: string;
  readonly eraseSchedule: string;
  readonly keyBackupDays: number | undefined;
  readonly disposeSchedule: string;
  readonly retention: RetentionMode;
  readonly migrating: MigrateSettings;
  readonly rateLimits: RateLimits;
  readonly auditReads: 'buffered' | 'off';
  readonly anchoring: AnchorConfig;
}

/** Environment -> Config, or a StartupError that names the setting at fault and never its value. */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const parsed = environment.safeParse(env);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const name = String(issue?.path[0] ?? 'environment');
    const missing = env[name] === undefined;
    throw new StartupError(missing ? `the setting ${name} is missing` : `the setting ${name} is not valid: ${issue?.message ?? ''}`); // prettier-ignore
  }
  const settings = parsed.data;
  if (settings.AUTH_MODE === 'development' && settings.WEBSITE_INSTANCE_ID !== undefined) {
    throw new StartupError('AUTH_MODE=development is for one machine and is refused in Azure');
  }
  return {
    authMode: settings.AUTH_MODE,
    entra: settings.AUTH_MODE === 'entra' ? entraOf(settings) : undefined,
    storage: storageOf(settings),
    cursorKey: settings.CURSOR_KEY,
    wrappingKeys: wrappingKeysOf(settings),
    keyVaultKey: settings.KEY_VAULT_KEY,
    clientId: settings.AzureWebJobsStorage__clientId,
    auditPublicKey: publicKeyOf(settings.AUDIT_SIGNING_KEY) ?? new Uint8Array(),
    formerAuditPublicKeys: settings.AUDIT_FORMER_KEYS.map((vkey) => spkiOf(publicKeyOfVkey(vkey))),
    logKeys: logKeysOf(settings.AUDIT_ORIGIN, settings.AUDIT_SIGNING_KEY, settings.AUDIT_FORMER_KEYS),
    logLevel: settings.LOG_LEVEL,
    sweepSchedule: settings.SWEEP_SCHEDULE,
    collectOrphansSchedule: settings.COLLECT_ORPHANS_SCHEDULE,
    expireKeysSchedule: settings.EXPIRE_KEYS_SCHEDULE,
    checkPartitionsSchedule: settings.CHECK_PARTITIONS_SCHEDULE,
    rollUpSeriesSchedule: settings.ROLL_UP_SERIES_SCHEDULE,
    movePartsSchedule: settings.MOVE_PARTS_SCHEDULE,
    migrateSchedule: settings.MIGRATE_SCHEDULE,
    archiveSchedule: settings.ARCHIVE_SCHEDULE,
    archiveSeriesSchedule: settings.ARCHIVE_SERIES_SCHEDULE,
    rehydrateSchedule: settings.REHYDRATE_SCHEDULE,
    rotateKeysSchedule: settings.ROTATE_KEYS_SCHEDULE,
    verifyLogsSchedule: settings.VERIFY_LOGS_SCHEDULE,
    indexSubjectsSchedule: settings.INDEX_SUBJECTS_SCHEDULE,
    eraseSchedule: settings.ERASE_SCHEDULE,
    keyBackupDays: settings.KEY_BACKUP_DAYS,
    disposeSchedule: settings.DISPOSE_SCHEDULE,
    retention: { enabled: settings.RETENTION_MODE !== 'off', dryRun: settings.RETENTION_MODE === 'dry-run' },
    migrating: { ...settings.MIGRATE_MODE, window: settings.MIGRATE_WINDOW },
    rateLimits: {
      caller: settings.RATE_LIMIT_CALLER,
      tenant: settings.RATE_LIMIT_TENANT,
      address: settings.RATE_LIMIT_ADDRESS,
    },
    auditReads: settings.AUDIT_READS,
    anchoring: anchoringOf(settings),
  };
}

/** Some twelve publications are an hour. */
const COPY_EVERY = 12;

function anchoringOf(settings: z.output<typeof environment>): AnchorConfig {
  const { ANCHOR_STORAGE: account, ANCHOR_CONTAINER: container, ANCHOR_EVERY: every = COPY_EVERY } = settings;
  const { ANCHOR_WITNESS_URL: url, ANCHOR_WITNESS_KEY: key } = settings;
  const missing = (name: string, other: string): StartupError =>
    new StartupError(`the setting ${name} is missing: ${other} needs it`);
  if (account !== undefined && container === undefined) throw missing('ANCHOR_CONTAINER', 'ANCHOR_STORAGE');
  if (url !== undefined && key === undefined) throw missing('ANCHOR_WITNESS_KEY', 'ANCHOR_WITNESS_URL');
  if (url === undefined && key !== undefined) throw missing('ANCHOR_WITNESS_URL', 'ANCHOR_WITNESS_KEY');
  const clientId = settings.AzureWebJobsStorage__clientId;
  const storage = account !== undefined && 'accountName' in account && clientId !== undefined ? { ...account, clientId } : account; // prettier-ignore
  return {
    enabled: settings.ANCHOR_LOGS === 'on',
    schedule: settings.ANCHOR_LOGS_SCHEDULE,
    copies: container === undefined ? undefined : { storage, container, every },
    witness: url === undefined || key === undefined ? undefined : { url, key },
  };
}

function wrappingKeysOf(settings: z.output<typeof environment>): readonly Uint8Array[] {
  const { WRAPPING_KEY: current, WRAPPING_KEYS_FORMER: former, KEY_VAULT_KEY: vault } = settings;
  if (current !== undefined) return [current, ...former];
  if (vault === undefined) throw new StartupError('the setting WRAPPING_KEY is missing');
  return former;
}

function publicKeyOf(pem: string): Uint8Array | undefined {
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType !== 'ed25519') return undefined;
    return createPublicKey(key).export({ type: 'spki', format: 'der' });
  } catch {
    return undefined;
  }
}

function entraOf(settings: z.output<typeof environment>): EntraSettings {
  const { ENTRA_AUDIENCE: audiences, ENTRA_TENANTS: tenants, ENTRA_TENANT_CLAIM: tenantClaim } = settings;
  const missing = (name: string): StartupError =>
    new StartupError(`the setting ${name} is missing: AUTH_MODE=entra needs it; for local use set AUTH_MODE=development`); // prettier-ignore
  if (audiences === undefined) throw missing('ENTRA_AUDIENCE');
  if (tenants === undefined) throw missing('ENTRA_TENANTS');
  if (tenantClaim === undefined && [...tenants.values()].some((several) => several.length > 1)) {
    throw new StartupError('the setting ENTRA_TENANT_CLAIM is missing: ENTRA_TENANTS gives one Entra tenant several tenants'); // prettier-ignore
  }
  return { authority: settings.ENTRA_AUTHORITY ?? DEFAULT_AUTHORITY, audiences, tenants, tenantClaim };
}

/** SPKI of an Ed25519 public key of 32 bytes. */
function spkiOf(publicKey: Uint8Array): Uint8Array {
  const x = Buffer.from(publicKey).toString('base64url');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  return key.export({ type: 'spki', format: 'der' });
}

function isVkey(text: string): boolean {
  try {
    return publicKeyOfVkey(text).length > 0;
  } catch {
    return false;
  }
}

function storageOf(settings: z.output<typeof environment>): StorageConfig {
  if (settings.AzureWebJobsStorage !== undefined) return { connectionString: settings.AzureWebJobsStorage };
  const accountName = settings.AzureWebJobsStorage__accountName;
  if (accountName === undefined) throw new StartupError('the setting AzureWebJobsStorage is missing');
  const clientId = settings.AzureWebJobsStorage__clientId;
  return clientId === undefined ? { accountName } : { accountName, clientId };
}
