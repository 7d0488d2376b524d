import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AUDIENCE, LocalIssuer, newSigningKey, signed, TID, userClaims, type Claims, type SigningKey } from '../support/local-issuer.js'; // prettier-ignore
import { sendRaw } from '../support/raw-http.js';
import { client, eventsIn, killAll, removeFolders, start, stop, temporaryFolder, type Started } from './support.js'; // prettier-ignore

/** The tests follow the life of one data folder, in this order. */
describe('npm start with AUTH_MODE=entra', { timeout: 120_000 }, () => {
  let issuer: LocalIssuer;
  let key: SigningKey;
  let dataDir: string;
  let started: Started;

  beforeAll(async () => {
    key = await newSigningKey('one');
    issuer = await LocalIssuer.start(key);
    dataDir = temporaryFolder();
    started = await start(
      { DATA_DIR: dataDir, AUTH_MODE: 'entra', ENTRA_AUDIENCE: AUDIENCE, ENTRA_TENANTS: `${TID}=acme`, ENTRA_AUTHORITY: issuer.authority }, // prettier-ignore
      'node',
    );
  }, 180_000);
  afterAll(async () => {
    killAll();
    removeFolders();
    await issuer.stop();
  });

  const token = (changes: Claims = {}): Promise<string> => signed(userClaims(issuer.authority, Date.now(), changes), key); // prettier-ignore

  it('prints a curl that works for who has a token', async () => {
    const line = /^curl .*$/m.exec(started.process.out())?.[0] ?? '';
    const env = { ...process.env, TOKEN: await token() };
    const { stdout } = await promisify(execFile)('sh', ['-c', line.replace('curl', 'curl -sS')], { env });
    expect(JSON.parse(stdout)).toMatchObject({ record_type: 'decision', tenant: 'acme' });
  });

  it('knows who is nobody, also with two tokens', async () => {
    const { port } = new URL(started.baseUrl);
    const one = `Authorization: Bearer ${await token()}\r\n`;
    const ask = (headers: string): Promise<{ text: string }> =>
      sendRaw(
        Number(port),
        `GET /api/decisions HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n${headers}\r\n`,
      );
    expect((await ask(one)).text).toMatch(/^HTTP\/1\.1 200 /);
    for (const headers of [
      '',
      one + one,
      `${one}authorization: Bearer x.y.z\r\n`,
      `Authorization: Basic eDp5\r\n${one}`,
    ]) {
      const { text } = await ask(headers);
      expect(text).toMatch(/^HTTP\/1\.1 401 /);
      expect(text).toMatch(/www-authenticate: Bearer\r\n/i);
    }
  });

  it('has audited its refusals when it has ended', async () => {
    const reader = { authorization: `Bearer ${await token({ roles: ['records.reader'] })}` };
    for (let n = 0; n < 7; n += 1)
      expect((await client(started.baseUrl, '').post('/decisions', {}, reader)).status).toBe(403);
    await stop(started);
    started = await start({ DATA_DIR: dataDir }, 'node');
    const [event, ...more] = eventsIn(await client(started.baseUrl, 'acme').get('/audit-events?event_type=access.refused')); // prettier-ignore
    expect(more).toEqual([]);
    expect(event).toMatchObject({ action: 'POST collection', resource_type: 'decision', details: { code: 'forbidden', reason: 'role', count: 7 }, leaf_index: expect.any(Number) as number }); // prettier-ignore
    await stop(started);
  });
});
