import { expect } from 'vitest';
import { run, type Process } from '../local/processes.js';
import { ROOT, until } from '../local/support.js';
import type { Envelope } from '../../src/domain/envelope.js';

export { killAll } from '../local/processes.js';
export { removeFolders, temporaryFolder } from '../local/support.js';

/** The first start builds, on a busy machine perhaps. */
const READY_MS = 120_000;

export interface Started {
  readonly process: Process;
  /** Without a slash at its end. */
  readonly baseUrl: string;
}

/** Runs `npm start`, or, to have its process at hand, what it runs; resolves once it says that it is ready. */
export async function start(env: NodeJS.ProcessEnv, by: 'npm' | 'node' = 'npm'): Promise<Started> {
  const process_ = launch(env, by);
  const line = (): RegExpExecArray | null => /^ready (http:\S+)\n(curl .*)\n/m.exec(process_.out());
  await until(() => line() !== null || process_.child.exitCode !== null, 'ready', READY_MS);
  expect(line(), process_.err()).not.toBeNull();
  return { process: process_, baseUrl: line()?.[1] ?? '' };
}

/** The same without waiting. */
function launch(env: NodeJS.ProcessEnv, by: 'npm' | 'node' = 'npm'): Process {
  return by === 'npm'
    ? run(ROOT, 'npm', ['start'], env)
    : run(ROOT, process.execPath, ['scripts/start.mjs'], env);
}

/** Asks it to end and expects that it does so in good order. */
export async function stop({ process: process_ }: Started): Promise<void> {
  process_.child.kill('SIGTERM');
  expect(await process_.exited, process_.err()).toBe(0);
}

/** What a start that is refused leaves: its code, and what it said itself. */
export async function refusal(env: NodeJS.ProcessEnv): Promise<{ code: number | null; said: string }> {
  const process_ = launch(env, 'node');
  const code = await process_.exited;
  expect(process_.out()).toBe('');
  return { code, said: process_.err() };
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly json: Record<string, unknown>;
  readonly envelope: Envelope;
}

/** Speaks to a platform as one tenant. */
export function client(baseUrl: string, tenant: string) {
  const call = async (method: string, path: string, body?: unknown, headers = {}): Promise<Answer> => {
    const type = body === undefined ? {} : { 'content-type': 'application/json' };
    const response = await fetch(`${baseUrl}${path}`, {
      method,
      headers: { 'x-dev-tenant': tenant, ...type, ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const json = (await response.json()) as Record<string, unknown>;
    return {
      status: response.status,
      headers: response.headers,
      json,
      envelope: json as unknown as Envelope,
    };
  };
  return {
    get: (path: string, headers = {}) => call('GET', path, undefined, headers),
    post: (path: string, body: unknown, headers = {}) => call('POST', path, body, headers),
    /** Asks until the answer is as wanted. */
    async eventually(path: string, wanted: (answer: Answer) => boolean, limitMs: number): Promise<Answer> {
      const end = performance.now() + limitMs;
      for (;;) {
        const answer = await call('GET', path);
        if (wanted(answer)) return answer;
        if (performance.now() > end) expect.fail(`${path} stayed ${JSON.stringify(answer.json)}`);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    },
  };
}

/** Events of a list of the audit trail. */
/** Events of changes: reads are told among them, whenever they were stored. */
export const changesIn = (answer: Answer): readonly Record<string, unknown>[] =>
  eventsIn(answer).filter((event) => event['event_type'] !== 'record.read');

export const eventsIn = (answer: Answer): readonly Record<string, unknown>[] =>
  answer.json['items'] as Record<string, unknown>[];
