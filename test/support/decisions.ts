import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import type { HttpHost, Reply, RequestOptions } from './http-harness.js';

/** The smallest decision. */
export const MINIMAL = { decision_type: 'strategic', title: 'Open a second warehouse' } as const;

/** A tenant nobody else uses: tests of one storage do not meet. */
export const newTenant = (): string => `t-${randomUUID()}`;

/** Stores a decision and expects that it is. */
export async function created(host: HttpHost, body: object = {}, options?: RequestOptions): Promise<Reply> {
  const reply = await host.post('/decisions', { ...MINIMAL, ...body }, options);
  expect(reply.status, reply.text).toBe(201);
  return reply;
}

export const vote = (agent: string, more: object = {}): object => ({
  agent,
  vote: 'approve',
  confidence: 0.9,
  ...more,
});

/** Reads a list to its end: all ids, and how many pages it took. */
export async function walk(
  host: HttpHost,
  path: string,
  options?: RequestOptions,
): Promise<{ readonly ids: string[]; readonly pages: number }> {
  const ids: string[] = [];
  let cursor: string | null = null;
  for (let pages = 1; ; pages += 1) {
    const join = path.includes('?') ? '&' : '?';
    const from: string = cursor === null ? path : `${path}${join}cursor=${encodeURIComponent(cursor)}`;
    const reply = await host.get(from, options);
    expect(reply.status, reply.text).toBe(200);
    ids.push(...reply.page.items.map((item) => String(item['id'] ?? item['event_id'])));
    cursor = reply.page.next_cursor;
    if (cursor === null) return { ids, pages };
    if (pages > 1000) throw new Error('the list does not end');
  }
}
