import { beforeEach, describe, expect, it } from 'vitest';
import { appendLines, sealOlderStream } from '../../src/audit/append-stream.js';
import type { Stage } from '../../src/audit/ledger-state.js';
import { StorageFault, type BlobStore, type StoragePorts } from '../../src/storage/ports.js';
import { memoryPorts } from '../support/memory-ports.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';

const NAME = 'acme/2026-01-10/0001.jsonl';
const BEFORE = '"before"\n';
const LINES = '"one"\n"two"\n';
let ports: StoragePorts;
let blobs: BlobStore;

/** The same blobs, where some methods answer something else. */
const blobsWhere = (others: Readonly<Record<string, () => Promise<unknown>>>): BlobStore =>
  wrapPorts(ports, (call, run) => (others[call.method] ?? run)()).blobs;
const silence = (): Promise<never> => Promise.reject(new StorageFault('unavailable', 'no answer'));

/** A stage of two lines behind one line that is there already. */
function stage(stream: Partial<Stage['stream']> = {}): Stage {
  return {
    schema_version: '1.0',
    tenant: 'acme',
    follows: 1,
    stream: { name: NAME, offset: BEFORE.length, lines: 2, create: false, ...stream },
    events: ['"one"', '"two"'].map((event, at) => ({
      table: 'decisions',
      partition_key: 'acme:2026-01',
      row_key: `o:${String(at)}`,
      leaf_index: at + 1,
      event,
    })),
  };
}

async function streamOf(text: string): Promise<void> {
  await blobs.createAppend('audit', NAME);
  if (text !== '') await blobs.append('audit', NAME, Buffer.from(text), 0);
}
const text = async (): Promise<string> =>
  Buffer.from((await blobs.find('audit', NAME))?.bytes ?? []).toString();
const broken = (what: RegExp): object => ({
  code: 'integrity-failure',
  evidence: { tenant: 'acme', what: expect.stringMatching(what) as string },
});

beforeEach(() => {
  ports = memoryPorts({ clock: new VirtualClock() });
  blobs = ports.blobs;
});

describe('the lines of a stage', () => {
  it('begin a stream of their own, also one that somebody made a moment ago', async () => {
    await appendLines(blobs, stage({ create: true, offset: 0 }));
    await appendLines(blobs, stage({ create: true, offset: 0 }));
    expect(await text()).toBe(LINES);
  });

  it.each([
    ['none of them', BEFORE],
    ['the first of them', `${BEFORE}"one"\n`],
    ['all of them', `${BEFORE}${LINES}`],
  ])('are there once when %s were there before', async (_, there) => {
    await streamOf(there);
    await appendLines(blobs, stage());
    expect(await text()).toBe(`${BEFORE}${LINES}`);
  });

  it.each(['', '"later"\n'])('are there in a stream that is sealed behind them and %j', async (later) => {
    await streamOf(`${BEFORE}${LINES}${later}`);
    await blobs.seal('audit', NAME);
    await appendLines(blobs, stage());
    expect(await text()).toBe(`${BEFORE}${LINES}${later}`);
  });

  it.each<[string, string, boolean, RegExp]>([
    ['is shorter than the head says', '"b"\n', false, /shorter/],
    ['ends within a line', `${BEFORE}"o`, false, /within a line/],
    ['was sealed before its end', `${BEFORE}"one"\n`, true, /sealed/],
  ])('are not put into a stream that %s', async (_, there, sealed, what) => {
    await streamOf(there);
    if (sealed) await blobs.seal('audit', NAME);
    await expect(appendLines(blobs, stage())).rejects.toMatchObject(broken(what));
    expect(await text()).toBe(there);
  });

  it('are not put anywhere when their stream is gone, before the append or after it', async () => {
    await expect(appendLines(blobs, stage())).rejects.toMatchObject(broken(/gone/));
    await streamOf('"b"\n');
    const vanishing = blobsWhere({ appendState: () => Promise.resolve(undefined) });
    await expect(appendLines(vanishing, stage())).rejects.toMatchObject(broken(/gone/));
  });

  it('are not asked for for ever where what refuses them is nothing', async () => {
    await streamOf(BEFORE);
    let asked = 0;
    const refusing = blobsWhere({
      append: () => {
        asked += 1;
        return Promise.reject(new StorageFault('position', 'elsewhere'));
      },
    });
    await expect(appendLines(refusing, stage())).rejects.toMatchObject(broken(/shorter/));
    expect(asked).toBe(1);
  });

  it('pass on what storage says otherwise', async () => {
    for (const method of ['createAppend', 'append'])
      await expect(
        appendLines(blobsWhere({ [method]: silence }), stage({ create: true, offset: 0 })),
      ).rejects.toMatchObject({ kind: 'unavailable' });
  });
});

describe('the stream before', () => {
  it('is made read-only by the stage that begins another, and by no other stage', async () => {
    await streamOf(BEFORE);
    await sealOlderStream(blobs, stage());
    expect((await blobs.appendState('audit', NAME))?.sealed).toBe(false);
    const next = stage({ name: 'acme/2026-01-11/0001.jsonl', create: true, offset: 0, seals: NAME });
    await sealOlderStream(blobs, next);
    await sealOlderStream(blobs, next);
    expect((await blobs.appendState('audit', NAME))?.sealed).toBe(true);
  });

  it('is missed', async () => {
    await expect(sealOlderStream(blobs, stage({ seals: NAME }))).rejects.toMatchObject(broken(/gone/));
    const silent = blobsWhere({ seal: silence });
    await expect(sealOlderStream(silent, stage({ seals: NAME }))).rejects.toMatchObject({
      kind: 'unavailable',
    });
  });
});
