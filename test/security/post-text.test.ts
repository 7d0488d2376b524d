import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { postTextWith, type TextAnswer } from '../../src/security/post-text.js';

const open: Server[] = [];
afterEach(() => {
  for (const server of open.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function post(answer: RequestListener): Promise<TextAnswer> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  open.push(server);
  await once(server, 'listening');
  const base = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/w`;
  return postTextWith(fetch, base)('add-checkpoint', 'old 0\n');
}

describe('a text that is posted', () => {
  it.each([200, 404, 409, 422, 500])('is answered with a status and a text: %i', async (status) => {
    const seen: unknown[] = [];
    const answer = await post((request, response) => {
      seen.push(request.method, request.url);
      request.on('data', (chunk: Buffer) => seen.push(chunk.toString()));
      request.on('end', () => response.writeHead(status).end('17\n'));
    });
    expect(answer).toEqual({ status, text: '17\n' });
    expect(seen).toEqual(['POST', '/w/add-checkpoint', 'old 0\n']);
  });

  it('is not carried elsewhere', async () => {
    const asked: (string | undefined)[] = [];
    const answer = post(({ url }, response) => {
      asked.push(url);
      response.writeHead(307, { location: '/other' }).end();
    });
    await expect(answer).rejects.toThrow();
    expect(asked).toEqual(['/w/add-checkpoint']);
  });

  it('is answered by nothing that breaks off, or is longer than 64 KiB', async () => {
    const broken = post((_, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('1');
      setImmediate(() => response.destroy());
    });
    await expect(broken).rejects.toThrow();
    await expect(post((_, response) => response.end(' '.repeat(64 * 1024 + 1)))).rejects.toThrow('too large');
  });

  it('is not waited for beyond ten seconds', { timeout: 40_000 }, async () => {
    await expect(post(() => undefined)).rejects.toThrow(/timeout/i);
  });
});
