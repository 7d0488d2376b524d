import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { StartError, firstLine } from './start-error.js';

/** The settings of host.json that the local host honours, with the defaults of Azure. */
export interface HostSettings {
  /** No slashes at its ends; empty means that routes begin at the root. */
  readonly routePrefix: string;
  readonly queues: QueueSettings;
}

export interface QueueSettings {
  /** Messages asked for at once, 1 to 32. */
  readonly batchSize: number;
  /** A new batch is asked for when this many or fewer are in flight. */
  readonly newBatchThreshold: number;
  readonly maxPollingIntervalMs: number;
  /** How long a message that failed stays hidden. */
  readonly retryDelayS: number;
  readonly maxDequeueCount: number;
}

const TIME_SPAN = /^(?:(\d{1,7})\.)?([01]?\d|2[0-3]):([0-5]?\d):([0-5]?\d)(?:\.(\d{1,7}))?$/;

/** Milliseconds of a .NET time span, `[d.]hh:mm:ss[.fraction]`; undefined when it is none. */
export function parseTimeSpan(text: string): number | undefined {
  const match = TIME_SPAN.exec(text);
  if (match === null) return undefined;
  const [, days = '0', hours, minutes, seconds, fraction = '0'] = match;
  const whole = ((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds);
  return whole * 1000 + Math.round(Number(`0.${fraction}`) * 1000);
}

const timeSpan = z.string().transform((text, context) => {
  const ms = parseTimeSpan(text);
  if (ms === undefined) context.addIssue({ code: 'custom', message: 'is not a time span such as 00:00:30' });
  return ms ?? 0;
});

const schema = z.object({
  version: z.literal('2.0'),
  extensions: z
    .object({
      http: z.object({ routePrefix: z.string().default('api') }).default({ routePrefix: 'api' }),
      queues: z
        .object({
          batchSize: z.int().min(1).max(32).default(16),
          newBatchThreshold: z.int().min(0).optional(),
          maxPollingInterval: timeSpan.default(60_000),
          visibilityTimeout: timeSpan.default(0),
          maxDequeueCount: z.int().min(1).default(5),
          messageEncoding: z.literal('base64').default('base64'),
        })
        .prefault({}),
    })
    .prefault({}),
});

/** Reads host.json, or refuses to start with a line that names the fault. */
export async function readHostJson(path: string): Promise<HostSettings> {
  let json: unknown;
  try {
    json = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new StartError(`host.json cannot be read: ${firstLine(error)}`, { cause: error });
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new StartError(`host.json is not valid: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`);
  }
  const { http, queues } = parsed.data.extensions;
  return {
    routePrefix: http.routePrefix.replace(/^\/+|\/+$/g, ''),
    queues: {
      batchSize: queues.batchSize,
      newBatchThreshold: queues.newBatchThreshold ?? Math.floor(queues.batchSize / 2),
      // Azure polls no faster than every 100 ms either.
      maxPollingIntervalMs: Math.max(100, queues.maxPollingInterval),
      retryDelayS: Math.ceil(queues.visibilityTimeout / 1000),
      maxDequeueCount: queues.maxDequeueCount,
    },
  };
}
