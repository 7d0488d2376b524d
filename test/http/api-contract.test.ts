import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineRecord } from '../../src/domain/define-record.js';
import type { RecordData, RecordType } from '../../src/domain/record-type.js';
import { buildDocument } from '../../src/http/openapi/document.js';
import { RECORD_TYPES } from '../../src/records/registry.js';
import { ApiContract, contractOf, type Answered } from '../support/api-contract.js';
import { created } from '../support/decisions.js';
import { httpHost } from '../support/http-harness.js';
import { memoryPorts } from '../support/memory-ports.js';
import { storageNames } from '../../src/platform.js';
import { realClock } from '../support/virtual-clock.js';

const host = httpHost(memoryPorts({ clock: realClock }));
const COMMITMENT = { $commitment: 'a'.repeat(64) };

/** A type that nobody ships, with a transformation that no schema tells and sensitive values at several depths. */
const contactType: RecordType = defineRecord<RecordData, RecordData>({
  recordType: 'contact_card',
  collection: 'contact-cards',
  table: 'contacts',
  idPrefix: 'con',
  idField: 'card_id',
  schemaVersion: '1.0',
  migrations: [],
  schema: z.strictObject({
    card_id: z.string(),
    created_at: z.string(),
    label: z.union([z.string().transform((text) => text.toUpperCase()), z.number()]),
    contact: z.strictObject({ email: z.string(), 'a/b': z.string().optional() }),
    phones: z.array(z.strictObject({ number: z.string(), kind: z.string() })).default([]),
  }),
  createSchema: z.strictObject({
    created_at: z.string().optional(),
    label: z.string().transform((text) => text.toUpperCase()),
    contact: z.strictObject({ email: z.string(), 'a/b': z.string().optional() }),
    phones: z.array(z.strictObject({ number: z.string(), kind: z.string() })).default([]),
  }),
  create: (input, context) => ({ ...input, card_id: context.id }),
  orderedBy: 'created_at',
  partition: { kind: 'month-of-creation' },
  summary: [],
  indexes: [],
  immutable: ['card_id', 'created_at'],
  sensitive: { '/contact/email': 'pii', '/contact/a~1b': 'pii', '/phones/*/number': 'pii' },
  tiers: {},
  retention: 'forever',
  actions: {
    'call-back': {
      verb: 'call back',
      input: z.strictObject({ at: z.string() }),
      apply: (current) => current,
    },
  },
  example: { label: 'x', contact: { email: 'ada@example.org' } },
});
const TYPES = [contactType];

/** A good answer to a read of a decision. */
async function answerOf(): Promise<Answered> {
  const { envelope } = await created(host, { agent_votes: [{ agent: 'a', vote: 'approve', confidence: 1 }] });
  const path = `/decisions/${envelope.id}`;
  return { method: 'GET', path, ...(await host.get(path)) };
}

type Inner = Record<string, unknown>;

/** The same answer with another value at a JSON pointer, or none. */
function put(answer: Answered, pointer: string, value: unknown): Answered {
  const body = JSON.parse(answer.text) as Inner;
  const path = pointer.split('/').slice(1).map((token) => token.replaceAll('~1', '/')); // prettier-ignore
  const last = path.pop() ?? '';
  const owner = path.reduce((inner, member) => inner[member] as Inner, body);
  owner[last] = value;
  return { ...answer, text: JSON.stringify(body) };
}

describe('holding answers against the document', () => {
  const contract = contractOf();

  it('says nothing about a good answer', async () => {
    const answer = await answerOf();
    expect(() => contract.check(answer)).not.toThrow();
    expect(() => contract.check({ ...answer, path: `${answer.path}/` })).not.toThrow();
  });

  it.each<[string, (answer: Answered) => Answered, RegExp]>([
    ['a status it does not have', (answer) => ({ ...answer, status: 202 }), /does not have this status/],
    ['another media type', (answer) => ({ ...answer, headers: { ...answer.headers, 'content-type': 'text/plain' } }), /text\/plain is not one of application\/json/],
    ['no ETag', ({ headers: { etag: _, ...headers }, ...answer }) => ({ ...answer, headers }), /header ETag is missing/],
    ['no JSON', (answer) => ({ ...answer, text: '{' }), /is not JSON/],
    ['a body where there is none', (answer) => ({ ...answer, status: 304 }), /should be no body/],
    ['a member too many', (answer) => put(answer, '/secret', 1), /secret/],
    ['a member too few', (answer) => put(answer, '/data/title', undefined), /\/data .*title/],
    ['another type', (answer) => put(answer, '/revision', '1'), /\/revision must be integer/],
    ['the id of another type', (answer) => put(answer, '/id', 'met_01980000-0000-7000-8000-000000000000'), /\/id must match/],
    ['a value deep inside', (answer) => put(answer, '/data/agent_votes/0/confidence', 2), /\/data\/agent_votes\/0\/confidence/],
    ['a time that is none', (answer) => put(answer, '/stored_at', 'yesterday'), /\/stored_at must match format/],
    ['a commitment where nothing is sensitive', (answer) => put(answer, '/data/title', COMMITMENT), /\/data\/title/],
    ['an operation that there is not', (answer) => ({ ...answer, method: 'DELETE' }), /no such operation/],
    ['an address that there is not', (answer) => ({ ...answer, path: '/nowhere' }), /no such operation/],
    ['a refusal that is no problem document', (answer) => ({ ...answer, path: '/nowhere', status: 404 }), /a refusal is a problem document/],
  ])('finds %s', async (_, tampered, complaint) => {
    const answer = tampered(await answerOf());
    expect(() => contract.check(answer)).toThrow(complaint);
  }); // prettier-ignore

  it('finds a problem under another status than that of its code, and one without what comes with it', async () => {
    const path = '/decisions/dec_01980000-0000-7000-8000-000000000000';
    const answer = { method: 'GET', path, ...(await host.get(path)) };
    expect(() => contract.check(answer)).not.toThrow();
    expect(() => contract.check({ ...answer, status: 503 })).toThrow(/Retry-After is missing/);
    expect(() => contract.check({ ...answer, status: 410 })).toThrow(/\/type must be equal/);
    const invented = put(answer, '/type', 'urn:business-records:errors#oops');
    expect(() => contract.check(invented)).toThrow(/\/type must be equal/);
  });

  it('finds it when the document does not say what is so', async () => {
    const document = buildDocument(RECORD_TYPES);
    const data = document.components?.schemas?.['DecisionData'] as {
      properties: { title: { maxLength: number } };
    };
    data.properties.title.maxLength = 3;
    const answer = await answerOf();
    expect(() => new ApiContract(document).check(answer)).toThrow(/\/data\/title must NOT have more than 3/);
  });
});

describe('a type that was declared for a test', () => {
  const cards = httpHost(memoryPorts({ clock: realClock, names: storageNames(TYPES) }), { types: TYPES });
  const card = {
    label: 'home',
    contact: { email: 'ada@example.org' },
    phones: [{ number: '1', kind: 'desk' }],
  };

  it('is described and served like any other, and the types of the platform are not there', async () => {
    const reply = await cards.post('/contact-cards', card);
    expect([reply.status, reply.envelope.data['label']]).toEqual([201, 'HOME']);
    const called = await cards.post(`/contact-cards/${reply.envelope.id}/call-back`, { at: 'noon' });
    expect([called.status, called.envelope.revision]).toEqual([200, 2]);
    const { paths } = (await cards.get('/openapi.json')).json as { paths: Record<string, unknown> };
    expect(Object.keys(paths)).toContain('/contact-cards/{id}/call-back');
    expect(Object.keys(paths)).not.toContain('/decisions');
  });

  it('may show a commitment for each sensitive value, and for nothing else', async () => {
    const { envelope } = await cards.post('/contact-cards', {
      ...card,
      contact: { ...card.contact, 'a/b': 'c' },
    });
    const path = `/contact-cards/${envelope.id}`;
    const answer = { method: 'GET', path, ...(await cards.get(path)) };
    const sensitive = ['/data/contact/email', '/data/contact/a~1b', '/data/phones/0/number'];
    const masked = sensitive.reduce((shown, pointer) => put(shown, pointer, COMMITMENT), answer);
    const contract = contractOf(TYPES);
    expect(() => contract.check(masked)).not.toThrow();
    for (const open of ['/data/contact', '/data/phones/0/kind', '/data/phones'])
      expect(() => contract.check(put(answer, open, COMMITMENT)), open).toThrow(open);
  });
});
