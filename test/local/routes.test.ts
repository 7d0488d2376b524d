import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildRouteTable, type RouteMatch } from '../../src/local/routes.js';

const table = (prefix: string, ...templates: string[]) =>
  buildRouteTable(
    prefix,
    templates.map((template) => ({ template, methods: [], target: template })),
  );

const found = (match: RouteMatch<string>) =>
  match.kind === 'found' ? [match.target, { ...match.params }] : match.kind;

describe('route precedence', () => {
  const routes = table(
    'api',
    '{*path}',
    '{collection}',
    '{collection}/{id}',
    '{collection}/{id:int}',
    'decisions/{id}',
    '{collection}/batch',
    'decisions/batch',
    '{collection}/{id}/{action}',
    '{collection}/{id}/revisions',
    'agents/{role}/{agent_id}',
    'files/{name?}',
    'health',
  );

  it.each([
    ['/api/health', 'health', {}],
    ['/api/HEALTH', 'health', {}],
    ['/API/health/', 'health', {}],
    ['/api/decisions', '{collection}', { collection: 'decisions' }],
    ['/api/decisions/batch', 'decisions/batch', {}],
    ['/api/metrics/batch', '{collection}/batch', { collection: 'metrics' }],
    ['/api/decisions/17', 'decisions/{id}', { id: '17' }],
    ['/api/metrics/17', '{collection}/{id:int}', { collection: 'metrics', id: '17' }],
    ['/api/metrics/x7', '{collection}/{id}', { collection: 'metrics', id: 'x7' }],
    ['/api/metrics/a/revisions', '{collection}/{id}/revisions', { collection: 'metrics', id: 'a' }],
    [
      '/api/metrics/a/values',
      '{collection}/{id}/{action}',
      { collection: 'metrics', id: 'a', action: 'values' },
    ],
    // The literal of the first segment decides before that of the third.
    ['/api/agents/a/revisions', 'agents/{role}/{agent_id}', { role: 'a', agent_id: 'revisions' }],
    ['/api/files', 'files/{name?}', {}],
    ['/api/files/a', 'files/{name?}', { name: 'a' }],
    ['/api/a/b/c/d', '{*path}', { path: 'a/b/c/d' }],
    ['/api', '{*path}', {}],
  ])('routes %s to %s', (path, template, params) => {
    expect(found(routes.match('GET', path))).toEqual([template, params]);
  });

  it('prefers the more literal of two routes whatever their order', () => {
    const segment = fc.constantFrom('a', 'b', '{x}', '{y:int}');
    const unique = (parts: string[]): string =>
      parts.map((part, at) => part.replace(/[xy]/, `p${at}`)).join('/');
    const templates = fc
      .array(fc.array(segment, { minLength: 1, maxLength: 3 }).map(unique), { minLength: 1, maxLength: 6 })
      .map((all) => [...new Set(all)]);
    const path = fc.array(fc.constantFrom('a', 'b', '7'), { minLength: 1, maxLength: 3 });
    const fits = (template: string, parts: string[]): boolean => {
      const segments = template.split('/');
      return (
        segments.length === parts.length &&
        segments.every((text, at) => {
          if (!text.startsWith('{')) return text === parts[at];
          return !text.includes(':int') || parts[at] === '7';
        })
      );
    };
    const score = (template: string): string =>
      template
        .split('/')
        .map((text) => (text.startsWith('{') ? (text.includes(':') ? 2 : 3) : 1))
        .join('');
    fc.assert(
      fc.property(templates, path, (all, parts) => {
        const best = all
          .filter((template) => fits(template, parts))
          .map(score)
          .sort()[0];
        const match = table('', ...all).match('GET', `/${parts.join('/')}`);
        const reversed = table('', ...[...all].reverse()).match('GET', `/${parts.join('/')}`);
        expect(match.kind === 'found' ? score(match.target) : undefined).toBe(best);
        expect(reversed.kind === 'found' ? score(reversed.target) : undefined).toBe(best);
      }),
    );
  });
});

describe('route parameters', () => {
  it('decodes any text back to what was encoded', () => {
    const routes = table('api', 'things/{name}');
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: 'binary' }), (name) => {
        fc.pre(!name.includes('\0') && name.isWellFormed());
        expect(found(routes.match('GET', `/api/things/${encodeURIComponent(name)}`))).toEqual([
          'things/{name}',
          { name },
        ]);
      }),
    );
  });

  it.each(['/api/things/%', '/api/things/%zz', '/api/things/%ff', '/api/%c3/x', '/api/things/%00'])(
    'calls %s malformed',
    (path) => expect(table('api', 'things/{name}').match('GET', path)).toEqual({ kind: 'malformed' }),
  );

  it('keeps a parameter named like a property of every object', () => {
    expect(found(table('', '{constructor}').match('GET', '/x'))).toEqual([
      '{constructor}',
      { constructor: 'x' },
    ]);
  });

  it.each([
    ['{v:int}', ['0', '-5', '2147483647'], ['', 'a', '1.5', '2147483648']],
    [
      '{v:guid}',
      ['0190f1c2-7b1a-7c3d-8e4f-0123456789ab', '0190f1c27b1a7c3d8e4f0123456789ab'],
      ['0190', 'zzz'],
    ],
    ['{v:alpha}', ['abc', 'ABC'], ['a1', 'a-b']],
    ['{v:bool}', ['true', 'False'], ['1']],
    ['{v:length(3)}', ['abc'], ['ab', 'abcd']],
    ['{v:length(2,3)}', ['ab', 'abc'], ['a', 'abcd']],
    ['{v:minlength(2)}', ['ab'], ['a']],
    ['{v:maxlength(2)}', ['ab'], ['abc']],
    ['{v:int:min(5)}', ['5'], ['4', 'x']],
    ['{v:max(5)}', ['5'], ['6']],
    ['{v:range(2,4)}', ['2', '4'], ['1', '5']],
    ['{v:regex(^\\d{{3}}-[a-z/]+$)}', ['123-ab', '123-AB'], ['12-ab']],
  ])('honours %s', (template, good, bad) => {
    const routes = table('', template);
    for (const value of good) expect(routes.match('GET', `/${value}`).kind, value).toBe('found');
    for (const value of bad) expect(routes.match('GET', `/${value}`).kind, value).toBe('none');
  });
});

describe('route table', () => {
  it('matches methods without regard to case, and all when none are declared', () => {
    const routes = buildRouteTable('api', [
      { template: 'a', methods: ['get'], target: 'read' },
      { template: 'a', methods: ['POST'], target: 'write' },
      { template: 'b', methods: [], target: 'any' },
    ]);
    expect(found(routes.match('GET', '/api/a'))).toEqual(['read', {}]);
    expect(found(routes.match('POST', '/api/a'))).toEqual(['write', {}]);
    expect(found(routes.match('DELETE', '/api/b'))).toEqual(['any', {}]);
    expect(routes.match('DELETE', '/api/a').kind).toBe('none');
  });

  it.each(['/', '/a', '/apis/a', '/api//a', '/api/a/b', '/api/a//'])('finds nothing at %s', (path) => {
    expect(table('api', 'a').match('GET', path).kind).toBe('none');
  });

  it('serves at the root when the prefix is empty', () => {
    expect(found(table('', 'a').match('GET', '/a'))).toEqual(['a', {}]);
  });

  it.each(['a-{b}', '{a:nope}', '{a:int(3)}', '{a=5}', '{*a}/b', '{a?}/b', '{a}/{A}', '{a', '{a:regex([)}'])(
    'refuses the template %s',
    (template) => expect(() => table('', template)).toThrow(/route/),
  );
});
