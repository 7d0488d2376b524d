import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { API_VERSION, buildDocument } from '../../src/http/openapi/document.js';
import type { RecordType } from '../../src/domain/record-type.js';
import { addingsOf, viewsOf } from '../../src/http/openapi/abilities.js';
import { RECORD_TYPES } from '../../src/records/registry.js';
import { contractOf } from '../support/api-contract.js';
import { httpHost, ROUTES } from '../support/http-harness.js';
import { memoryPorts } from '../support/memory-ports.js';
import { realClock } from '../support/virtual-clock.js';

const host = httpHost(memoryPorts({ clock: realClock }));
const ROOT = join(import.meta.dirname, '..', '..');

/** What a type means by the routes that all types share. */
function ofType(type: RecordType, template: string, methods: readonly string[]): readonly string[] {
  const path = `/${template.replace('{collection}', type.collection)}`;
  if (!path.includes('{action}')) return methods.map((method) => `${method} ${path}`);
  const { named, partition, parts } = type;
  const at = (method: string) => (action: string) => `${method} ${path.replace('{action}', action)}`;
  return [
    ...[...Object.keys(type.actions), ...Object.keys(addingsOf(type))].map(at('POST')),
    ...[...viewsOf(type), ...(parts === undefined ? [] : [parts.path])].map(at('GET')),
    ...(named === undefined || partition.kind !== 'member'
      ? []
      : ['GET', 'PUT'].map(
          (method) => `${method} /${type.collection}/{${partition.member}}/{${named.member}}`,
        )),
  ];
}

/** What comes after `tile/` has as many segments as it needs: described are those of logs of up to 256,000 entries. */
const TILES: Readonly<Record<string, readonly string[]>> = {
  'audit/log/tile/{*path}': ['audit/log/tile/{level}/{index}', 'audit/log/tile/{level}/{index}.p/{width}'],
};

/** Every operation that the routes of `functions/` come to with the record types there are. */
function routed(): readonly string[] {
  const { '{*path}': _, ...routes } = ROUTES;
  // The inbox takes one collection more, whose members are no records.
  const events = 'POST /inbox/audit-events';
  return Object.entries(routes)
    .flatMap(([template, resource]) => (TILES[template] ?? [template]).map((one) => [one, resource] as const))
    .flatMap(([template, resource]) =>
      template.includes('{collection}')
        ? RECORD_TYPES.flatMap((type) => ofType(type, template, Object.keys(resource)))
        : Object.keys(resource).map((method) => `${method} /${template}`),
    )
    .concat(events);
}

describe('GET /openapi.json', () => {
  it('is the document of the types that the platform has, for anybody', async () => {
    const reply = await host.get('/openapi.json', { roles: '' });
    expect([reply.status, reply.headers['content-type']]).toEqual([200, 'application/json; charset=utf-8']);
    expect(reply.json).toEqual(JSON.parse(JSON.stringify(buildDocument(RECORD_TYPES))));
  });

  it('is OpenAPI 3.1, under the version and licence of the package', async () => {
    const { openapi, info, servers } = (await host.get('/openapi.json')).json as Record<string, any>; // eslint-disable-line @typescript-eslint/no-explicit-any
    const { version, license } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Record<string, unknown>; // prettier-ignore
    expect(openapi).toMatch(/^3\.1\./);
    expect([info.version, info.license.identifier]).toEqual([version, license]);
    expect([API_VERSION, servers]).toEqual([version, [{ url: '/api' }]]);
  });

  it('is not sent again to who has it', async () => {
    const { etag } = await host.get('/openapi.json');
    const again = await host.get('/openapi.json', { headers: { 'if-none-match': etag } });
    expect([again.status, again.text, again.etag]).toEqual([304, '', etag]);
    const other = await host.get('/openapi.json', { headers: { 'if-none-match': '"else"' } });
    expect(other.status).toBe(200);
  });

  it('takes no query, as everything else', async () => {
    expect((await host.get('/openapi.json?format=yaml')).code).toBe('request-malformed');
  });
});

describe('the document', () => {
  it('describes what is routed and nothing else', () => {
    expect([...contractOf().operations()].sort()).toEqual([...routed()].sort());
  });

  it('has examples that its schemas take', () => {
    const examples = contractOf().examples();
    expect(examples.length).toBeGreaterThanOrEqual(RECORD_TYPES.length * 3);
    expect(examples.filter(([, faults]) => faults.length > 0)).toEqual([]);
  });

  it('says of a body what the platform says of it', async () => {
    const decision = { decision_type: 'strategic', title: 'Open a second warehouse' };
    const bodies = [
      [decision, 201],
      [{ ...decision, status: 'queued', created_at: '2026-01-01T00:00:00Z' }, 201],
      [{ ...decision, title: '' }, 422],
      [{ ...decision, title: undefined }, 422],
      [{ ...decision, decision_type: 'whimsical' }, 422],
      [{ ...decision, decision_id: 'dec_01980000-0000-7000-8000-000000000000' }, 422],
      [{ ...decision, agent_votes: [{ agent: 'a', vote: 'approve', confidence: 1.5 }] }, 422],
      [{ ...decision, created_at: 'yesterday' }, 422],
    ] as const;
    for (const [body, status] of bodies) {
      const reply = await host.post('/decisions', body);
      const takes =
        contractOf().bodyFaults('/decisions', 'post', JSON.parse(JSON.stringify(body))).length === 0;
      expect([reply.status, takes]).toEqual([status, status === 201]);
    }
  });

  it('says which roles a caller needs, and that nobody is asked where anybody may', () => {
    const { paths } = buildDocument(RECORD_TYPES);
    expect(paths?.['/decisions']?.post?.description).toContain('`records.writer`');
    expect(paths?.['/decisions']?.get?.description).toContain('`records.reader`, `records.sensitive-reader`');
    expect(paths?.['/decisions']?.get?.security).not.toEqual([]);
    expect(paths?.['/health']?.get?.security).toEqual([]);
  });

  it('is made anew without a trace of the one before', () => {
    expect(buildDocument(RECORD_TYPES)).toEqual(buildDocument(RECORD_TYPES));
  });
});
