import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { inOrder } from '../../src/cli/in-order.js';
import { numbered } from '../audit/log/support.js';
import { newSigner } from '../audit/log/proof-documents.js';
import { checkpointOf, logFiles, ran, serveLog, type LogServer, type Ran } from './support.js';

const SIGNER = newSigner();
const servers: LogServer[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function served(entries: readonly string[], signer = SIGNER): Promise<LogServer> {
  const server = await serveLog(await logFiles(entries, signer));
  servers.push(server);
  return server;
}

async function verified(
  { url }: LogServer,
  args: readonly string[] = [],
  files: Record<string, string> = {},
  env: Record<string, string> = {},
): Promise<Ran> {
  return ran(['verify-log', '--url', url, '--vkey', SIGNER.vkey, ...args], files, env);
}

const failing = ({ out }: Ran): readonly string[] =>
  [...out.matchAll(/^FAIL (\w+)/gm)].map(([, name]) => name as string);

describe('business-records verify-log', () => {
  it.each([0, 1, 2, 255, 256, 257, 512, 600, 66_000])('says yes to a log of %i entries', async (size) => {
    const server = await served(numbered(size));
    const { code, out, complaints } = await verified(server, ['--json']);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ verdict: 'yes', proven: { size, origin: SIGNER.name } });
    // Everything that the log serves was read, each once.
    expect(server.asked.map(({ path }) => path).sort()).toEqual([...server.files.keys()].sort());
    expect(server.busiest).toBeLessThanOrEqual(9);
    if (size > 65_536) expect(complaints).toContain(`65536 of ${String(size)} entries`);
  });

  it('finds any byte of any file changed, and any file missing', async () => {
    const entries = numbered(300);
    const names = { tiles: /^tile\/[01]/, entries: /^tile\/entries/ };
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.nat(), fc.nat(7), fc.boolean(), async (file, place, bit, gone) => {
        const server = await served(entries);
        const [path, bytes] = [...server.files][file % server.files.size] as [string, Buffer];
        if (gone) server.files.delete(path);
        else bytes.writeUInt8(bytes.readUInt8(place % bytes.length) ^ (1 << bit), place % bytes.length);
        const result = await verified(server);
        server.close();
        expect([path, result.code]).toEqual([path, path === 'checkpoint' && gone ? 2 : 1]);
        if (path === 'checkpoint') return;
        // An entry that is another is seen where its hash is served.
        const expected =
          names.tiles.test(path) || (!gone && result.out.includes('FAIL tiles')) ? 'tiles' : 'entries';
        expect(failing(result)).toEqual([expected]);
      }),
      { numRuns: 60 },
    );
  });

  it('finds a log that was rewritten throughout but for its checkpoint', async () => {
    const server = await served(numbered(300));
    const other = await logFiles(
      numbered(300).map((entry) => entry.replace('7', '8')),
      SIGNER,
    );
    for (const [path, bytes] of other) if (path !== 'checkpoint') server.files.set(path, bytes);
    expect(failing(await verified(server))).toEqual(['root']);
  });

  it('finds a checkpoint that is signed by another key, or of another log', async () => {
    const server = await served(numbered(3), newSigner());
    expect(failing(await verified(server))).toEqual(['signature']);
    const own = await served(numbered(3));
    expect(failing(await verified(own, ['--origin', 'log.example/globex']))).toEqual(['checkpoint']);
    expect((await verified(own, ['--tenant', 'acme'])).code).toBe(0);
    expect((await verified(own, ['--tenant', 'globex'])).code).toBe(2);
  });

  it.each([0, 1, 5, 256, 299, 300])(
    'says yes when it goes on from an older checkpoint of %i',
    async (size) => {
      const server = await served(numbered(300));
      const old = await checkpointOf(numbered(size), SIGNER);
      const { code, out } = await verified(server, ['--since', 'old'], { old });
      expect([code, out]).toEqual([0, expect.stringMatching(/^ok {3}consistency/m)]);
    },
  );

  it('finds that history was rewritten, or cut off, since an older checkpoint', async () => {
    const server = await served(numbered(300));
    for (const before of [['another', ...numbered(200).slice(1)], numbered(301), [...numbered(255), 'x']]) {
      const old = await checkpointOf(before, SIGNER);
      const result = await verified(server, ['--since', 'old'], { old });
      expect([result.code, failing(result)]).toEqual([1, ['consistency']]);
    }
  });

  it('goes by no older checkpoint that the log did not sign, but by one of a former key', async () => {
    const server = await served(numbered(10));
    const former = newSigner();
    const old = await checkpointOf(numbered(4), former);
    const result = await verified(server, ['--since', 'old'], { old });
    expect([result.code, result.out]).toEqual([2, '']);
    expect(result.complaints).toContain('old is no checkpoint to go by');
    expect((await verified(server, ['--since', 'old', '--vkey', former.vkey], { old })).code).toBe(0);
    expect((await verified(server, ['--since', 'nowhere'])).code).toBe(2);
  });

  it('takes a partial tile from the full one when the log has grown meanwhile', async () => {
    const server = await served(numbered(300));
    const grown = await logFiles(numbered(600), SIGNER);
    for (const path of ['tile/0/001', 'tile/entries/001']) {
      expect(server.files.delete(`${path}.p/44`)).toBe(true);
      server.files.set(path, grown.get(path) as Buffer);
    }
    expect((await verified(server)).code).toBe(0);
  });

  it('sends headers and the token, and neither elsewhere', async () => {
    const server = await served(numbered(1));
    const headers = ['--header', 'x-dev-tenant: acme', '--header', 'x-dev-roles:auditor'];
    expect((await verified(server, headers, {}, { BUSINESS_RECORDS_TOKEN: 's3cret' })).code).toBe(0);
    for (const { headers: sent } of server.asked)
      expect(sent).toMatchObject({
        authorization: 'Bearer s3cret',
        'x-dev-tenant': 'acme',
        'x-dev-roles': 'auditor',
      });
    server.before.push(
      ...Array.from({ length: 5 }, () => ({ status: 302, headers: { location: `${server.url}/x` } })),
    );
    const asked = server.asked.length;
    const { code, complaints } = await verified(server, headers);
    expect([code, complaints]).toEqual([2, expect.not.stringContaining('s3cret')]);
    expect(server.asked.slice(asked).map(({ path }) => path)).toEqual(Array(5).fill('checkpoint'));
    const bad = await verified(server, ['--header', 's3cret'], {}, {});
    expect([bad.code, bad.complaints]).toEqual([2, expect.not.stringContaining('s3cret')]);
  });

  it('asks again when the server is busy, as late as it says, and gives up in the end', async () => {
    const server = await served(numbered(1));
    server.before.push({ status: 429, headers: { 'retry-after': '7' } }, { status: 503 });
    const patient = await verified(server);
    expect([patient.code, patient.slept]).toEqual([0, [7000, 1000]]);
    server.before.push(
      ...Array.from({ length: 5 }, () => ({ status: 503, headers: { 'retry-after': '86400' } })),
    );
    const late = await verified(server);
    expect([late.code, late.slept]).toEqual([2, [60_000, 60_000, 60_000, 60_000]]);
    expect(late.complaints).toContain('cannot read checkpoint: the server answered 503');
    server.before.push({ status: 403 });
    expect(await verified(server)).toMatchObject({
      code: 2,
      slept: [],
      complaints: expect.stringContaining('403'),
    });
  });

  it('cannot tell when nobody answers, or the address is none', async () => {
    const server = await served(numbered(1));
    server.close();
    expect((await verified(server)).code).toBe(2);
    for (const url of ['', 'log.example', 'file:///etc/passwd'])
      expect(await ran(['verify-log', '--url', url, '--vkey', SIGNER.vkey])).toMatchObject({
        code: 2,
        out: '',
      });
  });

  it('reads no more of an answer than it may have', async () => {
    const server = await served(numbered(300));
    server.files.set('tile/0/000', Buffer.alloc(8193));
    expect(await verified(server)).toMatchObject({ code: 2, complaints: expect.stringContaining('longer') });
    server.files.set('tile/0/000', Buffer.alloc(8191));
    expect(failing(await verified(server))).toEqual(['tiles']);
  });
});

describe('loading in order', () => {
  it('gives everything in its order, with so many under way and no more', async () => {
    let [busy, most] = [0, 0];
    const got: number[] = [];
    const loaded = inOrder(20, 4, async (at) => {
      most = Math.max(most, ++busy);
      for (let turn = 0; turn < (at % 3) * 5; turn++) await Promise.resolve();
      busy -= 1;
      return at;
    });
    for await (const at of loaded) got.push(at);
    expect(got).toEqual(Array.from({ length: 20 }, (_, at) => at));
    expect(most).toBeLessThanOrEqual(4);
  });

  it('fails where it failed, and leaves no rejection to nobody', async () => {
    const got: number[] = [];
    const all = async (): Promise<void> => {
      for await (const at of inOrder(9, 4, (at) =>
        at >= 2 ? Promise.reject(new Error(String(at))) : Promise.resolve(at),
      ))
        got.push(at);
    };
    await expect(all()).rejects.toThrow('2');
    expect(got).toEqual([0, 1]);
  });
});
