import { beforeEach, describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/domain/limits.js';
import { conversationType } from '../../src/records/conversation.js';
import { digestKey } from '../../src/storage/series-rows.js';
import { withRowChecksum } from '../../src/storage/row-checksum.js';
import { fsckOf, PassingClock } from '../audit/fsck-world.js';
import { countingPorts } from '../support/counting-ports.js';
import { caller } from '../support/platform.js';
import type { PortCall } from '../support/wrap-ports.js';
import { LONG, StreamWorld, TABLE } from './stream-world.js';
import { collector, DAY, HOUR, round, Sleeper } from './support.js';

let world: StreamWorld;
beforeEach(() => {
  world = new StreamWorld();
});

const look = async () => {
  const { told } = await fsckOf(world.ports, {
    clock: new PassingClock(world.clock.now() + HOUR),
    open: true,
  });
  expect(told.filter(({ level }) => level === 'error')).toEqual([]);
  return told.map(({ code }) => code);
};
const tiersOfPacks = () => world.streamPacks().map(({ tier }) => tier);
const post = (id: string, more: object = {}) =>
  world.host().manager.addPart(conversationType, id, 'messages', { sender: 'é', content: 'One more', ...more }, undefined, caller()); // prettier-ignore
const rehydrate = (id: string) => world.host().rehydrator.request(conversationType, id, 'standard', caller());
const events = (type: string) =>
  world
    .rows('o:', TABLE)
    .map(({ properties }) => JSON.parse(String(properties['event'])) as Record<string, unknown>)
    .filter((event) => event['event_type'] === type);

describe('the messages of conversations', () => {
  it('go from hot to cool to archive by their age, in packs of many, and are the same as long as they can be read', async () => {
    const ids = await world.talks(4, 1);
    const before = await world.heard(ids);
    expect(world.appends()).toHaveLength(4);
    expect(await world.archive()).toMatchObject({ lookedAt: 4 });
    world.clock.pass(31 * DAY);
    expect(await world.archive()).toMatchObject({ movedStreams: 4, packs: 1, held: 0, damaged: 0, overtaken: 0 }); // prettier-ignore
    expect([world.appends(), tiersOfPacks()]).toEqual([[], ['cool']]);
    const [pack] = world.packs(TABLE);
    expect(pack).toMatchObject({ state: 'stored', tier: 'cool', bytes: world.streamPacks()[0]?.bytes.length }); // prettier-ignore
    expect(pack?.members).toEqual(ids.map((id) => ({ id, revision: 1 })));
    expect(await world.heard(ids)).toBe(before);
    expect(await look()).toEqual([]);
    // The second time there is nothing to do.
    expect(await world.archive()).not.toHaveProperty('movedStreams');
    world.clock.pass(60 * DAY);
    expect(await world.archive()).toMatchObject({ archivedStreams: 4, archivedPacks: 1 });
    expect(tiersOfPacks()).toEqual(['archive']);
    for (const id of ids) expect(await world.asks(id)).toBe('record-archived');
    const { items } = await world.host().manager.list(conversationType, { filters: {}, limit: 10 }, caller());
    expect(items.map(({ message_count: count }) => count)).toEqual([1, 1, 1, 1]);
    expect(await look()).toEqual(['pack.archived']);
    const told = events('record.archived').filter(({ resource_id: id }) => id === ids[0]);
    expect(told.map(({ details }) => details)).toEqual(
      expect.arrayContaining([
        {
          from: 'hot',
          to: 'cool',
          pack: pack?.blob,
          part: 'messages',
          entries: { from: 1, to: 1, count: 1 },
        },
        { from: 'cool', to: 'archive', pack: pack?.blob, part: 'messages', entries: { from: 1, to: 1, count: 1 } }, // prettier-ignore
      ]),
    );
    for (let year = 0; year < 2; year += 1) {
      world.clock.pass(365 * DAY);
      await world.archive();
      await round(collector(world.ports, world.clock, [conversationType]), world.clock.now());
    }
    expect(tiersOfPacks()).toEqual(['archive']);
    expect(await look()).toEqual(['pack.archived']);
  });

  it('cost a range read, a read, a transaction and a delete for each conversation, and a look each day', async () => {
    const ofStreams = ({ args }: PortCall): boolean => args[0] === TABLE || args[0] === 'records';
    const run = async (count: number) => {
      world = new StreamWorld();
      await world.talks(count, 1);
      world.clock.pass(31 * DAY);
      const counted = countingPorts(world.ports);
      await world.archive(world.host(undefined, counted.ports));
      const cool = counted.counts(ofStreams);
      counted.reset();
      world.clock.pass(60 * DAY);
      await world.archive(world.host(undefined, counted.ports));
      return [cool, counted.counts(ofStreams)] as const;
    };
    const [cool, archived] = await run(4);
    // Packs, how far all have moved, their heads; the rows of each. The pack: its row three times, and three for its blob.
    expect(cool).toEqual({
      'tables.range': 3 + 4,
      'blobs.find': 4 + 1,
      'blobs.putOnce': 1,
      'blobs.setTier': 1,
      'blobs.delete': 4,
      'tables.commit': 4 + 3,
    });
    // Packs, the rows and heads of its records; and as before.
    expect(archived).toEqual({ 'tables.range': 3 + 2, 'blobs.setTier': 1, 'tables.commit': 4 + 1 });
    const [twice] = await run(8);
    expect([twice['blobs.find'], twice['tables.commit'], twice['tables.range']]).toEqual([9, 11, 11]);
  });

  it('stay hot while there is too little of them, and while anybody says something', async () => {
    const [id = ''] = await world.talks(1, 2);
    const [other = ''] = await world.talks(1, 1);
    world.clock.pass(31 * DAY);
    expect(await world.archive()).toMatchObject({ waitingStreams: 2 });
    await world.say(id, 4);
    expect(await world.archive()).toMatchObject({ waitingStreams: 1 });
    world.clock.pass(31 * DAY);
    expect(await world.archive()).toMatchObject({ movedStreams: 2, packs: 1 });
    // Its pack waits as long as one of them goes on.
    world.clock.pass(40 * DAY);
    await world.say(other, 1);
    world.clock.pass(70 * DAY);
    expect(await world.archive()).not.toHaveProperty('archivedStreams');
    expect(tiersOfPacks()).toEqual(['cool']);
    world.clock.pass(20 * DAY);
    expect(await world.archive()).toMatchObject({ archivedStreams: 2 });
    expect(await look()).toEqual(['pack.archived']);
  });

  it('that have not moved out of their rows wait until they have', async () => {
    const [id = ''] = await world.talks(1, 4);
    await post(id);
    world.clock.pass(31 * DAY);
    expect(await world.archive()).not.toHaveProperty('movedStreams');
    await world.move(id);
    expect(await world.archive()).toMatchObject({ movedStreams: 1 });
  });

  it('are tried out without anything being written', async () => {
    await world.talks(4, 1);
    world.clock.pass(31 * DAY);
    const rows = JSON.stringify(world.rows('', TABLE));
    const { counts } = await world.host().jobs.tryOut('archive', { dryRun: true });
    expect(counts).toMatchObject({ wouldMoveStreams: 4 });
    expect([JSON.stringify(world.rows('', TABLE)) === rows, world.streamPacks()]).toEqual([true, []]);
  });

  it('that are on hold stay where they are, and so does a pack that has some', async () => {
    const ids = await world.talks(5, 1);
    const [first = '', second = ''] = ids;
    const hold = (id: string) =>
      world.host().holds.place({ scope: { record: { collection: 'conversations', id } }, reason: 'A case.' }, caller()); // prettier-ignore
    await hold(first);
    world.clock.pass(31 * DAY);
    expect(await world.archive()).toMatchObject({ movedStreams: 4, held: 2 });
    expect(world.appends().map(({ name }) => name.includes(first))).toEqual([true]);
    const { hold: placed } = await hold(second);
    world.clock.pass(60 * DAY);
    await world.archive();
    expect(tiersOfPacks()).toEqual(['cool']);
    await world.host().holds.release(placed.hold_id, { reason: 'Closed.' }, caller());
    expect(await world.archive()).toMatchObject({ archivedStreams: 4 });
  });

  it('that come on hold while their pack is written are in it, and their rows and blobs stay', async () => {
    const [first = ''] = await world.talks(5, 1);
    world.clock.pass(31 * DAY);
    const sleeper = new Sleeper(({ method }) => method === 'setTier');
    const archiving = world.archive(world.host(sleeper.intercept));
    await sleeper.asleep;
    await world.host().holds.place({ scope: { record: { collection: 'conversations', id: first } }, reason: 'A case.' }, caller()); // prettier-ignore
    sleeper.wake();
    // The conversation is held, and its messages are.
    expect(await archiving).toMatchObject({ movedStreams: 4, held: 2 });
    expect(world.appends().map(({ name }) => name.includes(first))).toEqual([true]);
    expect(await world.asks(first)).toBe('heard');
  });

  it('that are damaged are told of and left, and the rest moves', async () => {
    const ids = await world.talks(5, 1);
    const [blob] = world.appends();
    const { name = '', bytes = new Uint8Array() } = blob ?? {};
    await world.ports.blobs.delete('records', name);
    await world.ports.blobs.createAppend('records', name);
    await world.ports.blobs.append('records', name, Buffer.from(Buffer.from(bytes).toString().replace('"seq":1', '"seq":2')), 0); // prettier-ignore
    world.clock.pass(31 * DAY);
    expect(await world.archive()).toMatchObject({ movedStreams: 4, damaged: 1 });
    expect(world.appends().map((one) => one.name)).toEqual([name]);
    const found = world.rows('o:', 'auditevents').filter(({ properties }) => String(properties['event']).includes('integrity.failed')); // prettier-ignore
    expect(found).toHaveLength(1);
    expect(await world.asks(ids[1] ?? '')).toBe('heard');
  });
});

describe('a pack of messages', () => {
  it('that does not read as it was written is told of, and nothing moves into it', async () => {
    const ids = await world.talks(4, 1);
    const before = await world.heard(ids);
    world.clock.pass(31 * DAY);
    const host = world.host(async ({ method, args }, run) => {
      const [container, name, bytes] = args as [string, string, Uint8Array];
      if (method !== 'putOnce' || !name.includes('/_streams/')) return run();
      return world.ports.blobs.putOnce(container, name, bytes.with(1000, 0), '');
    });
    expect(await world.archive(host)).toMatchObject({ movedStreams: 0 });
    expect(world.rows('o:', 'auditevents').map(({ properties }) => String(properties['event'])).filter((event) => event.includes('"what":"pack"'))).toHaveLength(1); // prettier-ignore
    expect([world.appends().length, await world.heard(ids)]).toEqual([4, before]);
    // It goes, and is written anew.
    world.clock.pass(2 * DAY);
    expect(await world.archive()).toMatchObject({ removedPacks: 1, movedStreams: 4 });
    expect(await world.heard(ids)).toBe(before);
  });
});

describe('a conversation that is cool', () => {
  it('is answered, edited and goes on, in a file of its own, which is archived in its turn', async () => {
    const [id = ''] = await world.cooled(1, 4);
    const { items } = await world.host().manager.listParts(conversationType, id, 'messages', { limit: 10 }, caller()); // prettier-ignore
    const edit = { message_id: items[1]?.['message_id'], sender: 'é', content: 'Not so' };
    await world.host().manager.addPart(conversationType, id, 'edits', edit, undefined, caller());
    await world.say(id, 4);
    expect(world.appends().map(({ name }) => name.slice(-10))).toEqual(['0002.jsonl']);
    const before = await world.heard([id]);
    expect(before).toContain('Not so');
    world.clock.pass(31 * DAY);
    expect(await world.archive()).toMatchObject({ movedStreams: 1 });
    expect([world.appends(), tiersOfPacks()]).toEqual([[], ['cool', 'cool']]);
    expect(await world.heard([id])).toBe(before);
    expect(await look()).toEqual([]);
    world.clock.pass(60 * DAY);
    expect(await world.archive()).toMatchObject({ archivedStreams: 2, archivedPacks: 2 });
    expect((await rehydrate(id)).status).toBe('succeeded');
    expect(await world.heard([id])).toBe(before);
  });

  it('costs a read of the blob that is gone, one of its row and one of the pack', async () => {
    const [id = ''] = await world.cooled(1, 4);
    const counted = countingPorts(world.ports);
    const { manager } = world.host(undefined, counted.ports);
    const run = async () => {
      await manager.listParts(conversationType, id, 'messages', { limit: 10, fromMs: 0 }, caller());
      return counted.counts();
    };
    await run();
    counted.reset();
    expect(await run()).toMatchObject({ 'blobs.find': 1 + 2 });
  });

  it('of more than one full file moves a file at a time', async () => {
    const [id = ''] = await world.talks(1, 4);
    const [row] = world.rows(digestKey(id), TABLE);
    const { row_checksum: _, ...come } = row?.properties ?? {};
    const properties = withRowChecksum(row?.partitionKey ?? '', digestKey(id), { ...come, blocks: LIMITS.streamBlocks }); // prettier-ignore
    await world.ports.tables.commit(TABLE, row?.partitionKey ?? '', [{ kind: 'replace', rowKey: digestKey(id), properties, etag: '*' }]); // prettier-ignore
    await world.say(id, 4);
    expect(world.appends()).toHaveLength(2);
    const before = await world.heard([id]);
    world.clock.pass(31 * DAY);
    expect(await world.archive()).toMatchObject({ movedStreams: 2, packs: 2 });
    expect([world.appends(), tiersOfPacks()]).toEqual([[], ['cool', 'cool']]);
    expect(await world.heard([id])).toBe(before);
  });

  it('is streamed in blocks, with no more in memory than one', async () => {
    const [id = ''] = await world.talks(1, 52, 'x'.repeat(65_000));
    const [blob] = world.appends();
    expect(blob?.bytes.length).toBeGreaterThan(LIMITS.blockBytes);
    const before = await world.heard([id]);
    world.clock.pass(31 * DAY);
    let largest = 0;
    const host = world.host(async (call, run) => {
      const done = await run();
      const [, , third, fourth] = call.args as [string, string, unknown, unknown];
      const sent = call.method === 'stageBlock' ? fourth : call.method === 'putOnce' ? third : undefined;
      const read = call.method === 'find' && call.port === 'blobs' ? (done as { bytes: Uint8Array } | undefined)?.bytes : undefined; // prettier-ignore
      largest = Math.max(largest, (sent as Uint8Array | undefined)?.length ?? 0, read?.length ?? 0);
      return done;
    });
    expect(await world.archive(host)).toMatchObject({ movedStreams: 1 });
    expect(largest).toBeGreaterThan(LIMITS.blockBytes / 2);
    expect(largest).toBeLessThanOrEqual(LIMITS.blockBytes);
    expect(Buffer.compare(world.streamPacks()[0]?.bytes ?? Buffer.of(), blob?.bytes ?? Buffer.of(1))).toBe(0);
    expect(await world.heard([id])).toBe(before);
  }, 60_000);
});

describe('a conversation in the archive', () => {
  it('takes nothing until it is brought back, whole and for seven days, though its own record is hot', async () => {
    const [id = '', other = ''] = await world.archived(2, 2);
    expect(world.rows('r:', 'conversations').map(({ properties }) => properties['tier'])).toEqual(['hot', 'hot']); // prettier-ignore
    const rows = JSON.stringify(world.rows('', TABLE));
    await expect(post(id)).rejects.toMatchObject({ code: 'record-archived' });
    expect(JSON.stringify(world.rows('', TABLE))).toBe(rows);
    world.copiesWait = true;
    const asked = await rehydrate(id);
    expect([asked.status, await world.asks(id)]).toEqual(['pending', 'record-archived']);
    await expect(post(id)).rejects.toMatchObject({ code: 'record-archived' });
    world.storage.endCopies();
    expect((await rehydrate(id)).id).toBe(asked.id);
    expect([await world.asks(id), await world.asks(other)]).toEqual(['heard', 'record-archived']);
    await post(id);
    await world.move(id);
    expect((await world.host().manager.get(conversationType, id, caller())).envelope.data['message_count']).toBe(3); // prettier-ignore
    world.clock.pass(8 * DAY);
    expect(await world.archive(world.host(), 'rehydrate')).toEqual({ dropped: 1 });
    expect(await world.asks(id)).toBe('record-archived');
    expect(tiersOfPacks()).toEqual(['archive']);
    expect(await look()).toEqual(['pack.archived']);
  });

  it('is the same once it is back', async () => {
    const ids = await world.cooled(2, 2);
    const before = await world.heard(ids);
    world.clock.pass(60 * DAY);
    await world.archive();
    for (const id of ids) await rehydrate(id);
    expect(await world.heard(ids)).toBe(before);
  });

  it('does not go there before it is known whom everything of its tenant is about', async () => {
    const unknown = world.host();
    await world.cooled(1, 4);
    const { rows } = world.storage.contents();
    const complete = rows.find(({ row }) => row.rowKey === 'c:complete');
    await world.ports.tables.commit('subjects', complete?.row.partitionKey ?? '', [{ kind: 'delete', rowKey: 'c:complete', etag: '*' }]); // prettier-ignore
    world.clock.pass(60 * DAY);
    expect(await world.archive(unknown)).not.toHaveProperty('archivedStreams');
    expect(tiersOfPacks()).toEqual(['cool']);
  });

  it('goes with its record, and its pack with the last of those in it', async () => {
    const ids = await world.archived(2, 2);
    await rehydrate(ids[0] ?? '');
    world.clock.pass(4 * 365 * DAY);
    for (let day = 0; day < 3; day += 1) {
      await world.archive(world.host(), 'dispose');
      world.clock.pass(2 * DAY);
    }
    expect(await world.asks(ids[0] ?? '')).toBe('record-erased');
    await world.archive(world.host(), 'rehydrate');
    expect(await world.archive()).toMatchObject({ removedPacks: 1 });
    expect([world.blobs(), world.rows('a:', TABLE), world.rows('w:', TABLE), world.rows('y:', 'conversations')]).toEqual([[], [], [], []]); // prettier-ignore
    expect(await look()).toEqual([]);
  });
});

describe('those who come at the same time', () => {
  it('are a writer that slept while the file it was about to append to was archived', async () => {
    const [id = ''] = await world.talks(1, 4);
    await post(id);
    const sleeper = new Sleeper(({ method }) => method === 'append');
    const slow = world.move(id, world.host(sleeper.intercept));
    await sleeper.asleep;
    await world.move(id);
    world.clock.pass(31 * DAY);
    expect(await world.archive()).toMatchObject({ movedStreams: 1 });
    await post(id);
    sleeper.wake();
    // It has no time left, and has done nothing.
    await expect(slow).rejects.toMatchObject({ code: 'storage-unavailable' });
    await world.move(id);
    const { items } = await world.host().manager.listParts(conversationType, id, 'messages', { limit: 10 }, caller()); // prettier-ignore
    expect(items).toHaveLength(6);
    expect(await look()).toEqual([]);
  });

  it('are somebody who adds while the pack is written: what was packed moves, what came later stays', async () => {
    const [id = ''] = await world.talks(1, 4);
    world.clock.pass(31 * DAY);
    const sleeper = new Sleeper(({ method }) => method === 'setTier');
    const archiving = world.archive(world.host(sleeper.intercept));
    await sleeper.asleep;
    await post(id);
    await world.move(id);
    sleeper.wake();
    expect(await archiving).toMatchObject({ movedStreams: 0, overtaken: 1 });
    expect([world.appends().length, world.streamPacks(), world.packs(TABLE)]).toEqual([1, [], []]);
    expect(await world.asks(id)).toBe('heard');
  });

  it('are one who packs and slept for days: its pack is gone, and it names it in no row', async () => {
    const ids = await world.talks(2, 2);
    const before = await world.heard(ids);
    world.clock.pass(31 * DAY);
    const sleeper = new Sleeper(({ method }) => method === 'setTier');
    const slow = world.host(sleeper.intercept).jobs.tryOut('archive', {});
    await sleeper.asleep;
    world.clock.pass(2 * DAY);
    expect(await world.archive()).toMatchObject({ removedPacks: 1, movedStreams: 2 });
    sleeper.wake();
    await slow.catch(() => undefined);
    expect(await world.heard(ids)).toBe(before);
    world.clock.pass(2 * DAY);
    await world.archive();
    expect([world.packs(TABLE).map(({ state }) => state), world.streamPacks().length]).toEqual([['stored'], 1]); // prettier-ignore
    expect(await look()).toEqual([]);
  });

  it('are one who slept right before it said where a file had gone: the pack was given up, and the file stays', async () => {
    const [id = ''] = await world.talks(1, 4);
    const before = await world.heard([id]);
    world.clock.pass(31 * DAY);
    const saysIt = ({ method, args }: PortCall): boolean =>
      method === 'commit' && args[0] === TABLE && (args[2] as readonly { rowKey: string }[])[0]?.rowKey === digestKey(id); // prettier-ignore
    const sleeper = new Sleeper(saysIt);
    const slow = world.host(sleeper.intercept).jobs.tryOut('archive', {});
    await sleeper.asleep;
    // Nobody else moves it meanwhile.
    await world.host().holds.place({ scope: { record: { collection: 'conversations', id } }, reason: 'A case.' }, caller()); // prettier-ignore
    world.clock.pass(2 * DAY);
    expect(await world.archive()).toMatchObject({ removedPacks: 1 });
    sleeper.wake();
    expect((await slow).counts).toMatchObject({ movedStreams: 0, overtaken: 1 });
    expect(await world.heard([id])).toBe(before);
    expect([world.appends().length, world.streamPacks(), world.packs(TABLE)]).toEqual([1, [], []]);
  });

  it('are a reader that had read the rows before: it finds where their lines have gone, or that they are in the archive', async () => {
    const [id = ''] = await world.talks(1, 4);
    const reading = (sleeper: Sleeper) =>
      world.host(sleeper.intercept).manager.listParts(conversationType, id, 'messages', { limit: 10 }, caller()); // prettier-ignore
    world.clock.pass(31 * DAY);
    const first = new Sleeper(({ method, port }) => method === 'find' && port === 'blobs');
    const early = reading(first);
    await first.asleep;
    expect(await world.archive()).toMatchObject({ movedStreams: 1 });
    first.wake();
    expect((await early).items).toHaveLength(4);
    // Of the pack, which goes into the archive before it is read.
    const second = new Sleeper(({ method, args }) => method === 'find' && String(args[1]).includes('/_streams/')); // prettier-ignore
    const late = reading(second);
    await second.asleep;
    world.clock.pass(60 * DAY);
    expect(await world.archive()).toMatchObject({ archivedStreams: 1 });
    second.wake();
    await expect(late).rejects.toMatchObject({ code: 'record-archived' });
  });

  it('are two who pack: one of them moves each, and one pack is left', async () => {
    const ids = await world.talks(3, 2);
    const before = await world.heard(ids);
    world.clock.pass(31 * DAY);
    const hosts = [world.host(), world.host(), world.host()];
    const counts = await Promise.all(hosts.map(async ({ jobs }) => (await jobs.tryOut('archive', {})).counts)); // prettier-ignore
    expect(counts.reduce((sum, one) => sum + (one['movedStreams'] ?? 0), 0)).toBe(3);
    expect(await world.heard(ids)).toBe(before);
    expect([world.appends(), world.streamPacks().length === world.packs(TABLE).length]).toEqual([[], true]);
    expect(world.packs(TABLE).flatMap(({ members }) => members)).toHaveLength(3);
    expect(await look()).toEqual([]);
  });

  it('are one who moves it into the archive and one who adds: nothing is stored that cannot be answered', async () => {
    const [id = ''] = await world.cooled(1, 4);
    world.clock.pass(60 * DAY);
    const sleeper = new Sleeper(({ method, args }) => method === 'commit' && args[0] === TABLE);
    const adding = world.host(sleeper.intercept).manager.addPart(conversationType, id, 'messages', { sender: 'é', content: LONG }, undefined, caller()); // prettier-ignore
    await sleeper.asleep;
    expect(await world.archive()).toMatchObject({ archivedStreams: 1 });
    sleeper.wake();
    await expect(adding).rejects.toMatchObject({ code: 'record-archived' });
    expect(world.rows(`p:${id}`, TABLE)).toHaveLength(4);
  });
});
