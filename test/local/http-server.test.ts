import { connect } from 'node:net';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { listen, type HttpListener } from '../../src/local/http-server.js';
import { BODY_LIMIT } from '../../src/local/http-body.js';
import type { Answer, Dispatch, RequestHead } from '../../src/local/http-types.js';
import { sendRaw } from '../support/raw-http.js';
import { recordingLog, send, until } from './support.js';

const open: HttpListener[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((listener) => listener.stop(0)));
});

async function serve(dispatch: Dispatch, log = recordingLog()): Promise<number> {
  const listener = await listen(0, log);
  open.push(listener);
  listener.serve(dispatch);
  return listener.port;
}

const answer = (body: string | Buffer, status = 200): Answer => ({
  status,
  headers: [['content-type', 'text/plain']],
  body: Buffer.from(body),
});

/** Resolves from outside. */
function gate(): { opened: Promise<void>; open: () => void } {
  let release = (): void => undefined;
  const opened = new Promise<void>((resolve) => (release = resolve));
  return { opened, open: release };
}

describe('HTTP server', () => {
  it('answers 503 until it is told what to serve', async () => {
    const listener = await listen(0, recordingLog());
    open.push(listener);
    const response = await send(listener.port, { path: '/' });
    expect(response.status).toBe(503);
    expect(response.headers['retry-after']).toBe('1');
  });

  it('hands over method, address, headers and body, and sends back what the handler says', async () => {
    let seen: RequestHead | undefined;
    const port = await serve((head) => {
      seen = head;
      return async (body) => ({ ...answer(`got ${Buffer.from(body)}`, 201), headers: [['x-a', '1']] });
    });
    const headers = { 'X-Custom': 'Value', 'content-type': 'text/plain' };
    const response = await send(port, { method: 'PUT', path: '/a/../b%20c?x=1', headers }, 'hello');
    expect([response.status, response.headers['x-a'], String(response.body)]).toEqual([
      201,
      '1',
      'got hello',
    ]);
    expect(response.headers['content-length']).toBe('9');
    expect(seen?.method).toBe('PUT');
    expect(seen?.url.href).toBe(`http://127.0.0.1:${port}/b%20c?x=1`);
    expect(seen?.headers['x-custom']).toBe('Value');
  });

  it('says itself where a request comes from', async () => {
    const port = await serve((head) => answer(head.headers['x-forwarded-for'] ?? ''));
    const response = await send(port, { path: '/', headers: { 'x-forwarded-for': '10.1.2.3' } });
    expect(String(response.body)).toBe('127.0.0.1');
  });

  it('hides no second Authorization header', async () => {
    const port = await serve((head) => answer(head.headers['authorization'] ?? ''));
    for (const [sent, got] of [
      [['Bearer a'], 'Bearer a'],
      [['Bearer a', 'Bearer b'], 'Bearer a, Bearer b'],
    ] as const) {
      const lines = sent.map((value) => `Authorization: ${value}\r\n`).join('');
      const { text } = await sendRaw(port, `GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${lines}\r\n`);
      expect(text.split('\r\n\r\n')[1]).toBe(got);
    }
  });

  it('accepts the loopback address only', async () => {
    const port = await serve(() => answer('x'));
    const socket = connect(port, '127.0.0.2');
    await expect(once(socket, 'connect')).rejects.toThrow(/ECONNREFUSED/);
  });

  it('answers HEAD with the headers and the length but no body', async () => {
    const port = await serve(() => answer('twelve bytes'));
    const response = await send(port, { method: 'HEAD', path: '/' });
    expect([response.status, response.headers['content-length'], response.body.length]).toEqual([
      200,
      '12',
      0,
    ]);
  });

  it.each([204, 304])('sends no body and no length with %d', async (status) => {
    const port = await serve(() => answer('', status));
    const response = await send(port, { path: '/' });
    expect([response.status, response.headers['content-length'], response.body.length]).toEqual([
      status,
      undefined,
      0,
    ]);
  });

  it('answers 500 without a body or a stack when a handler throws, and logs why', async () => {
    const log = recordingLog();
    const port = await serve(() => () => Promise.reject(new Error('secret reason')), log);
    const response = await send(port, { method: 'POST', path: '/x' }, 'body');
    expect([response.status, response.body.length]).toEqual([500, 0]);
    expect(log.lines).toHaveLength(1);
    expect(log.lines[0]).toMatchObject({
      level: 'error',
      fields: { path: '/x', error: 'Error: secret reason' },
    });
  });

  it('answers 500 when a handler gives a header that cannot be sent', async () => {
    const port = await serve(() => async () => ({
      status: 200,
      headers: [['x', 'a\nb']],
      body: Buffer.from('x'),
    }));
    expect((await send(port, { path: '/' })).status).toBe(500);
  });

  it('answers 405 to TRACE, which the programming model cannot express', async () => {
    const port = await serve(() => answer('x'));
    const response = await send(port, { method: 'TRACE', path: '/' });
    expect([response.status, response.headers['content-type'], response.headers.allow]).toEqual([
      405,
      'application/problem+json; charset=utf-8',
      'GET, POST, PATCH',
    ]);
    expect(JSON.parse(String(response.body))).toMatchObject({
      status: 405,
      type: 'urn:business-records:errors#method-not-allowed',
    });
  });

  it('answers 400 to a target that is no address', async () => {
    const port = await serve(() => answer('x'));
    const response = await send(port, { path: 'http://[::1/' });
    expect(response.status).toBe(400);
    expect(JSON.parse(String(response.body))).toMatchObject({
      status: 400,
      type: 'urn:business-records:errors#request-malformed',
    });
  });

  it('serves several requests on one connection', async () => {
    const port = await serve((head) => async (body) => answer(`${head.url.pathname}${Buffer.from(body)}`));
    const socket = connect(port, '127.0.0.1');
    let text = '';
    socket.on('data', (chunk) => (text += String(chunk)));
    socket.write(
      'POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\n1GET /b HTTP/1.1\r\nhost: x\r\n\r\n',
    );
    await until(() => text.includes('/a1') && text.endsWith('/b'), 'two answers');
    socket.destroy();
  });

  it('does not run the handler when the client leaves in the middle of its body', async () => {
    const log = recordingLog();
    let ran = false;
    let routed = false;
    const port = await serve(() => {
      routed = true;
      return async () => {
        ran = true;
        return answer('x');
      };
    }, log);
    const socket = connect(port, '127.0.0.1');
    socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n12345');
    await until(() => routed, 'the request is routed');
    socket.destroy();
    const other = await send(port, { method: 'POST', path: '/' }, 'x');
    expect(other.status).toBe(200);
    expect(ran).toBe(true);
    expect(log.lines).toEqual([]);
  });
});

describe('a large body', () => {
  it('of exactly the limit arrives whole', async () => {
    const port = await serve(() => async (body) => answer(String(body.length)));
    const response = await send(port, { method: 'POST', path: '/' }, Buffer.alloc(BODY_LIMIT, 1));
    expect(String(response.body)).toBe(String(BODY_LIMIT));
  });

  it.each([
    ['with a length', { 'content-length': BODY_LIMIT * 2 }],
    ['in chunks', {}],
  ])(
    'over the limit is cut to one byte more, answered, and its connection closed: %s',
    async (_how, headers) => {
      let seen = 0;
      const port = await serve(() => async (body) => {
        seen = body.length;
        return answer('too large', body.length > BODY_LIMIT ? 413 : 200);
      });
      const response = await send(
        port,
        { method: 'POST', path: '/', headers },
        Buffer.alloc(BODY_LIMIT * 2, 1),
      );
      expect([response.status, String(response.body), seen]).toEqual([413, 'too large', BODY_LIMIT + 1]);
      expect(response.headers.connection).toBe('close');
    },
  );

  it('is refused while it is still being sent', async () => {
    const port = await serve(() => async (body) => answer('no', body.length > BODY_LIMIT ? 413 : 200));
    const socket = connect(port, '127.0.0.1');
    let text = '';
    socket.on('data', (chunk) => (text += String(chunk)));
    socket.on('error', () => undefined);
    socket.write(`POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${BODY_LIMIT * 3}\r\n\r\n`);
    socket.write(Buffer.alloc(BODY_LIMIT + 1));
    await until(() => text.includes('413') && text.endsWith('no'), 'the answer comes before the body ends');
    socket.write(Buffer.alloc(BODY_LIMIT * 2 - 1));
    await once(socket, 'end');
    socket.destroy();
  });
});

describe('stopping', () => {
  it('finishes a request in flight, closes its connection, and accepts no other', async () => {
    const { opened, open: release } = gate();
    let started = false;
    const port = await serve(() => async () => {
      started = true;
      await opened;
      return answer('done');
    });
    const listener = open.at(-1) as HttpListener;
    const slow = send(port, { path: '/' });
    await until(() => started, 'the request runs');
    const stopped = listener.stop(10_000);
    await expect(send(port, { path: '/' })).rejects.toThrow(/ECONNREFUSED/);
    release();
    const response = await slow;
    expect([String(response.body), response.headers.connection]).toEqual(['done', 'close']);
    await stopped;
  });

  it('does not wait for idle connections', async () => {
    const port = await serve(() => answer('x'));
    const used = connect(port, '127.0.0.1');
    const unused = connect(port, '127.0.0.1');
    used.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    await Promise.all([once(used, 'data'), once(unused, 'connect')]);
    const begin = performance.now();
    await (open.at(-1) as HttpListener).stop(10_000);
    expect(performance.now() - begin).toBeLessThan(5_000);
    used.destroy();
    unused.destroy();
  });

  it('cuts off what takes longer than the limit', async () => {
    let started = false;
    const port = await serve(() => () => {
      started = true;
      return new Promise<Answer>(() => undefined);
    });
    const stuck = send(port, { path: '/' }).catch(String);
    await until(() => started, 'the request runs');
    await (open.at(-1) as HttpListener).stop(50);
    expect(await stuck).toMatch(/socket hang up|ECONNRESET/);
  });
});

describe('the port', () => {
  it('in use is an error of its own that names it', async () => {
    const port = await serve(() => answer('x'));
    await expect(listen(port, recordingLog())).rejects.toMatchObject({
      name: 'PortInUseError',
      port,
      message: expect.stringContaining(`port ${port} is already in use`),
    });
  });
});
