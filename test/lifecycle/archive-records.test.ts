import { beforeEach, describe, expect, it } from 'vitest';
import { isAppError } from '../../src/domain/errors.js';
import { agentStateType } from '../../src/records/agent-state.js';
import { covenantType } from '../../src/records/covenant.js';
import { decisionType } from '../../src/records/decision.js';
import { fsckOf, PassingClock } from '../audit/fsck-world.js';
import { countingPorts } from '../support/counting-ports.js';
import { runRound, workAll } from '../support/courier.js';
import { caller } from '../support/platform.js';
import { bodyOf } from '../support/subjects.js';
import { wrapPorts, type PortCall } from '../support/wrap-ports.js';
import { ArchiveWorld, ENOUGH, HUGE, LONG } from './archive-world.js';
import { collector, DAY, diesAt, HOUR, round, Sleeper, VOTE } from './support.js';

let world: ArchiveWorld;
beforeEach(() => {
  world = new ArchiveWorld();
});

const tiers = (prefix: string, table?: string) =>
  [...new Set(world.rows(prefix, table).map(({ properties }) => properties['tier']))].sort();
const collect = () => round(collector(world.ports, world.clock), world.clock.now());
const look = async () => {
  for (const open of [false, true]) {
    const { told } = await fsckOf(world.ports, { clock: new PassingClock(world.clock.now() + HOUR), open });
    expect(told.filter(({ level }) => level === 'error')).toEqual([]);
    if (open) return told.map(({ code }) => code);
  }
  return [];
};
const HALF = ENOUGH / 2;
const small = 'x'.repeat(500);
const vote = (id: string, agent: string) =>
  world.host().manager.act(decisionType, id, 'votes', { ...VOTE, agent }, undefined, caller());

describe('years of decisions', () => {
  it('go from hot to cool to archive by their age, and read the same as long as they can be read', async () => {
    const ids = await world.decisions(ENOUGH);
    const before = await world.seen(ids);
    expect(await world.archive()).toEqual({ lookedAt: 0 });
    world.clock.pass(31 * DAY);
    expect(await world.archive()).toEqual({ lookedAt: ENOUGH, records: ENOUGH, moved: 2 * ENOUGH, packs: 1, damaged: 0, overtaken: 0, held: 0 }); // prettier-ignore
    expect([tiers('r:'), tiers('v:'), tiers('i:')]).toEqual([['cool'], ['cool'], ['cool']]);
    expect(world.blobs().map(({ tier }) => tier)).toEqual(['cool']);
    expect(world.packs()).toMatchObject([
      { state: 'stored', tier: 'cool', bytes: world.blobs()[0]?.bytes.length },
    ]);
    expect(world.packs()[0]?.members).toHaveLength(2 * ENOUGH);
    expect(await world.seen(ids)).toEqual(before);
    expect(await look()).toEqual([]);
    // The second time there is nothing to do.
    expect(await world.archive()).toEqual({ lookedAt: ENOUGH });
    world.clock.pass(60 * DAY);
    expect(await world.archive()).toMatchObject({ archived: 2 * ENOUGH, archivedPacks: 1, held: 0 });
    expect(world.blobs().map(({ tier }) => tier)).toEqual(['archive']);
    expect([tiers('r:'), tiers('v:'), tiers('i:')]).toEqual([['archive'], ['archive'], ['archive']]);
    const { manager } = world.host();
    await expect(manager.get(decisionType, ids[0] as string, caller())).rejects.toMatchObject({
      code: 'record-archived',
    });
    expect(await look()).toEqual(['pack.archived']);
    for (let year = 0; year < 3; year += 1) {
      world.clock.pass(365 * DAY);
      await world.archive();
      await collect();
    }
    expect(world.blobs().map(({ tier }) => tier)).toEqual(['archive']);
    expect(await look()).toEqual(['pack.archived']);
  });

  it('cost a read, a delete and a third of a transaction more for each revision, and a look each day', async () => {
    const run = async (count: number) => {
      world = new ArchiveWorld();
      await world.decisions(count, { votes: 2 });
      world.clock.pass(31 * DAY);
      const counted = countingPorts(world.ports);
      await world.archive(world.host(undefined, counted.ports));
      const cool = counted.counts(({ args }: PortCall) => args[0] === 'decisions' || args[0] === 'records');
      counted.reset();
      world.clock.pass(60 * DAY);
      await world.archive(world.host(undefined, counted.ports));
      return [cool, counted.counts(({ args }: PortCall) => args[0] === 'decisions' || args[0] === 'records')] as const; // prettier-ignore
    };
    const [cool, archived] = await run(HALF);
    // Packs: one range. Records: a range of them, one of their revisions. The pack: its row, again, and four for its blob.
    expect(cool).toEqual({
      'tables.range': 3,
      'blobs.find': 3 * HALF + 1,
      'blobs.putOnce': 1,
      'blobs.setTier': 1,
      'blobs.delete': 3 * HALF,
      'tables.commit': HALF + 2,
    });
    // Packs, revisions and records of the pack, records after it; a transaction for each record, and one for the pack.
    expect(archived).toEqual({ 'tables.range': 4, 'blobs.setTier': 1, 'tables.commit': HALF + 1 });
    const [twice] = await run(2 * HALF);
    expect(twice['blobs.find']).toBe(2 * 3 * HALF + 1);
    expect(twice['tables.commit']).toBe(2 * HALF + 2);
  });

  it('wait while they are less than a pack', async () => {
    const ids = await world.decisions(3, { context: small });
    world.clock.pass(200 * DAY);
    expect(await world.archive()).toEqual({ lookedAt: 3, waiting: 6 });
    expect(world.rows('a:')).toEqual([]);
    expect(tiers('r:')).toEqual(['hot']);
    expect((await world.seen(ids)).size).toBe(3);
  });

  it('are tried out without anything being written', async () => {
    await world.decisions(ENOUGH);
    world.clock.pass(31 * DAY);
    const rows = JSON.stringify(world.rows(''));
    const { counts } = await world.host().jobs.tryOut('archive', { dryRun: true });
    expect(counts).toEqual({ lookedAt: ENOUGH, wouldMove: 2 * ENOUGH });
    expect(JSON.stringify(world.rows(''))).toBe(rows);
  });

  it('are packed by partition and tenant, and in several packs where they are many', async () => {
    const mine = await world.decisions(6, { context: HUGE, votes: 3 });
    const theirs = await world.decisions(3, { context: HUGE, tenant: 'acme' });
    world.clock.pass(31 * DAY);
    expect(await world.archive()).toMatchObject({ moved: 6 * 4 + 3 * 2, packs: 3 });
    const names = world.packs().map(({ blob, bytes }) => [blob.split('/')[0], bytes > 128 * 1024]);
    expect(names.sort()).toEqual([['acme', true], ['default', true], ['default', true]]); // prettier-ignore
    expect((await world.seen(mine)).size + (await world.seen(theirs, 'acme')).size).toBe(9);
    expect(await look()).toEqual([]);
  });
});

describe('a decision', () => {
  it('of very many revisions moves in several transactions, the current one last', async () => {
    const [id = ''] = await world.decisions(1, { votes: 75, context: small });
    const before = await world.seen([id]);
    world.clock.pass(31 * DAY);
    let moments = 0;
    const host = world.host(async (call, run) => {
      const done = await run();
      if (call.method === 'commit' && call.args[0] === 'decisions') {
        moments += 1;
        expect(await world.seen([id])).toEqual(before);
      }
      return done;
    });
    expect(await world.archive(host)).toMatchObject({ moved: 76, packs: 1 });
    // The row of the pack, written and settled, and two transactions of at most 70 revisions.
    expect(moments).toBe(2 + 2);
    expect(await look()).toEqual([]);
  });

  it('that is held stays where it is, and moves once it is not', async () => {
    const ids = await world.decisions(ENOUGH);
    const [first = '', second = ''] = ids;
    const { holds } = world.host();
    const placed = await holds.place({ scope: { record: { collection: 'decisions', id: first } }, reason: 'A case.' }, caller()); // prettier-ignore
    const loose = () => world.blobs().filter(({ name }) => name.includes(first)).length;
    world.clock.pass(31 * DAY);
    expect(await world.archive()).toMatchObject({ records: ENOUGH - 1, held: 1 });
    expect([loose(), world.blobs().filter(({ name }) => name.includes(second)).length]).toEqual([2, 0]);
    // One is not enough for a pack of its own.
    await holds.release(placed.hold.hold_id, { reason: 'Closed.' }, caller());
    expect(await world.archive()).toMatchObject({ waiting: 2 });
    // A pack that has what is held does not go into the archive either.
    await world.host().holds.place({ scope: { record: { collection: 'decisions', id: second } }, reason: 'Too.' }, caller()); // prettier-ignore
    world.clock.pass(90 * DAY);
    expect(await world.archive()).toMatchObject({ held: 1 });
    expect((await world.seen([first, second])).size).toBe(2);
  });

  it('that is held while its pack is being written is in the pack, and its rows and blobs stay', async () => {
    const [first = ''] = await world.decisions(ENOUGH);
    world.clock.pass(31 * DAY);
    const sleeper = new Sleeper(({ method }) => method === 'setTier');
    const archiving = world.archive(world.host(sleeper.intercept));
    await sleeper.asleep;
    await world.host().holds.place({ scope: { record: { collection: 'decisions', id: first } }, reason: 'A case.' }, caller()); // prettier-ignore
    sleeper.wake();
    expect(await archiving).toMatchObject({ held: 1, records: ENOUGH - 1 });
    expect(world.blobs().filter(({ name }) => name.includes(first))).toHaveLength(2);
    expect(world.packs()[0]?.members.some(({ id }) => id === first)).toBe(false);
  });

  it('about somebody on hold stays where it is', async () => {
    const { manager, holds } = world.host();
    await world.decisions(ENOUGH);
    const body = { decision_type: 'strategic', title: 'About Zoe', metadata: { subject_ids: ['p-4711'] } };
    const { envelope } = await manager.create(decisionType, { ...body, inputs: { context: LONG } }, caller());
    await holds.place({ scope: { subject: 'p-4711' }, reason: 'A case.' }, caller());
    world.clock.pass(31 * DAY);
    expect(await world.archive()).toMatchObject({ records: ENOUGH, held: 1 });
    expect((await manager.get(decisionType, envelope.id, caller())).envelope.tier).toBe('hot');
  });

  it('that is damaged is told of and left', async () => {
    const ids = await world.decisions(ENOUGH);
    const [row] = world.rows(`v:${ids[3] ?? ''}:0000000002`);
    const blob = String(row?.properties['blob']);
    const found = await world.ports.blobs.find('records', blob);
    const bytes = Buffer.from(found?.bytes ?? []).toString().replace('Decision 3', 'Decision 4'); // prettier-ignore
    await world.ports.blobs.delete('records', blob);
    await world.ports.blobs.putOnce('records', blob, Buffer.from(bytes), 'application/json');
    world.clock.pass(31 * DAY);
    expect(await world.archive()).toMatchObject({ damaged: 1, moved: 2 * ENOUGH - 1 });
    expect(world.blobs().map(({ name }) => name)).toContain(blob);
    const told = world.storage.contents().rows.filter(({ row: { rowKey, properties } }) => rowKey.startsWith('r:') && String(properties['event']).includes('integrity.failed')); // prettier-ignore
    expect(told).toHaveLength(1);
    // What can be read of it still can.
    await world.host().manager.getRevision(decisionType, ids[3] ?? '', 1, caller());
  });

  it('that is written meanwhile keeps what was written, and is left for the next time', async () => {
    const ids = await world.decisions(ENOUGH);
    const [busy = ''] = ids;
    world.clock.pass(31 * DAY);
    const sleeper = new Sleeper(({ method }) => method === 'setTier');
    const archiving = world.archive(world.host(sleeper.intercept));
    await sleeper.asleep;
    await vote(busy, 'cto');
    sleeper.wake();
    expect(await archiving).toMatchObject({ records: ENOUGH - 1, overtaken: 2 });
    const { manager } = world.host();
    const { envelope } = await manager.get(decisionType, busy, caller());
    expect([envelope.revision, envelope.tier]).toEqual([3, 'hot']);
    expect((await world.seen(ids)).size).toBe(ENOUGH);
    expect(await look()).toEqual([]);
    // A change of what is cool: the new revision is hot, the others stay in their pack.
    await vote(ids[1] ?? '', 'cto');
    expect(world.rows(`v:${ids[1] ?? ''}`).map(({ properties }) => properties['tier'])).toEqual(['cool', 'cool', 'hot']); // prettier-ignore
    expect((await world.seen(ids)).size).toBe(ENOUGH);
  });

  it('read by somebody who has its row from before is found in its pack', async () => {
    const ids = await world.decisions(ENOUGH);
    world.clock.pass(31 * DAY);
    const sleeper = new Sleeper(({ method }) => method === 'find');
    const { manager } = world.host((call, run) =>
      call.port === 'blobs' ? sleeper.intercept(call, run) : run(),
    );
    const reading = manager.get(decisionType, ids[0] ?? '', caller());
    await sleeper.asleep;
    await world.archive();
    sleeper.wake();
    expect((await reading).envelope.revision).toBe(2);
  });

  it('that is packed by two hosts at once is packed once, and nothing is left over', async () => {
    const ids = await world.decisions(ENOUGH);
    const before = await world.seen(ids);
    world.clock.pass(31 * DAY);
    const sleeper = new Sleeper(({ method }) => method === 'setTier');
    const slow = world.host(sleeper.intercept).jobs.tryOut('archive', {});
    await sleeper.asleep;
    const { counts } = await world.host().jobs.tryOut('archive', {});
    sleeper.wake();
    expect(counts).toMatchObject({ moved: 2 * ENOUGH, packs: 1 });
    expect((await slow).counts).toMatchObject({ moved: 0, packs: 0, overtaken: 2 * ENOUGH });
    expect([world.blobs().length, world.packs().length]).toEqual([1, 1]);
    expect(await world.seen(ids)).toEqual(before);
    expect(await look()).toEqual([]);
  });

  it('of a batch moves out of the pack of the batch, which goes when nobody names it', async () => {
    const { manager } = world.host();
    const items = Array.from({ length: 30 }, (_, at) => ({ decision_type: 'strategic', title: `One ${String(at)}`, inputs: { context: LONG } })); // prettier-ignore
    const { items: made } = await manager.createBatch(decisionType, items, caller());
    world.clock.pass(31 * DAY);
    expect(await world.archive()).toMatchObject({ moved: 30 });
    expect(world.blobs().map(({ tier }) => tier).sort()).toEqual(['cool', 'hot']); // prettier-ignore
    expect(await collect()).toMatchObject({ collected: 1 });
    expect(world.blobs().map(({ tier }) => tier)).toEqual(['cool']);
    expect((await world.seen(made.map(({ id }) => id))).size).toBe(30);
  });
});

describe('what else there is', () => {
  it('of an agent only what is superseded moves, and what it is doing stays hot', async () => {
    await world.indexed();
    const { manager } = world.host();
    const put = (load: number) =>
      manager.put(agentStateType, { partition: 'cfo', name: 'cfo-1' }, { status: 'busy', current_load: load, configuration: { note: 'n'.repeat(20_000) } }, { ifMatch: undefined, onlyNew: false }, caller()); // prettier-ignore
    for (let load = 0; load < 8; load += 1) {
      await put(load / 10);
      world.clock.pass(HOUR);
    }
    world.clock.pass(31 * DAY);
    const { envelope } = await put(0.9);
    expect(await world.archive()).toMatchObject({ moved: 8, records: 1 });
    const rows = world.rows('v:', 'agents').map(({ properties }) => properties['tier']);
    expect(rows).toEqual([...Array<string>(8).fill('cool'), 'hot']);
    world.clock.pass(100 * DAY);
    expect(await world.archive()).toMatchObject({ archived: 8 });
    const current = await manager.get(agentStateType, envelope.id, caller({ fresh: true }));
    expect([current.envelope.tier, current.envelope.revision]).toEqual(['hot', 9]);
    const old = manager.getRevision(agentStateType, envelope.id, 1, caller());
    expect(isAppError(await old.catch((error: unknown) => error), 'record-archived')).toBe(true);
  });

  it('of covenants nothing moves', async () => {
    const { manager } = world.host();
    for (let at = 0; at < 40; at += 1)
      await manager.create(covenantType, bodyOf(covenantType, `c-${String(at)}`), caller()); // prettier-ignore
    world.clock.pass(400 * DAY);
    await world.archive();
    expect([tiers('r:', 'covenants'), world.rows('a:', 'covenants')]).toEqual([['hot'], []]);
  });
});

describe('by messages', () => {
  it('partitions of all tenants are archived by whoever takes them, wherever hosts die', async () => {
    const ids = [await world.decisions(ENOUGH), await world.decisions(ENOUGH, { tenant: 'acme' })];
    const before = [await world.seen(ids[0] ?? []), await world.seen(ids[1] ?? [], 'acme')];
    const passes: readonly (readonly [days: number, tier: string])[] = [
      [31, 'cool'],
      [61, 'archive'],
    ];
    for (const [days, tier] of passes) {
      world.clock.pass(days * DAY);
      for (let at = 7; at < 150; at += 29) {
        let calls = 0;
        const ports = wrapPorts(world.ports, diesAt(() => (calls += 1) > at)); // prettier-ignore
        await runRound(world.host(undefined, ports), ports, 'archive').catch(() => undefined);
        // Its claim and what it has of the queue run out, and what was lost is missed.
        world.clock.pass(20 * 60_000);
      }
      for (let runs = 0; runs < 4; runs += 1) {
        await world.host().jobs.run('archive');
        await workAll(world.host(), world.ports);
        world.clock.pass(20 * 60_000);
      }
      expect((await world.host().jobs.run('archive')).outcome).toBe('resting');
      // A pack that was left in the middle is settled in one round and moves on in the next.
      world.clock.pass(DAY);
      await runRound(world.host(), world.ports, 'archive');
      expect([tiers('r:'), tiers('v:'), tiers('i:')]).toEqual([[tier], [tier], [tier]]);
      if (tier === 'cool') expect([await world.seen(ids[0] ?? []), await world.seen(ids[1] ?? [], 'acme')]).toEqual(before); // prettier-ignore
    }
    expect(world.storage.messages().filter(({ queue }) => queue.startsWith('lifecycle'))).toEqual([]);
  });
});
