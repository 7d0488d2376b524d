import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { HTTP_LIMITS, type HttpLimits } from '../../src/local/http-limits.js';
import { listen, type HttpListener } from '../../src/local/http-server.js';
import { answersIn, sendRaw } from '../support/raw-http.js';
import { recordingLog, send, until } from './support.js';

const listeners: HttpListener[] = [];
const sockets: Slow[] = [];
afterEach(async () => {
  for (const slow of sockets.splice(0)) slow.end();
  await Promise.all(listeners.splice(0).map((listener) => listener.stop(0)));
});

const SLOW = 200;
const LARGE = Buffer.alloc(8 * 1024 * 1024, 'x');
const gates = new Map<string, () => void>();

/** Echoes a body; `/large` answers with more than a connection holds, `/wait/…` when its gate is opened. */
async function serve(limits: Partial<HttpLimits> = {}): Promise<number> {
  const log = recordingLog();
  const listener = await listen(0, log, { ...HTTP_LIMITS, ...limits });
  listeners.push(listener);
  listener.serve(({ url }) => async (body) => {
    if (url.pathname.startsWith('/wait'))
      await new Promise<void>((resolve) => gates.set(url.pathname, resolve));
    return { status: 200, headers: [], body: url.pathname === '/large' ? LARGE : body };
  });
  return listener.port;
}

/** A connection that takes its time: sends a byte now and then for as long as it lives. */
class Slow {
  readonly socket: Socket;
  open = true;
  said = '';
  readonly #dripping: NodeJS.Timeout;

  constructor(port: number, begin: string, drip: string, everyMs = 20) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.on('error', () => undefined).on('close', () => (this.open = false));
    this.socket.write(begin);
    this.#dripping = setInterval(() => drip !== '' && this.open && this.socket.write(drip), everyMs);
    sockets.push(this);
  }
  listen(): this {
    this.socket.on('data', (chunk: Buffer) => (this.said += chunk.toString('latin1')));
    return this;
  }
  end(): void {
    clearInterval(this.#dripping);
    this.socket.destroy();
  }
}

const HEAD = 'POST /echo HTTP/1.1\r\nhost: 127.0.0.1\r\n';
const KINDS: readonly (readonly [what: string, begin: string, drip: string, everyMs?: number])[] = [
  ['says nothing', '', ''],
  ['begins a head and stops', 'GET /echo HT', ''],
  ['sends a head byte by byte', `${HEAD}x-slow: `, 'y'],
  ['sends header after header', HEAD, 'x: y\r\n'],
  ['sends a body byte by byte', `${HEAD}content-length: 1000000\r\n\r\n`, 'z'],
  ['sends chunk after chunk', `${HEAD}transfer-encoding: chunked\r\n\r\n`, '1\r\nz\r\n'],
  ['promises a body and sends none', `${HEAD}content-length: 16000000\r\n\r\n`, ''],
  // Who does not read is told that the connection is gone when it sends something.
  ['asks for much and reads nothing', 'GET /large HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n', '\r\n', 1_000],
];
const slowOnes = async (port: number, count = SLOW): Promise<readonly Slow[]> => {
  const slow: Slow[] = [];
  for (let n = 0; n < count; n += 1) {
    const [, begin, drip, everyMs] = KINDS[n % KINDS.length] as (typeof KINDS)[number];
    const one = new Slow(port, begin, drip, everyMs);
    if (!begin.includes('/large')) one.listen();
    await once(one.socket, 'connect');
    slow.push(one);
  }
  return slow;
};
const stillOpen = (slow: readonly Slow[]): number => slow.filter(({ open }) => open).length;
const echoed = async (port: number, text: string): Promise<void> => {
  const response = await send(port, { method: 'POST', path: '/echo' }, text);
  expect([response.status, String(response.body)]).toEqual([200, text]);
};

describe('connections that take their time', { timeout: 30_000 }, () => {
  it(`keep nobody waiting: others are answered while ${SLOW} of them are open`, async () => {
    const port = await serve();
    const slow = await slowOnes(port);
    for (let n = 0; n < 50; n += 1) await echoed(port, `request ${n}`);
    await Promise.all(Array.from({ length: 50 }, (_, n) => echoed(port, `request ${n} of many`)));
    expect(stillOpen(slow)).toBe(SLOW);
  });

  it('are cut, each of them, while others go on being answered', async () => {
    const port = await serve({ headMs: 200, requestMs: 400, idleMs: 200, silentMs: 1_000, checkMs: 20 });
    const slow = await slowOnes(port);
    for (let n = 0; stillOpen(slow) > 0; n += 1) await echoed(port, `request ${n}`);
    for (const [n, { said }] of slow.entries()) {
      const [what, begin] = KINDS[n % KINDS.length] as (typeof KINDS)[number];
      const statuses = answersIn(said).map(({ status }) => status);
      expect(statuses, what).toEqual(begin.includes('/large') ? [] : [408]);
    }
  });

  it.each(KINDS.map(([what, begin, drip, everyMs = 20]) => ({ what, begin, drip, everyMs })))(
    'give way to others beyond the number of connections: one that $what',
    async ({ begin, drip, everyMs }) => {
      const port = await serve({ connections: 20 });
      const working = new Slow(port, 'GET /wait/a HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n', '').listen();
      await until(() => gates.has('/wait/a'), 'a request is at work');
      for (let n = 0; n < 60; n += 1) await once(new Slow(port, begin, drip, everyMs).socket, 'connect');
      await echoed(port, 'a newcomer');
      await until(() => stillOpen(sockets) <= 20, 'those beyond the limit are cut');
      // Whose request is being worked on stays, however long ago it came.
      expect(working.open).toBe(true);
      gates.get('/wait/a')?.();
      gates.delete('/wait/a');
      await until(() => working.said.startsWith('HTTP/1.1 200'), 'the first one is answered');
    },
  );

  it('are refused themselves when all the others are at work', async () => {
    const port = await serve({ connections: 3 });
    const paths = ['/wait/1', '/wait/2', '/wait/3'];
    const working = paths.map((path) =>
      new Slow(port, `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`, '').listen(),
    );
    await until(() => paths.every((path) => gates.has(path)), 'all are at work');
    const late = await sendRaw(port, 'GET /echo HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n');
    expect(late).toEqual({ text: '', closed: true });
    for (const path of paths) gates.get(path)?.();
    await until(() => working.every(({ said }) => said.startsWith('HTTP/1.1 200')), 'all are answered');
    await echoed(port, 'room again');
  });

  it('hold only so many bytes of bodies in all', async () => {
    const port = await serve({ bodiesBytes: 4_000_000 });
    const begin = `${HEAD}content-length: 1000001\r\n\r\n${'z'.repeat(1_000_000)}`;
    const slow = Array.from({ length: 10 }, () => new Slow(port, begin, ''));
    await until(() => stillOpen(slow) <= 4, 'the bytes are let go of');
    await echoed(port, 'x'.repeat(100_000));
    // The newest ones stay, and what they began can be ended.
    const left = slow
      .filter(({ open }) => open)
      .at(-1)
      ?.listen();
    left?.socket.write('z');
    await until(
      () => left?.said.includes('content-length: 1000001') === true,
      'a body that stayed is answered',
    );
    for (let n = 0; n < 10; n += 1) await echoed(port, 'x'.repeat(2_000_000));
  });

  it('have so many requests each, and are told at the last one', async () => {
    const port = await serve({ requestsPerConnection: 5 });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ends: (string | undefined)[] = [];
    const ports = new Set<number | undefined>();
    for (let n = 0; n < 12; n += 1) {
      const outgoing = request({ host: '127.0.0.1', port, agent, path: '/echo' }).end();
      const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
      ports.add(response.socket.localPort);
      ends.push(response.headers.connection);
      response.resume();
      await once(response, 'close');
    }
    agent.destroy();
    expect(ends.map((end) => end === 'close')).toEqual(ends.map((_, n) => n % 5 === 4));
    expect(ports.size).toBe(3);
  });

  it.each([
    ['one header of 17 KiB', `x: ${'y'.repeat(17 * 1024)}\r\n`],
    [
      'many headers of 17 KiB in all',
      Array.from({ length: 2_000 }, (_, n) => `x-${n}: 1234567\r\n`).join(''),
    ],
    ['a path of 17 KiB', undefined],
  ])('are answered 431 for %s', async (_, headers) => {
    const port = await serve();
    const path = headers === undefined ? `/${'p'.repeat(17 * 1024)}` : '/echo';
    const { text, closed } = await sendRaw(
      port,
      `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n${headers ?? ''}\r\n`,
    );
    expect([answersIn(text).map(({ status }) => status), closed]).toEqual([[431], true]);
    await echoed(port, 'others');
  });

  it('send no header that is left out in silence', async () => {
    const log = recordingLog();
    const listener = await listen(0, log);
    listeners.push(listener);
    let seen: Readonly<Record<string, string>> = {};
    listener.serve(({ headers }) => ((seen = headers), async (body) => ({ status: 200, headers: [], body })));
    const many = Array.from({ length: 2_200 }, (_, n) => `${n.toString(36)}:\r\n`).join('');
    const head = `GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n${many}if-match: "last"\r\nconnection: close\r\n\r\n`;
    const { text } = await sendRaw(listener.port, head);
    expect(answersIn(text).map(({ status }) => status)).toEqual([200]);
    expect(seen['if-match']).toBe('"last"');
  });
});

describe('a body that is not what its head says', () => {
  const served = async (bytes: string, half = true) => {
    const port = await serve();
    const { text, closed } = await sendRaw(port, bytes, { half });
    return { answers: answersIn(text).map(({ status, body }) => [status, body]), closed };
  };

  it.each([
    ['is shorter than it says', `${HEAD}content-length: 10\r\n\r\nhello`, []],
    ['is longer than it says', `${HEAD}content-length: 5\r\nconnection: close\r\n\r\nhello and more`, [[200, 'hello']]],
    ['comes in chunks', `${HEAD}transfer-encoding: chunked\r\nconnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n`, [[200, 'hello']]],
    ['ends within its chunks', `${HEAD}transfer-encoding: chunked\r\n\r\n5\r\nhel`, []],
    ['has a length and chunks', `${HEAD}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`, [[400, '']]],
    ['has two lengths', `${HEAD}content-length: 5\r\ncontent-length: 6\r\n\r\nhello!`, [[400, '']]],
    ['has a length that is no number', `${HEAD}content-length: 5x\r\n\r\nhello`, [[400, '']]],
    ['is in chunks of another kind', `${HEAD}transfer-encoding: gzip\r\n\r\nhello`, [[400, '']]],
  ])('%s', async (_, bytes, answers) => {
    const result = await served(bytes);
    // What was cut off is answered by nobody or with 400, never handed on.
    expect(result.closed).toBe(true);
    expect(result.answers.filter(([status]) => answers.length > 0 || status !== 400)).toEqual(answers);
  }); // prettier-ignore
});
