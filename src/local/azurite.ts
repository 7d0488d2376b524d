import { fork, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { prepareDataFolder } from './data-folder.js';
import { lockFolder, unlockFolder } from './folder-lock.js';

/** Name of the lock in a data folder: its first line is the pid of the Azurite process that uses it. */
export const LOCK_FILE = '.azurite.lock';
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 10_000;
/** An orphan may still be closing after its parent was killed. */
const LOCK_WAIT_MS = 15_000;
/** Longer than clients keep an idle connection, so that no request meets a connection just being closed. */
const KEEP_ALIVE_S = '60';
const SERVICES = ['blob', 'queue', 'table'] as const;

export interface StorageAccount {
  readonly name: string;
  /** Base64. */
  readonly key: string;
}

/** The account every storage emulator has; its key is public. */
const DEVELOPMENT_ACCOUNT: StorageAccount = {
  name: 'devstoreaccount1',
  key: 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==',
};

export interface EmbeddedAzurite {
  /** Of the first account given, else of the emulators' usual one. */
  readonly connectionString: string;
  connectionStringFor(account: StorageAccount): string;
  /** Closes cleanly, everything flushed to disk; kills after 10 s. Safe to call twice. */
  stop(): Promise<void>;
  /** Resolves when the process is gone, for whatever reason. */
  readonly exited: Promise<{ code: number | null }>;
}

export interface AzuriteOptions {
  /** Folder of the data; in memory when left out. */
  readonly location?: string;
  readonly accounts?: readonly StorageAccount[];
  /** How long to wait for another process to leave the folder. */
  readonly lockWaitMs?: number;
}

/**
 * Starts Azurite in a child process on free ports of 127.0.0.1. The child never outlives its parent for long: when
 * the parent dies, however it dies, the child flushes and exits.
 */
export async function startAzurite(options: AzuriteOptions = {}): Promise<EmbeddedAzurite> {
  const folder = options.location === undefined ? undefined : await prepareDataFolder(options.location);
  const child = fork(childScript(), [], {
    execArgv: [],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    env: childEnvironment(options.accounts),
  });
  const exited = new Promise<{ code: number | null }>((resolve) => {
    child.once('exit', (code) => resolve({ code }));
    child.once('error', () => resolve({ code: null }));
  });
  const lock = folder === undefined ? undefined : join(folder, LOCK_FILE);
  try {
    if (lock !== undefined && folder !== undefined) await take(lock, folder, child, options.lockWaitMs);
    const urls = await start(child, exited, folder, lock);
    const connectionStringFor = (account: StorageAccount): string => connectionTo(urls, account);
    return {
      connectionString: connectionStringFor(options.accounts?.[0] ?? DEVELOPMENT_ACCOUNT),
      connectionStringFor,
      stop: () => stop(child, exited, lock),
      exited,
    };
  } catch (error) {
    child.kill('SIGKILL');
    await exited;
    unlock(child, lock);
    throw error;
  }
}

/** The child is a script of the package, found from `src/` and from `dist/src/` alike. */
function childScript(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'scripts', 'azurite-child.mjs'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('scripts/azurite-child.mjs is missing from the package');
    folder = parent;
  }
  return join(folder, 'scripts', 'azurite-child.mjs');
}

function childEnvironment(accounts: readonly StorageAccount[] | undefined): NodeJS.ProcessEnv {
  const env = { ...process.env };
  // Options meant for the parent (a debugger port, a loader) and Azurite's own switch to an SQL server.
  delete env['NODE_OPTIONS'];
  delete env['AZURITE_DB'];
  delete env['AZURITE_ACCOUNTS'];
  if (accounts !== undefined)
    env['AZURITE_ACCOUNTS'] = accounts.map(({ name, key }) => `${name}:${key}`).join(';');
  return env;
}

async function take(lock: string, folder: string, child: ChildProcess, waitMs = LOCK_WAIT_MS): Promise<void> {
  if (child.pid === undefined) throw new Error('the storage emulator could not be started');
  const holder = await lockFolder(lock, child.pid, waitMs);
  if (holder !== undefined)
    throw new Error(`the data folder ${folder} is in use by process ${holder} (see ${LOCK_FILE} in it)`);
}

/** A child that closed by itself removed its lock; one that was killed could not. */
function unlock(child: ChildProcess, lock: string | undefined): void {
  if (lock !== undefined && child.pid !== undefined) unlockFolder(lock, child.pid);
}

type Urls = Partial<Record<string, string>>;

/** Sends the start message and waits until all three services listen. */
async function start(
  child: ChildProcess,
  exited: Promise<{ code: number | null }>,
  folder: string | undefined,
  lock: string | undefined,
): Promise<Urls> {
  const urls: Urls = {};
  let failure = 'it exited early';
  let timer: NodeJS.Timeout | undefined;
  const listening = new Promise<true>((resolve) => {
    child.on('message', (message: { kind: string; service?: string; url?: string; message?: string }) => {
      if (message.kind === 'failed') failure = message.message ?? failure;
      if (message.kind === 'listening' && message.service !== undefined) {
        if (message.url !== undefined) urls[message.service] = message.url;
        if (SERVICES.every((service) => urls[service] !== undefined)) resolve(true);
      }
    });
  });
  const late = new Promise<false>((resolve) => (timer = setTimeout(resolve, START_TIMEOUT_MS, false)));
  const entry = createRequire(import.meta.url).resolve('azurite/dist/src/azurite.js');
  child.send({ kind: 'start', entry, args: azuriteArguments(folder), lock }, () => undefined);
  const up = await Promise.race([listening, exited, late]).finally(() => clearTimeout(timer));
  if (up === true) return urls;
  throw new Error(`the storage emulator did not start: ${up === false ? 'it took too long' : failure}`);
}

function azuriteArguments(folder: string | undefined): string[] {
  return [
    '--silent',
    '--skipApiVersionCheck',
    '--disableTelemetry',
    ...SERVICES.flatMap((service) => [`--${service}Host`, '127.0.0.1', `--${service}Port`, '0']),
    ...SERVICES.flatMap((service) => [`--${service}KeepAliveTimeout`, KEEP_ALIVE_S]),
    ...(folder === undefined ? ['--inMemoryPersistence'] : ['--location', folder]),
  ];
}

function connectionTo(urls: Urls, account: StorageAccount): string {
  const endpoints = (
    [
      ['Blob', 'blob'],
      ['Queue', 'queue'],
      ['Table', 'table'],
    ] as const
  ).map(([label, service]) => `${label}Endpoint=${urls[service]}/${account.name};`);
  const credentials = `AccountName=${account.name};AccountKey=${account.key};`;
  return `DefaultEndpointsProtocol=http;${credentials}${endpoints.join('')}`;
}

async function stop(
  child: ChildProcess,
  exited: Promise<{ code: number | null }>,
  lock: string | undefined,
): Promise<void> {
  if (child.connected) child.send({ kind: 'stop' }, () => undefined);
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(timer);
  unlock(child, lock);
}
