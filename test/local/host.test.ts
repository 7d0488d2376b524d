import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { startHost, type Host } from '../../src/local/host.js';
import { PROBLEMS, problemType } from '../../src/http/problem.js';
import { MemoryQueues } from '../support/memory-queues.js';
import { realClock } from '../support/virtual-clock.js';
import { folderWith, recordingLog, removeFolders, send, until } from './support.js';

const running: Host[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((host) => host.stop()));
});
afterAll(removeFolders);

/** What fixture apps leave for the test to see. */
const seen: unknown[] = [];
Object.assign(globalThis, { seen });

interface Fixture {
  readonly app: string;
  readonly hostJson?: object;
  readonly env?: NodeJS.ProcessEnv;
}

async function start({ app, hostJson = {}, env = {} }: Fixture) {
  const folder = folderWith({
    'app.mjs': `import { app, HttpResponse } from '@azure/functions';\nconst { seen } = globalThis;\n${app}`,
    'host.json': JSON.stringify({ version: '2.0', ...hostJson }),
  });
  const log = recordingLog();
  const queues = new MemoryQueues(realClock);
  const host = await startHost({
    entry: join(folder, 'app.mjs'),
    hostJson: join(folder, 'host.json'),
    port: 0,
    queues: () => queues,
    log,
    env,
  });
  running.push(host);
  seen.splice(0);
  return { host, log, queues, folder };
}

describe('HTTP functions', () => {
  const ECHO = `
    app.http('echo', {
      methods: ['GET', 'POST', 'HEAD', 'DELETE'], route: 'echo/{a}/{b?}',
      handler: async (request, context) => ({
        status: 201,
        headers: { 'x-id': context.invocationId },
        jsonBody: {
          method: request.method, url: request.url, params: request.params,
          query: Object.fromEntries(request.query), custom: request.headers.get('x-custom'),
          from: request.headers.get('x-forwarded-for'), text: await request.text(),
          trace: context.traceContext.traceParent, fn: context.functionName,
        },
      }),
    });
    app.http('plain', { handler: async () => ({ body: 'text' }) });
    app.http('bytes', { handler: async () => ({ body: new Uint8Array([0, 255]) }) });
    app.http('stream', { handler: async () => ({ body: (async function* () { yield 'a'; yield 'b'; })() }) });
    app.http('empty', { handler: async () => undefined });
    app.http('broken', { handler: async () => { throw new TypeError('inside'); } });
    app.http('response', { handler: async () => new HttpResponse({ status: 304, headers: { etag: '"1"' } }) });
    app.http('cookie', { handler: async () => ({ cookies: [
      { name: 'a', value: 'x y', httpOnly: true, sameSite: 'Strict', maxAge: 5 }, { name: 'b', value: '2' } ] }) });
  `;

  it('get the request as the worker in Azure gives it', async () => {
    const { host } = await start({ app: ECHO });
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    const response = await send(
      host.port,
      {
        method: 'POST',
        path: '/api/ECHO/x%20y/z?p=1&p=2&q=a%26b',
        headers: { 'x-custom': 'c', 'x-forwarded-for': '1.2.3.4', traceparent },
      },
      'héllo',
    );
    expect(response.status).toBe(201);
    expect(response.headers['x-id']).toMatch(/^[0-9a-f-]{36}$/);
    expect(JSON.parse(String(response.body))).toEqual({
      method: 'POST',
      url: `http://127.0.0.1:${host.port}/api/ECHO/x%20y/z?p=1&p=2&q=a%26b`,
      params: { a: 'x y', b: 'z' },
      query: { p: '1,2', q: 'a&b' },
      custom: 'c',
      from: '127.0.0.1',
      text: 'héllo',
      trace: traceparent,
      fn: 'echo',
    });
  });

  it('leave out an optional parameter that is not there, and get a trace of their own', async () => {
    const { host } = await start({ app: ECHO });
    const body = JSON.parse(String((await send(host.port, { path: '/api/echo/1' })).body)) as Record<
      string,
      unknown
    >;
    expect(body['params']).toEqual({ a: '1' });
    expect(body['trace']).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  });

  it('answer text, bytes, a stream, nothing, and a response object', async () => {
    const { host } = await start({ app: ECHO });
    const get = async (path: string) => {
      const { status, body } = await send(host.port, { path });
      return [status, body.toString('latin1')];
    };
    expect(await get('/api/plain')).toEqual([200, 'text']);
    expect(await get('/api/bytes')).toEqual([200, '\x00\xff']);
    expect(await get('/api/stream')).toEqual([200, 'ab']);
    expect(await get('/api/empty')).toEqual([204, '']);
    expect(await get('/api/response')).toEqual([304, '']);
  });

  it('set cookies', async () => {
    const { host } = await start({ app: ECHO });
    expect((await send(host.port, { path: '/api/cookie' })).headers['set-cookie']).toEqual([
      'a=x%20y; Max-Age=5; HttpOnly; SameSite=Strict',
      'b=2',
    ]);
  });

  it('answer HEAD without a body', async () => {
    const { host } = await start({ app: ECHO });
    const response = await send(host.port, { method: 'HEAD', path: '/api/echo/1' });
    expect([response.status, response.body.length]).toEqual([201, 0]);
    expect(Number(response.headers['content-length'])).toBeGreaterThan(0);
  });

  it('that throw are answered 500 with nothing in it', async () => {
    const { host, log } = await start({ app: ECHO });
    const response = await send(host.port, { path: '/api/broken' });
    expect([response.status, response.body.length]).toEqual([500, 0]);
    expect(log.lines).toContainEqual(
      expect.objectContaining({ fields: expect.objectContaining({ error: 'TypeError: inside' }) }),
    );
  });

  it('are answered 404 for a method they do not take, a path nobody takes, and 400 for a malformed one', async () => {
    const { host } = await start({ app: ECHO });
    expect((await send(host.port, { method: 'PATCH', path: '/api/echo/1' })).status).toBe(404);
    expect((await send(host.port, { path: '/echo/1' })).status).toBe(404);
    const malformed = await send(host.port, { path: '/api/echo/%ff' });
    expect([malformed.status, malformed.headers['content-type']]).toEqual([
      400,
      'application/problem+json; charset=utf-8',
    ]);
    const { title, status } = PROBLEMS['request-malformed'];
    const body: unknown = JSON.parse(String(malformed.body));
    expect(body).toMatchObject({ type: problemType('request-malformed'), title, status });
  });

  it('are served below the route prefix of host.json', async () => {
    const { host } = await start({ app: ECHO, hostJson: { extensions: { http: { routePrefix: 'v1/x' } } } });
    expect(host.basePath).toBe('/v1/x');
    expect((await send(host.port, { path: '/v1/x/plain' })).status).toBe(200);
  });
});

describe('hooks', () => {
  it('run around invocations and may change inputs, handler, result and error', async () => {
    const { host } = await start({
      app: `
        app.hook.preInvocation((context) => {
          context.hookData.before = context.invocationContext.functionName;
          const handler = context.functionHandler;
          context.functionHandler = (...args) => { seen.push('wrapped'); return handler(...args); };
        });
        app.hook.postInvocation((context) => {
          seen.push([context.hookData.before, context.error?.message]);
          if (context.error) { context.error = null; context.result = { body: 'rescued' }; }
        });
        app.http('fails', { handler: async () => { throw new Error('no'); } });
      `,
    });
    expect(String((await send(host.port, { path: '/api/fails' })).body)).toBe('rescued');
    expect(seen).toEqual(['wrapped', ['fails', 'no']]);
  });

  it('run before anything is served, and after everything is finished', async () => {
    const { host } = await start({
      app: `
        let started = false;
        app.hook.appStart(async () => { await new Promise((r) => setTimeout(r, 20)); started = true; });
        app.hook.appTerminate(async () => void seen.push('terminated'));
        app.http('slow', { handler: async () => {
          seen.push(started);
          await new Promise((resolve) => (globalThis.release = resolve));
          seen.push('finished');
          return {};
        } });
      `,
    });
    const slow = send(host.port, { path: '/api/slow' });
    await until(() => seen.length === 1, 'the request runs');
    const stopped = host.stop();
    (globalThis as unknown as { release: () => void }).release();
    expect((await slow).status).toBe(200);
    await stopped;
    expect(seen).toEqual([true, 'finished', 'terminated']);
  });

  it('that fail at the end are logged and do not keep the host', async () => {
    const { host, log } = await start({
      app: `app.hook.appTerminate(() => { throw new Error('seal'); });
            app.http('a', { handler: async () => ({}) });`,
    });
    await host.stop();
    expect(log.lines.map((line) => line.message)).toContain('a terminate hook failed');
  });
});

describe('a queue function', () => {
  it('gets the parsed message and the metadata of Azure', async () => {
    const { queues } = await start({
      app: `app.storageQueue('q', { queueName: '%QUEUE%-in', connection: 'AzureWebJobsStorage',
              handler: (item, context) => void seen.push([item, context.triggerMetadata]) });`,
      env: { QUEUE: 'jobs' },
    });
    await queues.send('jobs-in', '{"n":1}');
    await until(() => seen.length === 1, 'the message is handled');
    const [item, metadata] = seen[0] as [unknown, Record<string, unknown>];
    expect(item).toEqual({ n: 1 });
    expect(metadata).toEqual({
      queueTrigger: { n: 1 },
      id: expect.any(String),
      popReceipt: expect.any(String),
      dequeueCount: 1,
      insertionTime: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?\+00:00$/),
      expirationTime: '9999-12-31T23:59:59+00:00',
      nextVisibleTime: expect.stringMatching(/\+00:00$/),
    });
  });
});

describe('a timer function', () => {
  it('runs at start when it says so, and on the schedule of a setting, with the timer of Azure', async () => {
    await start({
      app: `app.timer('t', { schedule: '%TICK%', runOnStartup: true, handler: (timer) => void seen.push(timer) });`,
      env: { TICK: '* * * * * *' },
    });
    await until(() => seen.length >= 1, 'a tick');
    expect(seen[0]).toEqual({
      isPastDue: false,
      schedule: { adjustForDST: true },
      scheduleStatus: {
        last: expect.any(String),
        lastUpdated: expect.stringMatching(/\+00:00$/),
        next: expect.stringMatching(/\+00:00$/),
      },
    });
  });
});

describe('the host refuses to start', () => {
  const HTTP = `app.http('a', { handler: async () => ({}) });`;

  it.each([
    [
      'a function with a key',
      `app.http('a', { authLevel: 'function', handler: async () => ({}) });`,
      /authLevel "function"/,
    ],
    [
      'a schedule that is none',
      `app.timer('t', { schedule: '61 * * * * *', handler: () => {} });`,
      /schedule "61 \* \* \* \* \*"/,
    ],
    [
      'a setting that is missing',
      `app.timer('t', { schedule: '%NONE%', handler: () => {} });`,
      /NONE, which is not set/,
    ],
    [
      'a trigger it does not know',
      `app.storageBlob('b', { path: 'x', handler: () => {} });`,
      /blobTrigger of "b"/,
    ],
    [
      'an output binding',
      `app.http('a', { extraOutputs: [{ type: 'queue', name: 'o' }], handler: async () => ({}) });`,
      /queue binding of "a"/,
    ],
    [
      'a route it cannot honour',
      `app.http('a', { route: '{x:strange}', handler: async () => ({}) });`,
      /constraint strange/,
    ],
    ['two functions of one name', `${HTTP}${HTTP}`, /two functions are named "a"/],
    ['no function', ``, /registers no function/],
    [
      'a module that throws',
      `throw new Error('AUTH_MODE is missing\\nsecond line');`,
      /^AUTH_MODE is missing$/,
    ],
    [
      'a start hook that throws',
      `${HTTP} app.hook.appStart(() => { throw new Error('no signing key'); });`,
      /^no signing key$/,
    ],
  ])('for %s', async (_what, app, message) => {
    await expect(start({ app })).rejects.toMatchObject({
      name: 'StartError',
      message: expect.stringMatching(message),
    });
  });

  it('and gives its port back', async () => {
    const { host } = await start({ app: HTTP });
    const { port } = host;
    await host.stop();
    const folder = folderWith({ 'app.mjs': 'throw new Error("x")', 'host.json': '{"version":"2.0"}' });
    const options = { entry: join(folder, 'app.mjs'), hostJson: join(folder, 'host.json'), port };
    const rest = { queues: () => new MemoryQueues(realClock), log: recordingLog() };
    await expect(startHost({ ...options, ...rest })).rejects.toThrow(/^x$/);
    await expect(startHost({ ...options, ...rest })).rejects.toThrow(/registers no function|^x$/);
  });
});
