import { openAzureStorage, type AzureStorage } from './azure/index.js';
import { readConfig, StartupError, type Config } from './config.js';
import { assemblePlatform, storageNames, type Platform } from './platform.js';
import type { HttpServices } from './http/resource.js';
import type { InboxHandler } from './queue/inbox-handler.js';
import type { SealWorkHandler } from './queue/seal-work-handler.js';
import type { Sweeper } from './audit/sweeper.js';
import type { JobRunner } from './lifecycle/job-runner.js';
import { developmentCaller } from './security/development-caller.js';
import { Budget, unavailable } from './storage/backoff.js';
import { SYSTEM_TABLE } from './storage/directory.js';
import { claimKeys, keyFingerprint } from './storage/key-claim.js';
import { BLOB_CONTAINERS, partitionKey, SYSTEM_TENANT } from './storage/keys.js';
import type { StoragePorts } from './storage/ports.js';
import { backgroundClock, systemClock, systemEntropy } from './system.js';
import { createLog, type Log } from './telemetry/log.js';

/** What one process runs on. */
interface Running {
  readonly platform: Platform;
  readonly http: HttpServices;
  readonly storage: AzureStorage;
}

/** How long a stopping process may go on sealing what it committed (http-api.md, Running it). */
const DRAIN_MS = 10_000;
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
  const budget = new Budget(systemClock, systemEntropy);
  await budget.retry(() => storage.provision(storageNames()));
  const platform = assemblePlatform({
    ports,
    clock: systemClock,
    backgroundClock,
    entropy: systemEntropy,
    cursorKey: settings.cursorKey,
    wrappingKey: settings.wrappingKey,
    logKeys: settings.logKeys,
    log,
    migrating: settings.migrating,
    rateLimits: settings.rateLimits,
  });
  const keys = {
    CURSOR_KEY: keyFingerprint('cursor', settings.cursorKey),
    WRAPPING_KEY: keyFingerprint('wrapping', settings.wrappingKey),
    AUDIT_SIGNING_KEY: keyFingerprint('audit-signing', settings.auditPublicKey),
  };
  const former = {
    AUDIT_SIGNING_KEY: settings.formerAuditPublicKeys.map((key) => keyFingerprint('audit-signing', key)),
  };
  const other = await budget.retry(() => claimKeys(ports.tables, platform.directory, keys, former));
  if (other !== undefined) {
    throw new StartupError(`this storage holds records and its ${other} is missing: configure the key it was first used with`); // prettier-ignore
  }
  return { platform, http: httpServicesOf(platform, ports, log), storage };
}

/** What HTTP handlers need, of a platform and the storage it runs on. */
export function httpServicesOf(platform: Platform, ports: StoragePorts, log: Log): HttpServices {
  return {
    manager: platform.manager,
    configurations: platform.configurations,
    types: platform.registry,
    inbox: platform.inbox,
    auditReader: platform.auditReader,
    auditLog: platform.auditLog,
    externalEvents: platform.externalEvents,
    jobs: platform.jobs,
    rateLimiter: platform.rateLimiter,
    log,
    authenticate: (request) =>
      Promise.resolve(developmentCaller(request.url, (name) => request.headers.get(name))),
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

/** For the sweep timer. */
export async function sweeper(): Promise<Sweeper> {
  return (await open()).platform.sweeper;
}

/** For the timers of jobs. */
export async function jobs(): Promise<JobRunner> {
  return (await open()).platform.jobs;
}

/** When the app starts: fail now, with one clear line, rather than at the first request. */
export async function start(): Promise<void> {
  await open();
}

/** When the app stops: seal what this process committed, then close connections. Nothing relies on it. */
export async function stop(): Promise<void> {
  if (running === undefined) return;
  const { platform, storage } = await running;
  await platform.scheduler.drain(DRAIN_MS - 500);
  storage.close();
}
