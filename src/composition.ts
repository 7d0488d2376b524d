import { KeyVaultWrapper, openAzureStorage, parseVaultKey, type AzureStorage } from './azure/index.js';
import { readConfig, StartupError, type AnchorConfig, type Config } from './config.js';
import { assemblePlatform, storageNames, type Platform, type PlatformOptions } from './platform.js';
import { assertNoDeadRows } from './http/access.js';
import type { FsckTools } from './audit/fsck/tools.js';
import type { HttpServices } from './http/resource.js';
import type { InboxHandler } from './queue/inbox-handler.js';
import type { LifecycleWorkHandler } from './queue/lifecycle-work-handler.js';
import type { SealWorkHandler } from './queue/seal-work-handler.js';
import type { Sweeper } from './audit/sweeper.js';
import type { JobRunner } from './lifecycle/job-runner.js';
import type { Authenticate } from './security/caller.js';
import { developmentCaller } from './security/development-caller.js';
import { EntraCallers } from './security/entra-caller.js';
import { fetchJsonWith } from './security/fetch-json.js';
import { postTextWith } from './security/post-text.js';
import { Budget, unavailable } from './storage/backoff.js';
import { SYSTEM_TABLE } from './storage/directory.js';
import { claimKeys, keyFingerprint } from './storage/key-claim.js';
import { BLOB_CONTAINERS, partitionKey, SYSTEM_TENANT } from './storage/keys.js';
import { isFault, type StoragePorts } from './storage/ports.js';
import { backgroundClock, systemClock, systemEntropy } from './system.js';
import { createLog, type Log } from './telemetry/log.js';

/** What one process runs on. */
interface Running {
  readonly platform: Platform;
  readonly http: HttpServices;
  readonly storage: AzureStorage;
  /** The account that copies of checkpoints go to, where it is another. */
  readonly elsewhere: AzureStorage | undefined;
}

/** How long a stopping process may go on sealing what it committed (http-api.md, Running it). */
const DRAIN_MS = 10_000;
/** Of it, for the events of reads and refusals that are held. */
const DRAIN_EVENTS_MS = 4_000;
/** A probe wants an answer soon, whatever it is. */
const HEALTH_MS = 3_000;

let settings: Config | undefined;
let running: Promise<Running> | undefined;

/** The configuration of this process, read once. Throws StartupError. */
export function config(): Config {
  settings ??= readConfig(process.env);
  return settings;
}

/** Opened once per process; a failed attempt is made again by the next caller. */
function open(): Promise<Running> {
  running ??= openOnce(config()).catch((error: unknown) => {
    running = undefined;
    throw error;
  });
  return running;
}

async function openOnce(settings: Config): Promise<Running> {
  const storage = openAzureStorage(settings.storage);
  const log = createLog(settings.logLevel);
  const { ports } = storage;
  const copies = settings.anchoring.copies?.storage;
  const elsewhere = copies === undefined ? undefined : openAzureStorage(copies);
  const budget = new Budget(systemClock, systemEntropy);
  await budget.retry(() => storage.provision(storageNames()));
  const platform = platformOf(settings, ports, log, elsewhere?.ports);
  await budget.retry(() => assertKeys(settings, ports, platform));
  const http = httpServicesOf(platform, ports, log, authenticateWith(settings, log));
  return { platform, http, storage, elsewhere };
}

/** `elsewhere`: where copies of checkpoints go, when that is not where the rest is. */
function platformOf(settings: Config, ports: StoragePorts, log: Log, elsewhere = ports): Platform {
  return assemblePlatform({
    ports,
    clock: systemClock,
    backgroundClock,
    entropy: systemEntropy,
    cursorKey: settings.cursorKey,
    wrappingKey: settings.wrappingKeys[0],
    formerWrappingKeys: settings.wrappingKeys.slice(1),
    keyVault: keyVaultOf(settings),
    logKeys: settings.logKeys,
    log,
    migrating: settings.migrating,
    keyBackupDays: settings.keyBackupDays,
    retention: settings.retention,
    rateLimits: settings.rateLimits,
    auditReads: settings.auditReads,
    anchoring: anchoringOf(settings.anchoring, elsewhere),
  });
}

/** Where logs are anchored besides in the platform log; copies go to a storage that may be another. */
function anchoringOf(
  { enabled, witness, copies }: AnchorConfig,
  { blobs }: StoragePorts,
): NonNullable<PlatformOptions['anchoring']> {
  return {
    enabled,
    witness: witness && { key: witness.key, post: postTextWith(fetch, witness.url) },
    copies: copies && { container: copies.container, every: copies.every, blobs },
  };
}

/** The key of a vault that wraps the keys of tenants, where one is configured. */
function keyVaultOf({ keyVaultKey, clientId }: Config): KeyVaultWrapper | undefined {
  const key = keyVaultKey === undefined ? undefined : parseVaultKey(keyVaultKey);
  return key === undefined ? undefined : new KeyVaultWrapper(key, { clientId });
}

/** Throws StartupError when this process does not have the keys that this storage is used with. */
async function assertKeys(settings: Config, ports: StoragePorts, platform: Platform): Promise<void> {
  const { directory, keyNames, keyRotation } = platform;
  // Of a tenant that never got as far as a record there may be wrapped keys nevertheless.
  const tenants = async (): Promise<readonly string[]> => [
    ...(await directory.tenants()),
    ...(await keyRotation.tenantsAfter(undefined, 1)),
  ];
  const other = await claimKeys(
    ports.tables,
    { tenants: async () => [...(await tenants())] },
    {
      fingerprints: {
        CURSOR_KEY: keyFingerprint('cursor', settings.cursorKey),
        AUDIT_SIGNING_KEY: keyFingerprint('audit-signing', settings.auditPublicKey),
      },
      former: {
        AUDIT_SIGNING_KEY: settings.formerAuditPublicKeys.map((key) => keyFingerprint('audit-signing', key)),
      },
      wrapping: { current: keyRotation.current, known: keyNames },
    },
  );
  if (other !== undefined) {
    throw new StartupError(`this storage holds records and its ${other} is missing: configure the key it was first used with`); // prettier-ignore
  }
  if (settings.keyVaultKey === undefined) return;
  try {
    await keyRotation.currentVersion();
  } catch (error) {
    if (!isFault(error, 'refused')) throw error;
    throw new StartupError(`the setting KEY_VAULT_KEY cannot be used: ${error.message}`);
  }
}

/** Who calls, as the configuration says it is told. */
function authenticateWith({ entra }: Config, log: Log): Authenticate {
  if (entra === undefined) return developmentCaller;
  const callers = new EntraCallers(
    {
      fetchJson: fetchJsonWith(fetch),
      clock: systemClock,
      onError: (error) => {
        log.warn('keys of sign-in could not be fetched', { reason: String(error) });
      },
    },
    entra,
  );
  return callers.authenticate.bind(callers);
}

/** What HTTP handlers need, of a platform and the storage it runs on. */
export function httpServicesOf(
  platform: Platform,
  ports: StoragePorts,
  log: Log,
  authenticate: Authenticate,
): HttpServices {
  return {
    manager: platform.manager,
    configurations: platform.configurations,
    types: platform.registry,
    inbox: platform.inbox,
    rehydrator: platform.rehydrator,
    auditReader: platform.auditReader,
    actorNames: platform.actorNames,
    readAuditor: platform.readAuditor,
    auditLog: platform.auditLog,
    externalEvents: platform.externalEvents,
    holds: platform.holds,
    erasures: platform.erasures,
    jobs: platform.jobs,
    rateLimiter: platform.rateLimiter,
    log,
    authenticate,
    receipts: platform.receipts,
    refusals: platform.refusals,
    checkStorage: async () => {
      const { tables, blobs } = ports;
      const answers = Promise.all([
        tables.find(SYSTEM_TABLE, partitionKey(SYSTEM_TENANT, 'keys'), 'fingerprints'),
        blobs.find(BLOB_CONTAINERS.ledger, 'health'),
      ]);
      const late = backgroundClock
        .sleep(HEALTH_MS)
        .then(() => Promise.reject(unavailable('no answer in time')));
      await Promise.race([answers, late]);
    },
  };
}

/** For HTTP functions. */
export async function httpServices(): Promise<HttpServices> {
  return (await open()).http;
}

/** For the queue function of `records-inbox`. */
export async function inboxHandler(): Promise<InboxHandler> {
  return (await open()).platform.inboxHandler;
}

/** For the queue function of `seal-work`. */
export async function sealWorkHandler(): Promise<SealWorkHandler> {
  return (await open()).platform.sealWorkHandler;
}

/** For the queue function of `lifecycle-work`. */
export async function lifecycleWorkHandler(): Promise<LifecycleWorkHandler> {
  return (await open()).platform.lifecycleWorkHandler;
}

/** For the sweep timer. */
export async function sweeper(): Promise<Sweeper> {
  return (await open()).platform.sweeper;
}

/** For the timers of jobs. */
export async function jobs(): Promise<JobRunner> {
  return (await open()).platform.jobs;
}

/**
 * The storage of this environment for `business-records fsck`. Nothing is made that is missing, and nothing written unless
 * it is to be repaired: only then are the keys of this environment held against those the storage was first used with.
 */
export async function openFsck(asked: { readonly open: boolean; readonly repair: boolean }): Promise<{
  readonly tools: FsckTools;
  readonly close: () => Promise<void>;
}> {
  const settings = config();
  const storage = openAzureStorage(settings.storage);
  // Nothing is anchored here, so no other storage is opened for it.
  const platform = platformOf(settings, storage.ports, createLog(settings.logLevel));
  const budget = new Budget(systemClock, systemEntropy);
  if (asked.repair) await budget.retry(() => assertKeys(settings, storage.ports, platform));
  return {
    tools: { ...platform.fsck, open: asked.open },
    close: () => {
      storage.close();
      return Promise.resolve();
    },
  };
}

/** When the app starts: fail now, with one clear line, rather than at the first request. */
export async function start(): Promise<void> {
  assertNoDeadRows();
  await open();
}

/**
 * When the app stops: store the events that are held, seal what this process committed, then close connections. No
 * record relies on it.
 */
export async function stop(): Promise<void> {
  if (running === undefined) return;
  const { platform, storage, elsewhere } = await running;
  const begun = systemClock.monotonic();
  await Promise.all([platform.refusals.drain(DRAIN_EVENTS_MS), platform.readAuditor.drain(DRAIN_EVENTS_MS)]);
  await platform.scheduler.drain(DRAIN_MS - 500 - (systemClock.monotonic() - begun));
  storage.close();
  elsewhere?.close();
}
