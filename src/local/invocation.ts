import { randomBytes, randomUUID } from 'node:crypto';
import { format } from 'node:util';
import type {
  CoreInvocationContext,
  RpcInvocationResponse,
  RpcTraceContext,
  RpcTypedData,
} from './core-types.js';
import { logAt, type FunctionApp, type HookName, type RegisteredFunction } from './functions-core.js';
import type { HostLog } from './host-log.js';

export interface Trigger {
  /** The value of the trigger binding, as the host would send it to the worker. */
  readonly data: RpcTypedData;
  readonly metadata?: Readonly<Record<string, RpcTypedData>>;
  readonly traceContext?: RpcTraceContext;
}

/** Runs one function the way the worker in Azure does: arguments, hooks, handler, hooks, response. */
export type Invoke = (fn: RegisteredFunction, trigger: Trigger) => Promise<RpcInvocationResponse>;

/** The name of a function's trigger binding and the binding itself. */
export function triggerOf(fn: RegisteredFunction): { name: string; binding: Record<string, unknown> } {
  for (const [name, binding] of Object.entries(fn.metadata.bindings))
    if (binding.type.toLowerCase().endsWith('trigger')) return { name, binding: { ...binding } };
  throw new Error(`function "${fn.metadata.name}" has no trigger`);
}

/** A new W3C trace context, not sampled, for a trigger that brings none. */
export function newTraceContext(): RpcTraceContext {
  return { traceParent: `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-00` };
}

async function runHooks(app: FunctionApp, name: HookName, context: object): Promise<void> {
  for (const hook of app.hooks(name)) await hook(context);
}

/** Binds `Invoke` to an app. Hook data is shared by all invocations of the app, as in the worker. */
export function createInvoke(app: FunctionApp, log: HostLog): Invoke {
  const appHookData = {};
  return async (fn, trigger) => {
    const { name } = fn.metadata;
    const invocationId = randomUUID();
    const core: CoreInvocationContext = {
      invocationId,
      request: {
        invocationId,
        inputData: [{ name: triggerOf(fn).name, data: trigger.data }],
        triggerMetadata: trigger.metadata ?? {},
        traceContext: trigger.traceContext ?? newTraceContext(),
      },
      metadata: fn.metadata,
      log: (level, _category, message) => logAt(log, level, message, name),
    };
    const invocation = await app.model.getInvocationModel(core);
    const { context, inputs } = await invocation.getArguments();
    const hookData = {};
    const shared = { hookData, appHookData, invocationContext: context };

    const before = { ...shared, inputs, functionCallback: fn.callback };
    core.state = 'preInvocationHooks';
    await runHooks(app, 'preInvocation', before);

    const after = { ...shared, inputs: before.inputs, result: null as unknown, error: null as unknown };
    core.state = 'invocation';
    try {
      after.result = await invocation.invokeFunction(context, before.inputs, before.functionCallback);
    } catch (error) {
      after.error = error ?? new Error('the function threw nothing');
    }
    core.state = 'postInvocationHooks';
    await runHooks(app, 'postInvocation', after);
    core.state = undefined;

    if (after.error !== null && after.error !== undefined)
      throw after.error instanceof Error ? after.error : new Error(format(after.error));
    return invocation.getResponse(context, after.result);
  };
}
