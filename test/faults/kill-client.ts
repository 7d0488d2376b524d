import { setTimeout as delay } from 'node:timers/promises';

export interface Ask {
  readonly method: 'GET' | 'POST' | 'PATCH';
  /** Below `/api`. */
  readonly path: string;
  readonly body?: unknown;
  readonly key?: string;
  readonly ifMatch?: string;
}

export interface Answered {
  readonly status: number;
  readonly etag: string;
  readonly retryAfter: string | null;
  readonly json: Record<string, unknown>;
}

/** What a client knows after it asked: an answer, or that there was none. */
export type Attempt = Answered | 'lost';

const ASK_MS = 30_000;

/** Asks one host once. */
export async function ask(
  baseUrl: string,
  tenant: string,
  { method, path, body, key, ifMatch }: Ask,
): Promise<Attempt> {
  try {
    const response = await fetch(`${baseUrl}${path}`, {
      method,
      signal: AbortSignal.timeout(ASK_MS),
      headers: {
        'x-dev-tenant': tenant,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(key === undefined ? {} : { 'idempotency-key': key }),
        ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const etag = response.headers.get('etag') ?? '';
    const retryAfter = response.headers.get('retry-after');
    return { status: response.status, etag, retryAfter, json: JSON.parse(text) as Record<string, unknown> };
  } catch {
    return 'lost';
  }
}

/** Why an attempt is no answer yet and may be made again, with the same key; undefined for one that is final. */
export function retryable(attempt: Attempt): string | undefined {
  if (attempt === 'lost') return 'lost';
  if (attempt.status === 503) return '503';
  return attempt.status === 409 && String(attempt.json['type']).endsWith('#idempotency-in-progress')
    ? 'in progress'
    : undefined;
}

/** Asks one host after the other, as the contract says, until there is an answer or `enough` says that it is enough. */
export async function askUntilAnswered(
  hosts: () => readonly string[],
  tenant: string,
  request: Ask,
  enough: () => boolean,
): Promise<Attempt> {
  for (let turn = Math.floor(Math.random() * 2); ; turn += 1) {
    const all = hosts();
    const attempt = all.length === 0 ? 'lost' : await ask(all[turn % all.length] as string, tenant, request);
    if (retryable(attempt) === undefined || enough()) return attempt;
    await delay(40);
  }
}

/** Asks again and again; how long it took, or undefined when it never came true. */
export async function eventually(
  wanted: () => Promise<boolean>,
  limitMs: number,
): Promise<number | undefined> {
  const began = performance.now();
  for (;;) {
    if (await wanted()) return performance.now() - began;
    if (performance.now() - began > limitMs) return undefined;
    await delay(250);
  }
}
