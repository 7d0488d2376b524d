import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { createHash, randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { RECORD_TYPES } from '../../src/records/registry.js';
import { AppError } from '../../src/domain/errors.js';
import { storageNames } from '../../src/platform.js';
import type { StoragePorts } from '../../src/storage/ports.js';
import { createLog, saidOf } from '../../src/telemetry/log.js';
import { useAzurite } from '../support/azurite.js';
import { httpHost } from '../support/http-harness.js';
import { memoryStorage } from '../support/memory-ports.js';
import { findLeaks, type Leak, type Trace } from '../support/secret-search.js';
import { accountTraces, memoryTraces, writtenTraces } from '../support/storage-traces.js';
import { realClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';
import { SecretRoutes } from './secret-routes.js';

interface Searched {
  readonly ports: StoragePorts;
  /** Everything that is in it now. */
  traces(): Promise<readonly Trace[]>;
  close(): void;
}

const KINDS: readonly (readonly [string, () => Promise<Searched>])[] = [
  [
    'in memory',
    async () => {
      const { ports, contents } = memoryStorage({ clock: realClock });
      return { ports, traces: async () => memoryTraces(contents()), close: () => undefined };
    },
  ],
  [
    'on Azurite',
    async () => {
      const azurite = useAzurite();
      await azurite.provision(storageNames());
      return { ports: azurite.ports, traces: () => accountTraces(azurite.connectionString), close: () => azurite.close() }; // prettier-ignore
    },
  ],
];

/** Lower case letters and digits, and no part of any other text. */
const word = (): string => `q${randomBytes(5).toString('hex')}z`;

describe.each(KINDS)('secrets %s', (_, open) => {
  const traces: Trace[] = [];
  let storage: Searched;
  const routes: SecretRoutes[] = [];
  let printed: { mockRestore(): void }[] = [];

  beforeAll(async () => {
    storage = await open();
    const ports = wrapPorts(storage.ports, writtenTraces(traces));
    const log = createLog('trace', { write: (line) => traces.push({ where: 'log', content: line }) });
    const host = httpHost(ports, { log });
    printed = [process.stdout, process.stderr].map((stream) =>
      vi.spyOn(stream, 'write').mockImplementation((chunk) => {
        traces.push({ where: 'output', content: chunk });
        return true;
      }),
    );
    for (const type of RECORD_TYPES) {
      const route = new SecretRoutes(host, ports, type, word());
      await route.all();
      routes.push(route);
    }
    printed.forEach((spy) => spy.mockRestore());
    traces.push(...(await storage.traces()), ...routes.flatMap((route) => route.traces));
  }, 600_000);
  afterAll(() => {
    printed.forEach((spy) => spy.mockRestore());
    storage.close();
  });

  it.each(RECORD_TYPES.map((type, at) => [type.collection, at] as const))(
    'of %s are nowhere but where they are sealed',
    (_, at) => {
      const route = routes[at] as SecretRoutes;
      expect(route.hidden().length).toBeGreaterThan(50);
      expect(summary(findLeaks(route.hidden(), traces))).toEqual([]);
      expect(route.uncovered()).toEqual([]);
    },
  );
});

/** Each place once. */
function summary(leaks: readonly Leak[]): readonly string[] {
  return [...new Set(leaks.map(({ spelling, where }) => `${spelling}: ${where}`))].sort();
}

describe('the search', () => {
  const secret = 'q0123456789z0007"é/ q0123456789z';
  const gzip = (text: string): Uint8Array => gzipSync(text);
  const around = (text: string): string => `{"a": "${text}"}`;

  it.each<readonly [string, string | Uint8Array]>([
    ['as it is', around(secret)],
    ['in capitals', around(secret.toUpperCase())],
    ['in JSON', JSON.stringify({ a: [JSON.stringify({ secret })] })],
    ['in a URI', `https://example.test/?q=${encodeURIComponent(secret)}`],
    ['in hex', Buffer.from(secret).toString('hex').toUpperCase()],
    ...[0, 1, 2, 3].map((n) => [`in base64 behind ${n}`, Buffer.from(`${'x'.repeat(n)}${secret}`).toString('base64')] as const), // prettier-ignore
    ['in base64url', Buffer.from(`ÿþ${secret}`).toString('base64url')],
    ['in base64 of base64', Buffer.from(Buffer.from(around(secret)).toString('base64')).toString('base64')],
    ['in gzip', gzip(around(secret))],
    ['in UTF-16', Buffer.from(secret, 'utf16le')],
    ['cut off', around(secret.slice(0, 20))],
    ['hashed', createHash('sha256').update(secret).digest('hex')],
    ['hashed as JSON', createHash('sha256').update(JSON.stringify(secret)).digest('base64url')],
  ])('finds a secret %s', (_, content) => {
    expect(findLeaks([secret], [{ where: 'here', content }])).not.toEqual([]);
    expect(findLeaks([secret.replace('7', '8')], [{ where: 'here', content }])).toEqual([]);
  });

  it('finds what somebody plants in a storage', async () => {
    const { ports, contents } = memoryStorage({ clock: realClock });
    const planted: Trace[] = [];
    const watched = wrapPorts(ports, writtenTraces(planted));
    await watched.queues.send('records-inbox', around(secret));
    await watched.blobs.putOnce('records', 'a', Buffer.from(around(secret)), 'application/json');
    await watched.tables.commit('decisions', 'a:b', [{ kind: 'insert', rowKey: 'r:x', properties: { title: secret } }]); // prettier-ignore
    for (const traces of [planted, memoryTraces(contents())])
      expect(findLeaks([secret], traces).map(({ where }) => where).length).toBeGreaterThanOrEqual(3);
  });
});

describe('the log', () => {
  const lines: string[] = [];
  const log = createLog('trace', { write: (line) => lines.push(line) });
  afterEach(() => lines.splice(0));

  it('takes what is listed and nothing else, at any level', () => {
    const secret = 'q0123456789z';
    const more = { tenant: 'acme', body: { card: secret }, title: secret, headers: { a: secret } };
    const cause = new Error(`no ${secret}`, { cause: new TypeError(secret) });
    const error = new AppError('internal-error', 'Something failed.', { cause, issues: [{ pointer: `/${secret}`, detail: secret }] }); // prettier-ignore
    log.info('one', more);
    log.warn('two', more);
    log.failure(error, more);
    log.warn('four', { tenant: 'acme', reason: saidOf(new SyntaxError(`"${secret}" is not valid JSON`)) });
    expect(saidOf(error)).toBe('AppError: Something failed.');
    expect(lines).toHaveLength(4);
    expect(lines.every((line) => line.includes('acme'))).toBe(true);
    expect(lines.join('')).not.toContain(secret);
  });
});
