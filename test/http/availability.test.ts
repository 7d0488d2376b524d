import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { openAzureStorage, type AzureStorage } from '../../src/azure/index.js';
import { StorageFault, type StoragePorts } from '../../src/storage/ports.js';
import { created, MINIMAL, vote } from '../support/decisions.js';
import { httpHost, type HttpHost, type Reply } from '../support/http-harness.js';
import { inTime } from '../support/in-time.js';
import { memoryPorts, type PortCall } from '../support/memory-ports.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';

const STORAGE_IS_DOWN = [503, 'storage-unavailable'];

describe('GET /health', () => {
  const clock = new VirtualClock();
  it('is 200 while storage answers', async () => {
    const reply = await httpHost(memoryPorts({ clock }), { clock }).get('/health');
    expect([reply.status, reply.json]).toEqual([200, { status: 'ok', storage: 'reachable' }]);
    expect(reply.headers['cache-control']).toBe('no-store');
  });

  it.each<keyof StoragePorts>(['tables', 'blobs'])(
    'is 503 with Retry-After while %s do not answer',
    async (port) => {
      const ports = memoryPorts({
        clock,
        intercept: (call, run) =>
          call.port === port ? Promise.reject(new StorageFault('unavailable', 'down')) : run(),
      });
      const reply = await httpHost(ports, { clock }).get('/health');
      expect([reply.status, reply.code]).toEqual(STORAGE_IS_DOWN);
      expect(Number(reply.headers['retry-after'])).toBeGreaterThan(0);
    },
  );
});

describe('GET /health on an account', () => {
  let storage: AzureStorage | undefined;
  let server: Server | undefined;
  afterEach(async () => {
    storage?.close();
    server?.close();
    if (server !== undefined) await once(server, 'close');
    server = undefined;
  });

  const hostAt = (port: number): HttpHost => {
    const endpoints = ['Blob', 'Queue', 'Table'].map(
      (name) => `${name}Endpoint=http://127.0.0.1:${port}/acct;`,
    );
    const key = Buffer.alloc(64).toString('base64');
    storage = openAzureStorage({
      connectionString: `DefaultEndpointsProtocol=http;AccountName=acct;AccountKey=${key};${endpoints.join('')}`,
    });
    return httpHost(storage.ports);
  };
  const listening = async (onConnection: (server: Server) => void): Promise<number> => {
    const opened = createServer();
    onConnection(opened);
    opened.listen(0, '127.0.0.1');
    await once(opened, 'listening');
    server = opened;
    return (opened.address() as { port: number }).port;
  };

  it('that nobody listens at is 503', async () => {
    const port = await listening(() => undefined);
    server?.close();
    const reply = await hostAt(port).get('/health');
    expect([reply.status, reply.code]).toEqual(STORAGE_IS_DOWN);
  });

  it('that takes connections and says nothing is 503, soon', async () => {
    const open = new Set<{ destroy(): void }>();
    const port = await listening((opened) => opened.on('connection', (socket) => open.add(socket)));
    const began = performance.now();
    const reply = await hostAt(port).get('/health');
    for (const socket of open) socket.destroy();
    expect([reply.status, reply.code]).toEqual(STORAGE_IS_DOWN);
    expect(performance.now() - began).toBeLessThan(8_000);
  });
});

describe('storage that stays unavailable', () => {
  const clock = new VirtualClock();
  const whole = memoryPorts({ clock });
  let broken: (call: PortCall) => boolean = () => false;
  const host = httpHost(
    wrapPorts(whole, (call, run) =>
      broken(call) ? Promise.reject(new StorageFault('unavailable', 'secret account name')) : run(),
    ),
    { clock },
  );
  afterEach(() => (broken = () => false));

  const requests: [string, (path: string, record: Reply) => Promise<Reply>][] = [
    ['a create', () => host.post('/decisions', MINIMAL)],
    ['a create with a key', () => host.post('/decisions', MINIMAL, { key: `k${clock.now()}` })],
    ['a batch', () => host.post('/decisions/batch', { items: [MINIMAL] })],
    ['a read', (path) => host.get(path)],
    ['a read as of a time', (path) => host.get(`${path}?as_of=2999-01-01T00:00:00Z`)],
    ['a list', () => host.get('/decisions')],
    ['a list of revisions', (path) => host.get(`${path}/revisions`)],
    ['a patch', (path, record) => host.patch(path, { title: 'x' }, record.etag)],
    ['a vote', (path) => host.post(`${path}/votes`, vote('cfo'))],
    ['a promise', () => host.post('/inbox/decisions', MINIMAL)],
    ['a look at an operation', () => host.get('/operations/op_01980000-0000-7000-8000-000000000000')],
    ['a list of events', () => host.get('/audit-events')],
  ];

  it.each(requests)('makes %s answer 503 with Retry-After, after trying for a while', async (_, send) => {
    const record = await inTime(clock, created(host));
    const path = `/decisions/${record.envelope.id}`;
    broken = () => true;
    const beganMs = clock.monotonic();
    const reply = await inTime(clock, send(path, record));
    expect([reply.status, reply.code]).toEqual(STORAGE_IS_DOWN);
    expect(Number(reply.headers['retry-after'])).toBeGreaterThan(0);
    expect(reply.text).not.toContain('secret');
    expect(clock.monotonic() - beganMs).toBeGreaterThan(5_000);
    expect(clock.monotonic() - beganMs).toBeLessThan(30_000);
  });

  it.each(requests)('for a moment alone is not noticed by %s', async (_, send) => {
    const record = await inTime(clock, created(host));
    const path = `/decisions/${record.envelope.id}`;
    const beganMs = clock.monotonic();
    broken = () => clock.monotonic() - beganMs < 2_000;
    const reply = await inTime(clock, send(path, record));
    expect([200, 201, 202, 404]).toContain(reply.status);
  });

  it('and refuses for good is 500, without its words', async () => {
    const refusing = httpHost(
      memoryPorts({
        clock,
        intercept: () => Promise.reject(new StorageFault('refused', 'secret account name')),
      }),
      { clock },
    );
    const reply = await inTime(clock, refusing.get('/decisions'));
    expect([reply.status, reply.code]).toEqual([500, 'internal-error']);
    expect(reply.text).not.toContain('secret');
  });
});
