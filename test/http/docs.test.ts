import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { httpHost } from '../support/http-harness.js';
import { memoryPorts } from '../support/memory-ports.js';
import { realClock } from '../support/virtual-clock.js';

const host = httpHost(memoryPorts({ clock: realClock }));
const PACKAGE = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
/** Names, media types and, for those that are not ours, where they come from. */
const FILES = [
  ['swagger-ui.css', 'text/css; charset=utf-8'],
  ['swagger-ui-bundle.js', 'text/javascript; charset=utf-8'],
  ['start.js', 'text/javascript; charset=utf-8'],
  ['favicon-32x32.png', 'image/png'],
] as const;

/** What the page says it is made of. */
const linked = (page: string): readonly string[] =>
  [...page.matchAll(/\b(?:src|href)="([^"]*)"/g)].map(([, address]) => address ?? '');

/** The directives of a content security policy. */
function policyOf(header: string): Readonly<Record<string, readonly string[]>> {
  const directives = header.split(';').map((directive) => directive.trim().split(' '));
  return Object.fromEntries(directives.map(([name = '', ...sources]) => [name, sources]));
}

describe('GET /docs', () => {
  it('is a page for anybody, made of our own files alone', async () => {
    const page = await host.get('/docs', { roles: '' });
    expect([page.status, page.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
    expect(
      linked(page.text)
        .map((address) => address.replace('/api/docs/', ''))
        .sort(),
    ).toEqual(FILES.map(([name]) => name).sort());
    for (const address of linked(page.text))
      expect((await host.get(address.slice('/api'.length), { roles: '' })).status).toBe(200);
  });

  it('has no script and no style within it', async () => {
    const { text } = await host.get('/docs');
    expect(text).not.toMatch(/<script(?![^>]* src=)|<style|\sstyle=|\son[a-z]+=|javascript:/i);
  });

  it.each(['/docs', '/docs/start.js', '/docs/swagger-ui.css'])('lets %s load and ask nothing elsewhere', async (path) => {
    const policy = policyOf((await host.get(path)).headers['content-security-policy'] ?? '');
    expect(policy['default-src']).toEqual(["'none'"]);
    const sources = Object.values(policy).flat();
    expect(sources.filter((source) => !["'none'", "'self'", 'data:'].includes(source))).toEqual([]);
    expect(policy).toMatchObject({ 'script-src': ["'self'"], 'connect-src': ["'self'"], 'frame-ancestors': ["'none'"] });
  }); // prettier-ignore

  it('starts with our document, and asks no service for its opinion of it', async () => {
    const { text } = await host.get('/docs/start.js');
    const calls: unknown[] = [];
    runInNewContext(text, { SwaggerUIBundle: (settings: unknown) => calls.push(settings) });
    expect(JSON.parse(JSON.stringify(calls))).toEqual([
      {
        url: '/api/openapi.json',
        dom_id: '#swagger-ui',
        deepLinking: true,
        docExpansion: 'none',
        validatorUrl: null,
      },
    ]);
  });

  it('has styles that load nothing: what they show is in them', async () => {
    const { text } = await host.get('/docs/swagger-ui.css');
    expect(text.length).toBeGreaterThan(100_000);
    const addresses = [...text.matchAll(/url\(\s*["']?([^"')\s]{1,40})/g)].map(
      ([, address]) => address ?? '',
    );
    expect(addresses.length).toBeGreaterThan(0);
    expect(addresses.filter((address) => !/^(data:|#)/.test(address))).toEqual([]);
    expect(text).not.toContain('@import');
  });
});

describe('GET /docs/{file}', () => {
  it.each(FILES)('%s is there as %s, and kept for a day', async (name, type) => {
    const file = await host.get(`/docs/${name}`, { roles: '' });
    expect([file.status, file.headers['content-type']]).toEqual([200, type]);
    expect(file.headers).toMatchObject({ 'cache-control': 'public, max-age=86400', 'x-content-type-options': 'nosniff' });
    if (name !== 'start.js') expect(file.text).toBe(readFileSync(join(PACKAGE, name)).toString());
    const again = await host.get(`/docs/${name}`, { headers: { 'if-none-match': file.etag } });
    expect([again.status, again.text]).toEqual([304, '']);
  }); // prettier-ignore

  it('differs from the others in its tag', async () => {
    const tags = await Promise.all(FILES.map(async ([name]) => (await host.get(`/docs/${name}`)).etag));
    expect(new Set(tags).size).toBe(FILES.length);
  });

  it.each([
    'package.json',
    'index.html',
    'swagger-ui.css.map',
    '..%2fpackage.json',
    '..%2f..%2fpackage.json',
    '..%5c..%5cpackage.json',
    '%2e%2e%2fzod%2fpackage.json',
    '%2fetc%2fpasswd',
    'constructor',
    '__proto__',
    'toString',
    'SWAGGER-UI.CSS',
    '%20',
  ])('%s is no file of the page', async (name) => {
    const reply = await host.get(`/docs/${name}`);
    expect([reply.status, reply.code]).toEqual([404, 'record-not-found']);
  });

  it('is read alone', async () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'])
      for (const path of ['/docs', '/docs/start.js', '/openapi.json'])
        expect((await host.request(method, path)).code).toBe('method-not-allowed');
  });
});
