import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { makeDataDir } from './data-dir.js';
import { waitForHealth } from './health.js';
import { startHost } from './host.js';
import { errorFields, type HostLog } from './host-log.js';
import { listen } from './http-server.js';
import { loadKeys } from './keys.js';
import type { WorkQueue } from '../storage/ports.js';
import { readSettings, settingOf } from './settings.js';
import { StartError, firstLine } from './start-error.js';

export interface LocalStorageProcess {
  readonly connectionString: string;
  stop(): Promise<void>;
  readonly exited: Promise<{ code: number | null }>;
}

export interface OpenQueues {
  readonly queues: WorkQueue;
  close(): void;
}

export interface PlatformOptions {
  /** The folder of package.json and host.json. */
  readonly root: string;
  /** Read, and completed with the connection string, AUTH_MODE and the keys: the app takes them from there. */
  readonly env: NodeJS.ProcessEnv;
  readonly log: HostLog;
  readonly startAzurite: (options: { location: string }) => Promise<LocalStorageProcess>;
  readonly openQueues: (connectionString: string) => OpenQueues;
  /** Ends the start between two steps. */
  readonly signal: AbortSignal;
  /** Told when the embedded storage ends by itself. */
  readonly onStorageLost: (why: string) => void;
}

export interface Platform {
  /** Without a slash at its end. */
  readonly baseUrl: string;
  stop(): Promise<void>;
}

async function entryOf(root: string): Promise<string> {
  const { main } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { main?: unknown };
  if (typeof main !== 'string') throw new StartError('package.json names no main module');
  return resolve(root, main);
}

/** The queues behind app settings, opened once for each connection string. */
function queuesFrom(options: PlatformOptions): { of(setting: string): WorkQueue; close(): void } {
  const opened = new Map<string, OpenQueues>();
  return {
    of: (setting) => {
      const connectionString = settingOf(options.env, setting);
      if (connectionString === undefined)
        throw new StartError(`the setting ${setting} holds no connection string`);
      const known = opened.get(connectionString) ?? options.openQueues(connectionString);
      opened.set(connectionString, known);
      return known.queues;
    },
    close: () => opened.forEach((queues) => queues.close()),
  };
}

/**
 * Starts everything `npm start` runs and resolves once a request has succeeded: the port first, so that a port in
 * use is told at once, then storage, keys, the app. What was started is stopped again when a step fails.
 */
export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const { root, env, log, signal } = options;
  const undo: (() => Promise<void> | void)[] = [];
  let stopping: Promise<void> | undefined;
  const undoAll = async (): Promise<void> => {
    // One that fails must not keep the others, Azurite above all, from being stopped.
    for (const step of undo.reverse())
      await Promise.resolve()
        .then(step)
        .catch((error: unknown) => log.error('something did not stop', errorFields(error)));
  };
  const stop = (): Promise<void> => (stopping ??= undoAll());
  const goOn = (): void => signal.throwIfAborted();

  const start = async (): Promise<string> => {
    const settings = readSettings(env, root);
    const listener = await listen(settings.port, log);
    undo.push(() => listener.stop(0));
    goOn();
    const keys = await loadKeys(settings.dataDir, env);
    if (settings.connectionString === undefined) {
      await makeDataDir(settings.dataDir);
      goOn();
      const azurite = await options.startAzurite({ location: join(settings.dataDir, 'azurite') });
      undo.push(() => azurite.stop());
      void azurite.exited.then(({ code }) => {
        if (stopping === undefined)
          options.onStorageLost(`Azurite ended unexpectedly (code ${String(code)})`);
      });
      env['AzureWebJobsStorage'] = azurite.connectionString;
    }
    Object.assign(env, keys);
    env['AUTH_MODE'] = settingOf(env, 'AUTH_MODE') ?? 'development';
    goOn();
    const queues = queuesFrom(options);
    undo.push(() => queues.close());
    const host = await startHost({
      entry: await entryOf(root),
      hostJson: join(root, 'host.json'),
      port: listener,
      queues: (setting) => queues.of(setting),
      log,
      env,
    });
    undo.push(() => host.stop());
    const baseUrl = `http://127.0.0.1:${host.port}${host.basePath}`;
    await waitForHealth(`${baseUrl}/health`, signal);
    return baseUrl;
  };

  try {
    return { baseUrl: await start(), stop };
  } catch (error) {
    await stop();
    throw error instanceof StartError || signal.aborted
      ? error
      : new StartError(firstLine(error), { cause: error });
  }
}
