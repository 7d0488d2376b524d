import { expect } from 'vitest';
import type { Hold } from '../../src/domain/hold.js';
import type { HttpHost, Reply, RequestOptions } from './http-harness.js';

export const REASON = 'Preservation notice of 12 March.';

/** A hold on a collection whole, with other members where they are given. */
export const WHOLE = { scope: { query: { collection: 'decisions', all: true } }, reason: REASON } as const;

export const holdOf = ({ json }: Reply): Hold => json as unknown as Hold;

/** Places a hold and expects that it is. */
export async function held(
  host: HttpHost,
  scope: object,
  options?: RequestOptions,
  more: object = {},
): Promise<Hold> {
  const reply = await host.post('/holds', { scope, reason: REASON, ...more }, options);
  expect(reply.status, reply.text).toBe(201);
  return holdOf(reply);
}
