import { beforeEach, describe, expect, it } from 'vitest';
import { newId } from '../../src/domain/ids.js';
import { parseBlobName } from '../../src/lifecycle/blob-names.js';
import { conversationType } from '../../src/records/conversation.js';
import { decisionType } from '../../src/records/decision.js';
import { packRow } from '../../src/storage/pack-rows.js';
import { streamPackName } from '../../src/storage/part-lines.js';
import { digestKey } from '../../src/storage/series-rows.js';
import { fsckOf, PassingClock } from '../audit/fsck-world.js';
import { seededEntropy } from '../support/entropy.js';
import { httpHost } from '../support/http-harness.js';
import { caller } from '../support/platform.js';
import { findLeaks } from '../support/secret-search.js';
import { memoryTraces } from '../support/storage-traces.js';
import { LONG, StreamWorld, TABLE } from './stream-world.js';
import { collector, DAY, HOUR, round } from './support.js';

/** Who else has to know of packs of messages, besides the job that makes them. */
let world: StreamWorld;
beforeEach(() => {
  world = new StreamWorld();
});

const entropy = seededEntropy('stream packs');
const collect = () => round(collector(world.ports, world.clock, [conversationType]), world.clock.now());
const found = async (): Promise<readonly string[]> => {
  const { told } = await fsckOf(world.ports, { clock: new PassingClock(world.clock.now() + HOUR) });
  return [...new Set(told.map(({ code }) => code))].sort();
};
const packName = (): string => world.streamPacks()[0]?.name ?? '';
const replaceBlob = async (name: string, bytes: Uint8Array): Promise<void> => {
  await world.ports.blobs.delete('records', name);
  await world.ports.blobs.putOnce('records', name, bytes, 'application/x-ndjson');
};

describe('the collector', () => {
  it('tells a pack of messages by its name', () => {
    const ref = { tenant: 'acme', table: TABLE, partition: '2026-11.0' };
    const uuid = newId('x', Date.UTC(2026, 10, 21), entropy).slice(2);
    const name = streamPackName(conversationType, ref, uuid);
    const types = [conversationType, decisionType];
    expect(parseBlobName(types, name)).toEqual({ kind: 'stream-pack', name, ref, uuid, ms: Date.UTC(2026, 10, 21) }); // prettier-ignore
    for (const other of [
      name.replace('conversation', 'decision'),
      name.replace('2026-11.0', '2026=zz'),
      `${name}x`,
    ])
      // prettier-ignore
      expect(parseBlobName(types, other)).toBeUndefined();
  });

  it('leaves what has a row, and takes what has none, once that is old', async () => {
    const ids = await world.cooled(2, 2);
    const orphan = streamPackName(conversationType, { tenant: 'default', table: TABLE, partition: '2026-11.0' }, newId('x', world.clock.now(), entropy).slice(2)); // prettier-ignore
    await world.ports.blobs.putOnce('records', orphan, Buffer.from('{}\n'), 'application/x-ndjson');
    await collect();
    expect(world.streamPacks()).toHaveLength(2);
    expect(await found()).toEqual(['blob.orphan']);
    world.clock.pass(2 * DAY);
    expect(await collect()).toMatchObject({ collected: 1, named: 3 });
    expect(world.streamPacks().map(({ name }) => name)).not.toContain(orphan);
    expect(await world.heard(ids)).not.toBe('');
    expect(await found()).toEqual([]);
  });
});

describe('a check', () => {
  it('finds a line in a cool pack that is not what its row says, and a pack that is gone', async () => {
    await world.cooled(1, 4);
    const { bytes = Buffer.of() } = world.streamPacks()[0] ?? {};
    await replaceBlob(packName(), Buffer.from(Buffer.from(bytes).toString().replace('"seq":3', '"seq":4')));
    expect(await found()).toEqual(['part.content']);
    await world.ports.blobs.delete('records', packName());
    expect(await found()).toEqual(['part.content']);
  });

  it('finds a pack in the archive whose row does not have what is said to be in it', async () => {
    await world.archived(2, 2);
    const [pack] = world.packs(TABLE);
    const [row] = world.rows('a:', TABLE);
    if (pack === undefined || row === undefined) throw new Error('there is no pack');
    const operation = { kind: 'replace', ...packRow(row.partitionKey, { ...pack, members: pack.members.slice(1) }), etag: '*' } as const; // prettier-ignore
    await world.ports.tables.commit(TABLE, row.partitionKey, [operation]);
    expect(await found()).toEqual(['pack.archived', 'pack.members']);
  });
});

describe('a row that somebody altered', () => {
  const alter = async (rowKey: string): Promise<void> => {
    const [row] = world.rows(rowKey, TABLE);
    await world.ports.tables.commit(TABLE, row?.partitionKey ?? '', [{ kind: 'merge', rowKey, properties: { blocks: 77 }, etag: '*' }]); // prettier-ignore
  };

  it('has its record left where it is, and no other', async () => {
    const [id = ''] = await world.talks(5, 1);
    await alter(digestKey(id));
    world.clock.pass(31 * DAY);
    expect(await world.archive()).toMatchObject({ movedStreams: 4, damaged: 1 });
    expect(await world.asks(id)).toBe('heard');
  });

  it('keeps its pack from the archive, and from going', async () => {
    const ids = await world.cooled(4, 1);
    await alter(digestKey(ids[0] ?? ''));
    world.clock.pass(60 * DAY);
    expect(await world.archive()).toMatchObject({ damagedPacks: 1 });
    expect(world.streamPacks().map(({ tier }) => tier)).toEqual(['cool']);
    expect(await world.asks(ids[0] ?? '')).toBe('integrity-failure');
    expect(await world.asks(ids[1] ?? '')).toBe('heard');
  });
});

describe('somebody who is erased', () => {
  const MARK = 'zq7person0003mark';

  it('is in no message of any tier, what others said is, and what was brought back goes too', async () => {
    const host = httpHost(world.ports, { clock: world.clock });
    await world.indexed();
    const ids = await world.talks(2, 1);
    for (const id of ids) {
      for (const sender of [MARK, 'bob']) {
        const said = await host.post(`/conversations/${id}/messages`, { sender, content: `said by ${sender} ${LONG}` }); // prettier-ignore
        expect(said.status, said.text).toBe(200);
      }
      await world.move(id);
    }
    await host.platform.sealer.sealTenant('default');
    world.clock.pass(31 * DAY);
    expect(await world.archive()).toMatchObject({ movedStreams: 2 });
    world.clock.pass(60 * DAY);
    expect(await world.archive()).toMatchObject({ archivedStreams: 2 });
    const bring = (id: string) => world.host().rehydrator.request(conversationType, id, 'high', caller());
    await bring(ids[0] ?? '');
    const read = async (id: string): Promise<string> => (await host.get(`/conversations/${id}/messages`)).text; // prettier-ignore
    expect(await read(ids[0] ?? '')).toContain(MARK);
    const asked = await host.post('/erasures', { subject: MARK, reason: 'A request.' });
    expect(asked.status, asked.text).toBe(202);
    await host.platform.jobs.start('erase');
    const { json } = await host.get(String(asked.headers['location']).slice('/api'.length));
    expect(json).toMatchObject({ state: 'provisional', certificate: { records: { conversations: 2 }, key: 'destroyed' } }); // prettier-ignore
    await bring(ids[1] ?? '');
    for (const id of ids) {
      const text = await read(id);
      expect([text.includes(MARK), text.includes('said by bob')]).toEqual([false, true]);
    }
    expect(findLeaks([MARK], memoryTraces(world.storage.contents()))).toEqual([]);
    expect(await found()).toEqual(['pack.archived']);
  }, 60_000);
});

describe('a conversation that was brought back and is disposed of', () => {
  it('leaves no copy and nothing that says there is one', async () => {
    const [id = ''] = await world.archived(1, 4);
    world.clock.pass((3 * 365 - 90) * DAY);
    await world.host().rehydrator.request(conversationType, id, 'high', caller());
    for (let day = 0; day < 2; day += 1) {
      world.clock.pass(2 * DAY);
      await world.archive(world.host(), 'dispose');
    }
    expect(await world.asks(id)).toBe('record-erased');
    expect(world.rows('y:', 'conversations')).toEqual([]);
    await world.archive(world.host(), 'rehydrate');
    expect(world.blobs().filter(({ name }) => name.includes('/_rehydrated/'))).toEqual([]);
  });
});

describe('a hold on a subject', () => {
  it('keeps what is in the archive, for whom it is about is not known then', async () => {
    const [id = ''] = await world.archived(1, 4);
    const { hold } = await world.host().holds.place({ scope: { subject: 'p-4711' }, reason: 'A case.' }, caller()); // prettier-ignore
    world.clock.pass(3 * 365 * DAY);
    expect(await world.archive(world.host(), 'dispose')).toMatchObject({ held: 1 });
    expect(await world.asks(id)).toBe('record-archived');
    await world.host().holds.release(hold.hold_id, { reason: 'Closed.' }, caller());
    world.clock.pass(DAY);
    expect(await world.archive(world.host(), 'dispose')).toMatchObject({ disposed: 1 });
    expect(await world.asks(id)).toBe('record-erased');
  });
});
