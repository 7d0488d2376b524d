import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  client,
  killAll,
  removeFolders,
  start,
  stop,
  temporaryFolder,
  type Started,
} from '../e2e/support.js';
import { until } from '../local/support.js';
import { numberSetting } from '../support/at-length.js';
import { useAzurite } from '../support/azurite.js';
import { answersIn, sendRaw, type RawAnswer } from '../support/raw-http.js';
import { flipped, MALFORMED, pipeline, UNFINISHED } from './hostile-sockets.js';
import { faultsOf } from './hostile-world.js';
import { Reply } from '../support/http-harness.js';
import { Random } from './simulation-random.js';

const SEED = numberSetting('seed', 1);
const FLIPS = Math.min(20_000, Math.ceil(numberSetting('requests', 6_000) / 10));
/** What Node itself says of what is no HTTP, without a body, before it closes the connection. */
const OF_NODE = [400, 408, 413, 417, 431];

/** What is wrong with the answers on a connection; the platform's are held to the contract, Node's to be empty. */
function wrongIn({ text }: RawAnswer): readonly string[] {
  return answersIn(text).flatMap(({ status, headers, body }) => {
    if (body === '' && OF_NODE.includes(status)) return [];
    // Outside of the API there is nobody who would explain it.
    if (body === '' && status === 404) return [];
    return faultsOf({ marker: 'hunter2' }, new Reply(status, headers, body));
  });
}

describe('a local host under hostile connections', { timeout: 60_000 }, () => {
  let started: Started;
  let port: number;
  const api = () => client(started.baseUrl, 'acme');

  beforeAll(async () => {
    const { connectionString } = useAzurite();
    started = await start({ DATA_DIR: temporaryFolder(), AzureWebJobsStorage: connectionString }, 'node');
    port = Number(new URL(started.baseUrl).port);
  }, 180_000);
  afterAll(() => {
    killAll();
    removeFolders();
  });

  const healthy = async (): Promise<void> => expect((await api().get('/health')).status).toBe(200);
  /** Open files and sockets of the host, where the system tells. */
  const handles = (): number => {
    try {
      return readdirSync(`/proc/${started.process.child.pid}/fd`).length;
    } catch {
      return 0;
    }
  };

  it.each(Object.entries(MALFORMED))('answers or closes on %s', async (_, bytes) => {
    // What is not whole waits for more until our side ends.
    const answer = await sendRaw(port, bytes, { half: true });
    expect(answer.closed).toBe(true);
    expect(wrongIn(answer)).toEqual([]);
    await healthy();
  });

  it(`answers or closes on ${FLIPS} requests with damaged bytes`, async () => {
    const wrong: string[] = [];
    const one = async (n: number): Promise<void> => {
      const bytes = flipped(new Random(SEED, n));
      const answer = await sendRaw(port, bytes, { half: true });
      const faults = answer.closed ? wrongIn(answer) : ['is left open'];
      for (const fault of faults)
        wrong.push(`seed ${SEED}, ${n}: ${fault}: ${Buffer.from(bytes).toString('latin1')}`);
    };
    for (let n = 0; n < FLIPS; n += 8) await Promise.all(Array.from({ length: 8 }, (_, m) => one(n + m)));
    expect(wrong).toEqual([]);
    await healthy();
  });

  it('answers a hundred requests that did not wait for each other, in order', async () => {
    const { text } = await sendRaw(port, pipeline(100));
    const answers = answersIn(text);
    expect(answers.map(({ status }) => status)).toEqual(Array(101).fill(200));
    expect(answers.at(-1)?.body).toBe('{"status":"ok","storage":"reachable"}');
  });

  it('serves others while connections say nothing, stop in the middle, or leave, and lets go of those that left', async () => {
    // As many connections as the host keeps for those below, to its callers and to storage.
    await Promise.all(Array.from({ length: 20 }, healthy));
    const before = handles();
    const sockets: Socket[] = [];
    let left = 0;
    for (let n = 0; n < 200; n += 1) {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => undefined).on('close', () => (left += 1));
      await once(socket, 'connect');
      socket.write(n % 3 === 0 ? '' : (UNFINISHED[n % 2] as string));
      sockets.push(socket);
    }
    for (let n = 0; n < 20; n += 1) await healthy();
    await Promise.all(Array.from({ length: 20 }, healthy));
    expect(
      (await api().post('/decisions', { decision_type: 'strategic', title: 'In the middle' })).status,
    ).toBe(201);
    // How long the host puts up with them is in test/local/slow-connections.test.ts: they are here while others are served.
    expect(left).toBe(0);
    // Half of them go in good order, half by a reset, all in the middle of what they said.
    sockets.forEach((socket, n) => (n % 2 === 0 ? socket.destroy() : socket.resetAndDestroy()));
    // Those to storage come and go by themselves.
    await until(() => handles() <= before + 50, 'the host lets go of connections that are gone');
    await healthy();
  });

  it('reads a body of 17 MiB to its end and refuses it, however it is sent', async () => {
    const body = Buffer.alloc(17 * 1024 * 1024, 0x20);
    const head = (more: string): string => `POST /api/decisions/batch HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n${more}\r\n\r\n`; // prettier-ignore
    const whole = [Buffer.from(head(`content-length: ${body.length}`)), body];
    const chunked = [Buffer.from(head('transfer-encoding: chunked')), Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n0\r\n\r\n')]; // prettier-ignore
    for (const parts of [whole, chunked]) {
      const { text, closed } = await sendRaw(port, Buffer.concat(parts));
      expect([answersIn(text).map(({ status }) => status), closed]).toEqual([[413], true]);
    }
    await healthy();
  });

  it('has said nothing on standard error of it all, and ends in good order', async () => {
    await stop(started);
    expect(started.process.err()).toBe('');
    expect(started.process.out()).not.toMatch(/hunter2|nobody handled/);
  });
});
