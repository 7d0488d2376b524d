import { beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/domain/limits.js';
import { MINIMAL, newTenant } from '../support/decisions.js';
import { httpHost, type HttpHost } from '../support/http-harness.js';
import { memoryPorts } from '../support/memory-ports.js';
import { realClock } from '../support/virtual-clock.js';

const GOOD = JSON.stringify(MINIMAL);
const UNKNOWN = 'dec_01980000-0000-7000-8000-000000000000';
const deep = (levels: number): string => `${'['.repeat(levels)}${']'.repeat(levels)}`;

let host: HttpHost;
const tenant = newTenant();
beforeAll(() => {
  host = httpHost(memoryPorts({ clock: realClock }));
});

describe('the media type of a body', () => {
  it.each([
    'application/json',
    'application/json; charset=utf-8',
    'application/json;charset=UTF-8',
    'Application/JSON ; Charset="utf-8"',
    'application/json; version=1',
  ])('may be %s', async (type) => {
    const reply = await host.request('POST', '/decisions', { raw: GOOD, headers: { 'content-type': type } });
    expect(reply.status).toBe(201);
  });

  it.each([
    'text/plain',
    'application/jsonp',
    'application/json; charset=latin1',
    'application/merge-patch+json',
    'application/x-www-form-urlencoded',
    'application/json, text/plain',
    '',
  ])('of a POST may not be "%s"', async (type) => {
    const reply = await host.request('POST', '/decisions', {
      raw: GOOD,
      headers: { 'content-type': type },
      tenant,
    });
    expect([reply.status, reply.code]).toEqual([415, 'unsupported-media-type']);
  });

  it.each(['text/plain', 'application/json-patch+json', 'application/merge-patch'])(
    'of a PATCH may not be %s',
    async (type) => {
      const reply = await host.request('PATCH', `/decisions/${UNKNOWN}`, {
        raw: '{}',
        headers: { 'content-type': type },
      });
      expect(reply.status).toBe(415);
    },
  );

  it('must be stated', async () => {
    expect((await host.request('POST', '/decisions')).status).toBe(415);
  });

  it.each(['gzip', 'br', 'identity, gzip'])('does not come with content encoding %s', async (encoding) => {
    const reply = await host.request('POST', '/decisions', {
      raw: GOOD,
      headers: { 'content-encoding': encoding },
    });
    expect(reply.status).toBe(415);
  });

  it('may come with the encoding identity', async () => {
    const headers = { 'content-encoding': 'Identity' };
    expect((await host.request('POST', '/decisions', { raw: GOOD, headers })).status).toBe(201);
  });
});

describe('the size of a body', () => {
  const sized = (bytes: number): string => GOOD + ' '.repeat(bytes - GOOD.length);

  it('may be 1 MiB', async () => {
    expect((await host.request('POST', '/decisions', { raw: sized(LIMITS.bodyBytes) })).status).toBe(201);
  });

  it.each(['/decisions', `/decisions/${UNKNOWN}/votes`, '/inbox/decisions'])(
    'of a POST to %s may not be a byte more',
    async (path) => {
      const reply = await host.request('POST', path, { raw: sized(LIMITS.bodyBytes + 1), tenant });
      expect([reply.status, reply.code]).toEqual([413, 'payload-too-large']);
    },
  );

  it('counts bytes, not characters', async () => {
    const body = { ...MINIMAL, inputs: { texts: Array(9).fill('€'.repeat(40_000)) } };
    expect((await host.post('/decisions', body, { tenant })).status).toBe(413);
  });
});

describe('a body that is not JSON', () => {
  it.each<[string, string | Uint8Array]>([
    ['empty', ''],
    ['white space', ' \n'],
    ['cut off', '{"title":'],
    ['two values', '{}{}'],
    ['JavaScript', "{title:'x'}"],
    ['NaN', '{"title":NaN}'],
    ['not UTF-8', new Uint8Array([0x22, 0xc3, 0x28, 0x22])],
    ['UTF-16', Buffer.from(GOOD, 'utf16le')],
    ['half a character in UTF-8', new Uint8Array([0x22, 0xed, 0xa0, 0x80, 0x22])],
  ])('but %s is 400, and is not quoted', async (_, raw) => {
    const reply = await host.request('POST', '/decisions', { raw, tenant });
    expect([reply.status, reply.code]).toEqual([400, 'request-malformed']);
    expect(reply.problem.errors).toBeUndefined();
  });
});

describe('a body nested deeper than any record', () => {
  const paths = ['/decisions', '/inbox/decisions', '/decisions/batch'];
  it.each(paths)('is 422 for POST %s, with a key and without', async (path) => {
    for (const raw of [deep(40), deep(10_000), `{"items":[${deep(200_000)}]}`, `{"inputs":${deep(200_000)}}`])
      for (const key of [{}, { key: 'deep' }]) {
        const reply = await host.request('POST', path, { raw, tenant, ...key });
        expect([reply.status, reply.code], reply.text).toEqual([422, 'record-invalid']);
      }
  });

  it('is 422 for an action and a PATCH', async () => {
    const made = await host.post('/decisions', MINIMAL);
    const path = `/decisions/${made.envelope.id}`;
    const options = { raw: deep(100_000), ifMatch: '*' };
    expect((await host.request('PATCH', path, options)).status).toBe(422);
    expect((await host.request('POST', `${path}/votes`, { ...options, key: 'k' })).status).toBe(422);
  });
});

describe('a problem document', () => {
  const SECRET = 'hunter2-4111111111111111';
  it('has exactly type, title, status, detail and instance, and errors for invalid input', async () => {
    const missing = await host.get(`/decisions/${UNKNOWN}`);
    expect(missing.headers['content-type']).toBe('application/problem+json; charset=utf-8');
    expect(missing.json).toEqual({
      type: expect.stringMatching(/^[a-z][a-z0-9+.-]*:.*#record-not-found$/),
      title: expect.any(String),
      status: 404,
      detail: expect.any(String),
      instance: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    const invalid = await host.post('/decisions', {});
    expect(Object.keys(invalid.json).sort()).toEqual([
      'detail',
      'errors',
      'instance',
      'status',
      'title',
      'type',
    ]);
    for (const issue of invalid.problem.errors ?? [])
      expect(issue).toEqual({ pointer: expect.any(String), detail: expect.any(String) });
    expect(missing.problem.instance).not.toBe((await host.get(`/decisions/${UNKNOWN}`)).problem.instance);
  });

  it('never repeats what was submitted, and never holds a stack', async () => {
    const made = await host.post('/decisions', MINIMAL, { tenant });
    const path = `/decisions/${made.envelope.id}`;
    const options = { tenant };
    const replies = [
      await host.post('/decisions', { ...MINIMAL, decision_type: SECRET }, options),
      await host.post('/decisions', { ...MINIMAL, status: SECRET, created_at: SECRET }, options),
      await host.post('/decisions', { ...MINIMAL, metadata: SECRET }, options),
      await host.post(
        '/decisions',
        { ...MINIMAL, provenance: { source: 'x', inputs_checksum: SECRET } },
        options,
      ),
      await host.post('/decisions', SECRET, options),
      await host.post('/decisions/batch', { items: [{ ...MINIMAL, status: SECRET }] }, options),
      await host.post('/inbox/decisions', { ...MINIMAL, status: SECRET }, options),
      await host.request('POST', '/decisions', { raw: `{"title":"${SECRET}"`, tenant }),
      await host.patch(path, { status: SECRET }, made.etag, options),
      await host.patch(path, { outcome: SECRET }, made.etag, options),
      await host.patch(path, { title: SECRET }, `"${SECRET}"`, options),
      await host.post(`${path}/votes`, { agent: 'a', vote: SECRET, confidence: SECRET }, options),
      await host.post('/decisions', MINIMAL, { tenant, key: `${SECRET} x` }),
      await host.get(`/decisions?from=${SECRET}`, options),
      await host.get(`/decisions?limit=${SECRET}`, options),
      await host.get(`/decisions?cursor=${SECRET}`, options),
      await host.get(`/decisions/${SECRET}`, options),
      await host.get(`/${SECRET}`, options),
      await host.get('/decisions', { tenant: SECRET.toUpperCase() }),
    ];
    for (const reply of replies) {
      expect(reply.status).toBeGreaterThanOrEqual(400);
      expect(reply.status).toBeLessThan(500);
      expect(reply.text.toLowerCase()).not.toContain(SECRET);
      expect(reply.text).not.toMatch(/\n|\bat \w|node:|\.ts\b|\.js\b|stack/i);
    }
  });
});
