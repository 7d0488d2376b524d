import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { fetchJsonWith } from '../../src/security/fetch-json.js';

const open: Server[] = [];
afterEach(() => {
  for (const server of open.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function ask(answer: RequestListener): Promise<unknown> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  open.push(server);
  await once(server, 'listening');
  return fetchJsonWith(fetch)(`http://127.0.0.1:${String((server.address() as AddressInfo).port)}/document`);
}

describe('a document of a sign-in service', () => {
  it('is what was sent, in however many pieces', async () => {
    const text = JSON.stringify({ keys: ['ä'.repeat(1000)] });
    const found = ask((_, response) => {
      response.write(Buffer.from(text).subarray(0, 501));
      setImmediate(() => response.end(Buffer.from(text).subarray(501)));
    });
    expect(await found).toEqual(JSON.parse(text));
  });

  it.each([201, 204, 404, 500])('is none with status %i', async (status) => {
    await expect(ask((_, response) => response.writeHead(status).end(status === 204 ? '' : '{}'))).rejects.toThrow(`status ${String(status)}`); // prettier-ignore
  });

  it('is not looked for elsewhere', async () => {
    const asked: (string | undefined)[] = [];
    const found = ask(({ url }, response) => {
      asked.push(url);
      if (url === '/document') response.writeHead(302, { location: '/other' }).end();
      else response.end('{}');
    });
    await expect(found).rejects.toThrow();
    expect(asked).toEqual(['/document']);
  });

  it('is none when it is no JSON, or breaks off', async () => {
    await expect(ask((_, response) => response.end('<html>'))).rejects.toThrow();
    const broken = ask((_, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('{');
      setImmediate(() => response.destroy());
    });
    await expect(broken).rejects.toThrow();
  });

  it('is not read beyond 256 KiB', async () => {
    let ended = false;
    const found = ask((request, response) => {
      request.socket.on('close', () => (ended = true));
      const more = (): void => {
        while (!ended && response.write(' '.repeat(16 * 1024)));
      };
      response.on('drain', more);
      more();
    });
    await expect(found).rejects.toThrow('too large');
    await expect.poll(() => ended).toBe(true);
  });

  it('is not waited for beyond five seconds', { timeout: 30_000 }, async () => {
    await expect(ask(() => undefined)).rejects.toThrow(/timeout/i);
  });
});
