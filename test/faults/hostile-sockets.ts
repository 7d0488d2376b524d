import { MINIMAL } from '../support/decisions.js';
import type { Random } from './simulation-random.js';

const BODY = JSON.stringify(MINIMAL);
const HEAD = 'host: 127.0.0.1\r\ncontent-type: application/json\r\n';
const GOOD = `POST /api/decisions HTTP/1.1\r\n${HEAD}content-length: ${BODY.length}\r\n\r\n${BODY}`;
const get = (path: string, more = ''): string => `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n${more}connection: close\r\n\r\n`; // prettier-ignore
const post = (more: string, body: string): string => `POST /api/decisions HTTP/1.1\r\n${HEAD}${more}connection: close\r\n\r\n${body}`; // prettier-ignore

/** What no client library would send, and what it is. */
export const MALFORMED: Readonly<Record<string, string | Uint8Array>> = {
  'nothing but a line end': '\r\n\r\n',
  'a TLS greeting': Buffer.from('16030100c8010000c40303', 'hex'),
  zeroes: new Uint8Array(4096),
  'HTTP/0.9': 'GET /api/health\r\n\r\n',
  'a version of the future': 'GET /api/health HTTP/9.9\r\n\r\n',
  'the preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'no host': 'GET /api/health HTTP/1.1\r\n\r\n',
  'two hosts': 'GET /api/health HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n',
  'another host': 'GET /api/decisions HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n',
  'a host that is none': 'GET /api/decisions HTTP/1.1\r\nhost: a b/../@c\r\nconnection: close\r\n\r\n',
  'a header without a colon': get('/api/health', 'what is this\r\n'),
  'a header with a NUL': get('/api/health', 'x-session-id: a\0b\r\n'),
  'a folded header': get('/api/health', 'x-session-id: a\r\n b\r\n'),
  'a header __proto__': get('/api/health', '__proto__: x\r\nconstructor: y\r\n'),
  'bare line feeds': 'GET /api/health HTTP/1.1\nhost: x\n\n',
  'a header of 100 KB': get('/api/health', `x: ${'y'.repeat(100_000)}\r\n`),
  'five thousand headers': get(
    '/api/health',
    Array.from({ length: 5_000 }, (_, n) => `x${n}: y\r\n`).join(''),
  ),
  'a method nobody knows': 'BREW /api/decisions HTTP/1.1\r\nhost: x\r\n\r\n',
  TRACE: 'TRACE /api/decisions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
  CONNECT: 'CONNECT evil.example:443 HTTP/1.1\r\nhost: x\r\n\r\n',
  'OPTIONS *': 'OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
  'a whole address': get('http://evil.example/api/decisions'),
  'an address that is none': get('http://[::1/api/decisions'),
  'another scheme': get('file:///etc/passwd'),
  'a broken percent-encoding': get('/api/decisions/%ff%'),
  'a NUL in the path': get('/api/decisions/%00'),
  'dots in the path': get('/api/../../etc/passwd'),
  'encoded dots in the path': get('/api/%2e%2e/%2e%2e/etc/passwd'),
  'slashes in the path': get('//api///decisions//'),
  'raw UTF-8 in the path': Buffer.from(get('/api/decisions/\u20ac\u{1f600}')),
  'a path of 60 KB': get(`/api/${'a/'.repeat(30_000)}`),
  'a query of 14 KB': get(`/api/decisions?${'a=b&'.repeat(3_500)}`),
  'two lengths': post('content-length: 5\r\ncontent-length: 6\r\n', 'hello'),
  'a length and chunks': post(
    'content-length: 5\r\ntransfer-encoding: chunked\r\n',
    '0\r\n\r\nGET /x HTTP/1.1\r\n\r\n',
  ),
  'a negative length': post('content-length: -1\r\n', BODY),
  'a length that is no number': post('content-length: 0x10\r\n', BODY),
  'a length beyond all numbers': post('content-length: 99999999999999999999\r\n', BODY),
  'chunks that are none': post('transfer-encoding: chunked\r\n', 'zz\r\nhello\r\n'),
  'a chunk without end': post('transfer-encoding: chunked\r\n', 'fffffffffffffffff\r\nhello'),
  'chunks with extensions and trailers': post('transfer-encoding: chunked\r\n', `${BODY.length.toString(16)};a=b\r\n${BODY}\r\n0\r\nx-trailer: 1\r\n\r\n`), // prettier-ignore
  'another transfer encoding': post('transfer-encoding: gzip, chunked\r\n', '0\r\n\r\n'),
  'an expectation nobody meets': post(`expect: 200-ok\r\ncontent-length: ${BODY.length}\r\n`, BODY),
  'an upgrade': get('/api/health', 'upgrade: websocket\r\nconnection: upgrade\r\n'),
  'a body longer than it says': post('content-length: 5\r\n', BODY),
  'a body on a GET': `GET /api/decisions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello`,
  'a key given twice': post(
    `idempotency-key: a\r\nidempotency-key: b\r\ncontent-length: ${BODY.length}\r\n`,
    BODY,
  ),
  'a tenant given twice': post(
    `x-dev-tenant: a\r\nx-dev-tenant: b\r\ncontent-length: ${BODY.length}\r\n`,
    BODY,
  ),
  'a type given twice': post(`content-type: text/plain\r\ncontent-length: ${BODY.length}\r\n`, BODY),
};

/** A good request in which some bytes are others. */
export function flipped(random: Random): Uint8Array {
  const bytes = Buffer.from(GOOD);
  for (let left = random.between(1, 6); left > 0; left -= 1) {
    const at = random.below(bytes.length);
    const what = random.below(3);
    if (what === 0) bytes[at] = random.below(256);
    else if (what === 1) bytes.copyWithin(at, random.below(bytes.length));
    else bytes[at] = (bytes[at] as number) ^ (1 << random.below(8));
  }
  return random.chance(0.2) ? bytes.subarray(0, random.below(bytes.length)) : bytes;
}

/** Requests one after the other on one connection without waiting for answers, the last one closing it. */
export function pipeline(count: number): string {
  const one = (n: number): string => `GET /api/decisions?limit=${n + 1} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`;
  return Array.from({ length: count }, (_, n) => one(n)).join('') + get('/api/health');
}

/** The beginning of a request that never goes on: in its head, or in its body. */
export const UNFINISHED = [
  'POST /api/decisions HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: ',
  GOOD.slice(0, -20),
] as const;
