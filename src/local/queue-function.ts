import type { QueueMessage, WorkQueue } from '../storage/ports.js';
import { resolveSettings } from './app-setting.js';
import type { RpcTypedData } from './core-types.js';
import type { RegisteredFunction } from './functions-core.js';
import type { QueueSettings } from './host-json.js';
import type { HostLog } from './host-log.js';
import { triggerOf, type Invoke } from './invocation.js';
import { HIDDEN_S, type QueueSource } from './queue-message.js';
import { StartError } from './start-error.js';

/** A time as Azure writes it into trigger metadata: a .NET `DateTimeOffset` in JSON. */
export function dotnetTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.000Z$|Z$/, '+00:00');
}

const NEVER = '9999-12-31T23:59:59+00:00';

function metadataOf(message: QueueMessage, hiddenS: number): Record<string, RpcTypedData> {
  const time = (text: string): RpcTypedData => ({ json: JSON.stringify(text) });
  return {
    QueueTrigger: { string: message.text },
    Id: { string: message.id },
    PopReceipt: { string: message.receipt },
    DequeueCount: { int: message.dequeueCount },
    InsertionTime: time(dotnetTime(message.insertedMs)),
    // Messages of this platform never expire (see `WorkQueue`).
    ExpirationTime: time(NEVER),
    NextVisibleTime: time(dotnetTime(Date.now() + hiddenS * 1000)),
  };
}

export interface QueueEnvironment {
  readonly settings: QueueSettings;
  /** The queues behind an app setting that holds a connection string. */
  readonly queuesOf: (connectionSetting: string) => WorkQueue;
  readonly env: NodeJS.ProcessEnv;
  readonly log: HostLog;
  readonly invoke: Invoke;
}

/** What to listen to for a function with a queue trigger. Throws a StartError when its binding cannot be resolved. */
export function queueSourceOf(fn: RegisteredFunction, environment: QueueEnvironment): QueueSource {
  const { settings, env, log, invoke } = environment;
  const { queueName, connection } = triggerOf(fn).binding;
  if (typeof queueName !== 'string' || queueName === '')
    throw new StartError(`function "${fn.metadata.name}" names no queue`);
  const setting = typeof connection === 'string' && connection !== '' ? connection : 'AzureWebJobsStorage';
  const queues = environment.queuesOf(setting);
  return {
    queue: resolveSettings(queueName, env, `the queue of function "${fn.metadata.name}"`),
    queues,
    settings,
    hiddenS: HIDDEN_S,
    log,
    handle: async (message) => {
      await invoke(fn, { data: { string: message.text }, metadata: metadataOf(message, HIDDEN_S) });
    },
  };
}
