import Module from 'node:module';
import { pathToFileURL } from 'node:url';
import type {
  FunctionCallback,
  FunctionMetadata,
  HookCallback,
  LogLevel,
  ProgrammingModel,
} from './core-types.js';
import type { HostLog } from './host-log.js';
import { StartError, firstLine } from './start-error.js';

export type HookName = 'appStart' | 'appTerminate' | 'preInvocation' | 'postInvocation';

export interface RegisteredFunction {
  readonly metadata: FunctionMetadata;
  readonly callback: FunctionCallback;
}

/** What an app registered through `@azure/functions` while its main module was imported. */
export interface FunctionApp {
  readonly model: ProgrammingModel;
  readonly functions: readonly RegisteredFunction[];
  /** Callbacks in order of registration; the list may grow while the app runs. */
  hooks(name: HookName): readonly HookCallback[];
}

const HOOKS = new Set<string>(['appStart', 'appTerminate', 'preInvocation', 'postInvocation']);

interface Registry {
  readonly functions: Map<string, RegisteredFunction>;
  readonly hooks: Map<string, HookCallback[]>;
}

// One per process, as the library under us: it asks for the module once and keeps it for ever.
let model: ProgrammingModel | undefined;
let loading: Registry | undefined;
let sink: HostLog | undefined;
let installed = false;

class Disposable {
  readonly #undo: () => void;
  constructor(undo: () => void) {
    this.#undo = undo;
  }
  dispose(): void {
    this.#undo();
  }
}

/** The library turns a RangeError marked like this into a sentence a person can use. */
function systemError(error: Error): Error {
  return Object.assign(error, { isAzureFunctionsSystemError: true });
}

function duringStart(what: string): Registry {
  if (loading === undefined)
    throw systemError(new Error(`${what} can only be registered during app startup.`));
  return loading;
}

function registerFunction(metadata: FunctionMetadata, callback: FunctionCallback): Disposable {
  const { functions } = duringStart('A function');
  // Azure refuses two functions of one name as well, but only in its log.
  if (functions.has(metadata.name)) throw new StartError(`two functions are named "${metadata.name}"`);
  functions.set(metadata.name, { metadata, callback });
  return new Disposable(() => functions.delete(metadata.name));
}

function registerHook(name: string, callback: HookCallback): Disposable {
  if (!HOOKS.has(name)) throw systemError(new RangeError(`Unrecognized hook "${name}"`));
  const { hooks } = duringStart('A hook');
  const callbacks = hooks.get(name) ?? [];
  hooks.set(name, callbacks);
  callbacks.push(callback);
  return new Disposable(() => {
    const at = callbacks.indexOf(callback);
    if (at >= 0) callbacks.splice(at, 1);
  });
}

/** Writes a line of the library or of `context.log` to the host's log. */
export function logAt(log: HostLog, level: LogLevel, message: string, functionName?: string): void {
  const fields = functionName === undefined ? {} : { function: functionName };
  if (level === 'none') return;
  if (level === 'trace' || level === 'debug') log.debug(message, fields);
  else if (level === 'information') log.info(message, fields);
  else if (level === 'warning') log.warn(message, fields);
  else log.error(message, fields);
}

function install(): void {
  if (installed) return;
  installed = true;
  const core = {
    version: '3.0.0',
    hostVersion: '4.0.0',
    registerFunction,
    registerHook,
    setProgrammingModel: (value: ProgrammingModel): void => void (model = value),
    getProgrammingModel: (): ProgrammingModel | undefined => model,
    log: (level: LogLevel, _category: string, message: string): void => {
      if (sink !== undefined) logAt(sink, level, message);
    },
    Disposable,
  };
  // The worker in Azure provides its built-in module by this very interception, so the library finds it here too.
  const prototype = Module.prototype as { require: (this: unknown, id: string) => unknown };
  prototype.require = new Proxy(prototype.require, {
    apply: (target, self: unknown, args: [string]): unknown =>
      args[0] === '@azure/functions-core' ? core : Reflect.apply(target, self, args),
  });
}

/**
 * Imports the main module of an app and returns what it registered. An app can be loaded once: imported modules are
 * kept, so a second load of the same module registers nothing.
 */
export async function loadApp(entry: string | URL, log: HostLog): Promise<FunctionApp> {
  install();
  if (loading !== undefined) throw new StartError('another app is being loaded in this process');
  sink = log;
  const registry: Registry = { functions: new Map(), hooks: new Map() };
  loading = registry;
  const url = entry instanceof URL || entry.startsWith('file:') ? String(entry) : pathToFileURL(entry).href;
  try {
    await import(url);
  } catch (error) {
    if (error instanceof StartError) throw error;
    throw new StartError(firstLine(error), { cause: error });
  } finally {
    loading = undefined;
  }
  if (model === undefined || registry.functions.size === 0)
    throw new StartError('the app registers no function');
  const capabilities = (await model.getCapabilities?.({})) ?? {};
  if (capabilities['HttpUri'] !== undefined)
    throw new StartError('the local host does not support enableHttpStream');
  return {
    model,
    functions: [...registry.functions.values()],
    hooks: (name) => registry.hooks.get(name) ?? [],
  };
}
