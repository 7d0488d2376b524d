import { AsyncLocalStorage } from 'node:async_hooks';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import {
  createHttpHeaders,
  RestError,
  type PipelinePolicy,
  type PipelineRequest,
  type PipelineResponse,
  type SendRequest,
} from '@azure/core-rest-pipeline';

/** What can become of a request to a storage service. */
export const TROUBLES = [
  /** It is refused for now, with Retry-After; nothing happened. */
  'busy',
  /** The connection is reset before it is sent. */
  'reset before',
  /** It happened, and the connection is reset before the answer. */
  'reset after',
  /** It happened, and the service says that it took too long. */
  'late',
  /** It happened, and the answer takes long. */
  'slow',
  /** It happened, and the body of the answer breaks off. */
  'broken body',
  /** Nothing happened, and nobody answers. */
  'silence',
  /** It happened, and nobody answers. */
  'lost answer',
] as const;
export type Trouble = (typeof TROUBLES)[number];

/** Trouble for the requests of one piece of work, by their number from 1. */
export type TroublePlan = (number: number) => Trouble | undefined;

/** What was sent while a piece of work was done. */
export interface Sent {
  readonly requests: number;
  /** How long after its beginning the last request began. */
  readonly lastMs: number;
}

interface Running {
  readonly plan: TroublePlan;
  readonly began: number;
  requests: number;
  lastMs: number;
}

/** A policy for the SDK's pipeline that makes trouble for the requests of work that asked for it, and for no others. */
export class TroubleMaker {
  readonly #running = new AsyncLocalStorage<Running>();

  /** `slowMs`: how long a slow answer takes; `spared`: addresses that are nobody's concern. */
  constructor(
    private readonly slowMs: number,
    private readonly spared: RegExp,
  ) {}

  readonly policy: PipelinePolicy = {
    name: 'trouble',
    sendRequest: (request, next) => {
      const running = this.#running.getStore();
      if (running === undefined || this.spared.test(request.url)) return next(request);
      running.requests += 1;
      running.lastMs = performance.now() - running.began;
      const trouble = running.plan(running.requests);
      if (trouble === undefined) return next(request);
      return this.#make(trouble, request, next);
    },
  };

  /** Does work under a plan. */
  async during<T>(
    plan: TroublePlan,
    work: () => Promise<T>,
  ): Promise<{ readonly result: T; readonly sent: Sent }> {
    const running: Running = { plan, began: performance.now(), requests: 0, lastMs: 0 };
    const result = await this.#running.run(running, work);
    return { result, sent: running };
  }

  async #make(trouble: Trouble, request: PipelineRequest, next: SendRequest): Promise<PipelineResponse> {
    switch (trouble) {
      case 'busy':
        return refusal(request, 503, 'ServerBusy');
      case 'reset before':
        throw new RestError('connect ECONNRESET', { code: 'ECONNRESET', request });
      case 'reset after':
        drop(await next(request));
        throw new RestError('read ECONNRESET', { code: 'ECONNRESET', request });
      case 'late':
        drop(await next(request));
        return refusal(request, 500, 'OperationTimedOut');
      case 'slow':
        await delay(this.slowMs);
        return next(request);
      case 'broken body':
        return broken(await next(request), request);
      case 'silence':
        return silence(request);
      case 'lost answer':
        drop(await next(request));
        return silence(request);
    }
  }
}

function refusal(request: PipelineRequest, status: number, code: string): PipelineResponse {
  const headers = createHttpHeaders({ 'x-ms-error-code': code, 'retry-after': '1' });
  return { request, status, headers, bodyAsText: '' };
}

function drop(response: PipelineResponse): void {
  (response.readableStreamBody as Readable | undefined)?.on('error', () => undefined).destroy();
}

/** Half of the body, and then an end (a stream: a reset) that nobody announced. */
function broken(response: PipelineResponse, request: PipelineRequest): PipelineResponse {
  const { readableStreamBody: stream, bodyAsText: text } = response;
  if (stream === undefined) {
    // A body that is not there cannot break off; its answer can.
    if (!text) throw new RestError('aborted', { code: 'ECONNRESET', request });
    return { ...response, bodyAsText: text.slice(0, text.length / 2) };
  }
  async function* half(): AsyncGenerator<Buffer> {
    for await (const chunk of stream as Readable) {
      const bytes = chunk as Buffer;
      yield bytes.subarray(0, bytes.length / 2);
      throw new Error('aborted');
    }
  }
  return { ...response, readableStreamBody: Readable.from(half()) };
}

/** Until whoever asked has had enough. */
function silence(request: PipelineRequest): Promise<never> {
  const late = (): Error => Object.assign(new Error('The operation was aborted.'), { name: 'AbortError' });
  return new Promise((_, reject) => {
    if (request.abortSignal === undefined) throw new Error('this call has no limit of time');
    if (request.abortSignal.aborted) reject(late());
    request.abortSignal.addEventListener('abort', () => reject(late()));
  });
}
