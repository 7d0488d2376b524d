import { within } from './bounded.js';
import { loadApp, type FunctionApp, type RegisteredFunction } from './functions-core.js';
import { readHostJson } from './host-json.js';
import { errorFields, type HostLog } from './host-log.js';
import { createDispatch } from './http-function.js';
import { listen, type HttpListener } from './http-server.js';
import { createInvoke, triggerOf } from './invocation.js';
import { queueSourceOf } from './queue-function.js';
import { listenToQueue, type Stoppable } from './queue-listener.js';
import type { WorkQueue } from '../storage/ports.js';
import { StartError, firstLine } from './start-error.js';
import { prepareTimer } from './timers.js';

/** What each phase of stopping may take: work in flight first, then the app's terminate hooks. */
const STOP_MS = 10_000;

export interface HostOptions {
  /** Path or file URL of the app's main module. */
  readonly entry: string | URL;
  /** Path of host.json. */
  readonly hostJson: string;
  /** 0 for any free port. Or a listener that holds its port already; the host stops it either way. */
  readonly port: number | HttpListener;
  /** The queues behind an app setting; it throws a StartError for a setting it cannot use. */
  readonly queues: (connectionSetting: string) => WorkQueue;
  readonly log: HostLog;
  readonly env?: NodeJS.ProcessEnv;
}

export interface Host {
  readonly port: number;
  /** The path below which the functions are served, with a leading slash unless it is empty. */
  readonly basePath: string;
  /** Finishes what is in flight, then runs the terminate hooks; each within 10 s. Safe to call twice. */
  stop(): Promise<void>;
}

const TRIGGERS = ['httptrigger', 'queuetrigger', 'timertrigger'] as const;
type TriggerType = (typeof TRIGGERS)[number];

/** Sorts functions by trigger and refuses what the local host would otherwise ignore in silence. */
function byTrigger(app: FunctionApp, log: HostLog): Record<TriggerType, RegisteredFunction[]> {
  const sorted: Record<TriggerType, RegisteredFunction[]> = {
    httptrigger: [],
    queuetrigger: [],
    timertrigger: [],
  };
  for (const fn of app.functions) {
    const { name, bindings, retryOptions } = fn.metadata;
    const trigger = triggerOf(fn);
    const type = TRIGGERS.find((known) => known === String(trigger.binding['type']).toLowerCase());
    if (type === undefined)
      throw new StartError(
        `the local host does not support the ${String(trigger.binding['type'])} of "${name}"`,
      );
    for (const [key, binding] of Object.entries(bindings))
      if (key !== trigger.name && binding.type.toLowerCase() !== 'http')
        throw new StartError(`the local host does not support the ${binding.type} binding of "${name}"`);
    if (retryOptions !== undefined) log.warn('retry policies are not honoured locally', { function: name });
    sorted[type].push(fn);
  }
  return sorted;
}

async function runAppHooks(
  app: FunctionApp,
  name: 'appStart' | 'appTerminate',
  context: object,
): Promise<void> {
  for (const hook of app.hooks(name)) await hook(context);
}

async function terminate(app: FunctionApp, context: object, log: HostLog): Promise<void> {
  try {
    const done = await within(STOP_MS, runAppHooks(app, 'appTerminate', context));
    if (!done) log.warn('the terminate hooks did not finish in time');
  } catch (error) {
    log.error('a terminate hook failed', errorFields(error));
  }
}

async function startApp(options: HostOptions, listener: HttpListener): Promise<Host> {
  const { log, env = process.env } = options;
  const settings = await readHostJson(options.hostJson);
  const app = await loadApp(options.entry, log);
  const functions = byTrigger(app, log);
  const invoke = createInvoke(app, log);
  // Everything is checked before the app is started, and the app is started before anything is served.
  const dispatch = createDispatch(settings.routePrefix, functions.httptrigger, invoke);
  const timers = functions.timertrigger.map((fn) => prepareTimer(fn, { env, log, invoke }));
  const sources = functions.queuetrigger.map((fn) =>
    queueSourceOf(fn, { settings: settings.queues, queuesOf: options.queues, env, log, invoke }),
  );
  const hookContext = { hookData: {}, appHookData: {}, functionAppDirectory: process.cwd() };
  try {
    await runAppHooks(app, 'appStart', hookContext);
  } catch (error) {
    throw error instanceof StartError ? error : new StartError(firstLine(error), { cause: error });
  }

  listener.serve(dispatch);
  const workers: Stoppable[] = [...sources.map(listenToQueue), ...timers.map((timer) => timer.start())];
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    await Promise.all([listener, ...workers].map((worker) => worker.stop(STOP_MS)));
    await terminate(app, hookContext, log);
  };
  return {
    port: listener.port,
    basePath: settings.routePrefix === '' ? '' : `/${settings.routePrefix}`,
    stop: () => (stopped ??= stop()),
  };
}

/**
 * Starts the functions of an app on this machine, registered by nothing but `@azure/functions`. Rejects with a
 * StartError, everything undone, when the app does not start or asks for what the local host cannot do.
 */
export async function startHost(options: HostOptions): Promise<Host> {
  const listener = typeof options.port === 'number' ? await listen(options.port, options.log) : options.port;
  try {
    return await startApp(options, listener);
  } catch (error) {
    await listener.stop(0);
    throw error;
  }
}
