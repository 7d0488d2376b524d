import { expect } from 'vitest';
import type { Covenant } from '../../src/records/covenant.js';
import type { HttpHost, Reply, RequestOptions } from './http-harness.js';

/** The smallest covenant. */
export const COVENANT = {
  organization: { name: 'Meridian Cooperative' },
  compliance_standard: 'BIC-1.0',
  principles: [{ name: 'Transparency' }],
  governance: { model: 'elected board' },
} as const;

export const AMENDMENT = { title: 'A second chair', description: 'Two chairs share the office.', proposed_by: 'The board' } as const; // prettier-ignore

/** Stores a covenant and expects that it is. */
export async function aCovenant(host: HttpHost, body: object = {}, options?: RequestOptions): Promise<Reply> {
  const reply = await host.post('/covenants', { ...COVENANT, ...body }, options);
  expect(reply.status, reply.text).toBe(201);
  return reply;
}

/** Takes an action and expects that it is taken. */
export async function act(
  host: HttpHost,
  id: string,
  action: string,
  body: object,
  options?: RequestOptions,
): Promise<Reply> {
  const reply = await host.post(`/covenants/${id}/${action}`, body, options);
  expect(reply.status, reply.text).toBe(action === 'versions' ? 201 : 200);
  return reply;
}

export const covenantOf = (reply: Reply): Covenant => reply.envelope.data as unknown as Covenant;
