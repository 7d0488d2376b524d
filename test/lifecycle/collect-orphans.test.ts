import { beforeEach, describe, expect, it } from 'vitest';
import { decisionType } from '../../src/records/decision.js';
import { partitionKey, revisionKey } from '../../src/storage/keys.js';
import { placeOf } from '../../src/storage/record-location.js';
import { rowIntact } from '../../src/storage/row-checksum.js';
import { caller } from '../support/platform.js';
import { BODY, DAY, diesAt, HOUR, isCommit, VOTE, World } from './support.js';

const call = caller();
const keyed = (key: string, fingerprint = 'f') => caller({ idempotency: { key, scope: 's', fingerprint } });
let world: World;
beforeEach(() => {
  world = new World();
});

async function deadCreate(context = call): Promise<void> {
  const dying = world.host(diesAt(isCommit));
  await expect(dying.manager.create(decisionType, BODY, context)).rejects.toThrow();
}

async function deadVote(id: string): Promise<void> {
  const dying = world.host(diesAt(isCommit));
  await expect(dying.manager.act(decisionType, id, 'votes', VOTE, undefined, call)).rejects.toThrow();
}

describe('the orphan of', () => {
  it('a create that died is collected after a day, and a void row stays in its place', async () => {
    await deadCreate();
    const [orphan] = world.blobs();
    world.clock.pass(25 * HOUR + 1);
    expect(await world.collect()).toEqual({ listed: 1, collected: 1 });
    expect(world.blobs()).toEqual([]);
    const [row] = world.rows('r:');
    expect(row?.rowKey).toBe(`r:${orphan?.split('/')[3] ?? ''}`);
    expect(row?.properties).toMatchObject({ void: true, schema_version: '1.0' });
    expect(row !== undefined && rowIntact(row)).toBe(true);
    expect(await world.collect()).toEqual({ listed: 0 });
  });

  it('a change that died is collected, and the record is as it was', async () => {
    const platform = world.host();
    const made = await platform.manager.create(decisionType, BODY, call);
    await deadVote(made.envelope.id);
    expect(world.blobs()).toHaveLength(2);
    world.clock.pass(2 * DAY);
    expect(await world.collect()).toEqual({ listed: 2, named: 1, collected: 1 });
    world.assertSound(true);
    const read = await platform.manager.get(decisionType, made.envelope.id, call);
    expect(read).toMatchObject({ envelope: made.envelope, etag: made.etag });
    const patched = await platform.manager.patch(decisionType, made.envelope.id, { title: 'Two' }, made.etag, call); // prettier-ignore
    expect(patched.envelope.revision).toBe(2);
  });

  it('a writer that lost a race is collected, the winner’s is not', async () => {
    const platform = world.host();
    const { id } = (await platform.manager.create(decisionType, BODY, call)).envelope;
    const slow = world.host(async (one, run) => {
      if (isCommit(one) && world.blobs().length === 2)
        await platform.manager.act(decisionType, id, 'votes', { ...VOTE, agent: 'cto' }, undefined, call);
      return run();
    });
    await slow.manager.act(decisionType, id, 'votes', VOTE, undefined, call);
    expect(world.blobs()).toHaveLength(4);
    world.clock.pass(2 * DAY);
    expect(await world.collect()).toEqual({ listed: 4, named: 3, collected: 1 });
    world.assertSound(true);
    await world.assertReadable();
  });

  it('a batch that died before any of its transactions is collected with void rows for all its ids', async () => {
    const dying = world.host(diesAt(isCommit));
    await expect(dying.manager.createBatch(decisionType, [BODY, BODY, BODY], call)).rejects.toThrow();
    world.clock.pass(2 * DAY);
    expect(await world.collect()).toEqual({ listed: 1, collected: 1 });
    expect(world.blobs()).toEqual([]);
    expect(world.rows('r:').map(({ properties }) => properties['void'])).toEqual([true, true, true]);
  });

  it('a record whose id was voided before is collected again, and its next attempt still fits', async () => {
    const context = keyed('k');
    await deadCreate(context);
    world.clock.pass(2 * DAY);
    await world.collect();
    await deadCreate(context);
    world.clock.pass(2 * DAY);
    expect(await world.collect()).toMatchObject({ collected: 1 });
    const made = await world.host().manager.create(decisionType, BODY, context);
    expect(made.envelope.revision).toBe(1);
    expect(world.rows('r:')).toHaveLength(1);
    // What its first try wrote, before it met the void row.
    world.clock.pass(2 * DAY);
    expect(await world.collect()).toMatchObject({ named: 1, collected: 1 });
    world.assertSound(true);
  });
});

describe('the collector leaves', () => {
  it('a blob that is younger than a day and the margin for clocks, and the record undisturbed', async () => {
    const { id } = (await world.host().manager.create(decisionType, BODY, call)).envelope;
    await deadVote(id);
    const [before] = world.rows('r:');
    world.clock.pass(25 * HOUR);
    expect(await world.collect()).toEqual({ listed: 2 });
    expect(world.blobs()).toHaveLength(2);
    expect(world.rows('r:')[0]?.etag).toBe(before?.etag);
  });

  it('a blob from a clock that runs days ahead only until it is a day off', async () => {
    world.clock.pass(10 * DAY);
    await deadCreate();
    world.clock.suspend(-10 * DAY);
    expect(await world.collect()).toEqual({ listed: 1, collected: 1 });
    world.assertSound(true);
  });

  it('a pack of which a part is in use, and touches no record for it', async () => {
    const months = ['2024-01-01T00:00:00Z', '2024-02-01T00:00:00Z'];
    const items = months.map((created_at) => ({ ...BODY, created_at }));
    // The first line's chunk dies; the second is committed.
    const dying = world.host((one, run) =>
      isCommit(one) && one.args[1] === 'default:2024-01'
        ? Promise.reject(new Error('the chunk is lost'))
        : run(),
    );
    await expect(dying.manager.createBatch(decisionType, items, call)).rejects.toThrow();
    const [before] = world.rows('r:');
    world.clock.pass(2 * DAY);
    expect(await world.collect()).toEqual({ listed: 1, named: 1 });
    expect(world.rows('r:')).toEqual([before]);
    await world.assertReadable();
  });

  it('what is nobody’s: poisoned messages, data of other senders, names that are not ours', async () => {
    const id = 'dec_019a0000-0000-7000-8000-000000000000';
    const evt = 'evt_019a0000-0000-7000-8000-000000000000';
    const names = [
      '_system/_poison/m.json',
      'default/_poison/6f1.json',
      'default/_inbox/mine.json',
      `default/_inbox/${id}.json`,
      `default/decision/2020-01/${id}/1-${evt}.json`,
      `default/decision/2025-10/${id}/01-${evt}.json`,
      `default/decision/2025-10/${id}/1-${evt}.json.bak`,
      `default/nothing/2025-10/${id}/1-${evt}.json`,
      `Default/decision/2025-10/${id}/1-${evt}.json`,
      'default/decision/_packs/1.jsonl',
      'stray',
    ];
    for (const name of names) await world.ports.blobs.putOnce('records', name, Buffer.from('{}'), 'text/plain'); // prettier-ignore
    world.clock.pass(400 * DAY);
    expect(await world.collect()).toEqual({ listed: names.length });
    expect(world.blobs()).toEqual([...names].sort());
    expect(world.rows('r:')).toEqual([]);
  });

  it('the last trace of a revision whose row somebody removed or altered, and a damaged record as it is', async () => {
    const platform = world.host();
    const ids: string[] = [];
    for (let at = 0; at < 3; at += 1)
      ids.push((await platform.manager.create(decisionType, BODY, call)).envelope.id);
    const [removed = '', altered = '', damaged = ''] = ids;
    await deadVote(damaged);
    const key = partitionKey('default', placeOf(decisionType, 'default', removed, {}).partition);
    await world.ports.tables.commit('decisions', key, [
      { kind: 'delete', rowKey: revisionKey(removed, 1), etag: '*' },
      { kind: 'merge', rowKey: revisionKey(altered, 1), properties: { blob: 'elsewhere' }, etag: '*' },
      { kind: 'merge', rowKey: `r:${damaged}`, properties: { title: 'other' }, etag: '*' },
    ]);
    const etag = world.rows(`r:${damaged}`)[0]?.etag;
    world.clock.pass(2 * DAY);
    expect(await world.collect()).toEqual({ listed: 4, named: 1, unclear: 3 });
    expect(world.blobs()).toHaveLength(4);
    expect(world.rows(`r:${damaged}`)[0]?.etag).toBe(etag);
  });

  it('a pack it cannot read as one', async () => {
    const name = 'default/decision/_packs/019a0000-0000-7000-8000-000000000000.jsonl';
    const bytes = Buffer.from(
      `{"record_type":"decision","id":"dec_1","tenant":"default","revision":1,"data":{}}\n`,
    );
    await world.ports.blobs.putOnce('records', name, bytes, 'application/x-ndjson');
    world.clock.pass(400 * DAY);
    expect(await world.collect()).toEqual({ listed: 1, unclear: 1 });
    expect(world.blobs()).toEqual([name]);
  });
});

describe('a void row', () => {
  async function voided(): Promise<string> {
    await deadCreate();
    world.clock.pass(2 * DAY);
    await world.collect();
    return world.rows('r:')[0]?.rowKey.slice(2) ?? '';
  }

  it('is no record to anybody who reads, lists, patches or acts', async () => {
    const id = await voided();
    const { manager } = world.host();
    const missing = { code: 'record-not-found' };
    await expect(manager.get(decisionType, id, call)).rejects.toMatchObject(missing);
    await expect(manager.getAsOf(decisionType, id, '2030-01-01T00:00:00.000Z', call)).rejects.toMatchObject(missing); // prettier-ignore
    await expect(manager.getRevision(decisionType, id, 1, call)).rejects.toMatchObject(missing);
    await expect(manager.listRevisions(decisionType, id, { limit: 5 }, call)).rejects.toMatchObject(missing);
    await expect(manager.patch(decisionType, id, {}, '"x"', call)).rejects.toMatchObject(missing);
    await expect(manager.patch(decisionType, id, {}, undefined, call)).rejects.toMatchObject(missing);
    await expect(manager.act(decisionType, id, 'votes', VOTE, undefined, call)).rejects.toMatchObject(
      missing,
    );
    expect((await manager.list(decisionType, { filters: {}, limit: 10 }, call)).items).toEqual([]);
  });

  it('that was altered, or a record that was made to look void, is an integrity failure', async () => {
    const id = await voided();
    const platform = world.host();
    const made = await platform.manager.create(decisionType, BODY, call);
    for (const [one, properties] of [
      [id, { schema_version: '2' }],
      [made.envelope.id, { void: true }],
    ] as const) {
      // prettier-ignore
      const key = partitionKey('default', placeOf(decisionType, 'default', one, {}).partition);
      await world.ports.tables.commit('decisions', key, [{ kind: 'merge', rowKey: `r:${one}`, properties, etag: '*' }]); // prettier-ignore
      await expect(platform.manager.get(decisionType, one, call)).rejects.toMatchObject({
        code: 'integrity-failure',
      });
    }
  });
});

describe('two collectors at once', () => {
  it('delete what one would, and nothing else', async () => {
    const platform = world.host();
    for (let at = 0; at < 5; at += 1) {
      const { id } = (await platform.manager.create(decisionType, BODY, call)).envelope;
      await deadVote(id);
      await deadCreate();
    }
    const dying = world.host(diesAt(isCommit));
    await expect(dying.manager.createBatch(decisionType, [BODY, BODY], call)).rejects.toThrow();
    world.clock.pass(2 * DAY);
    await Promise.all([world.collect(), world.collect(), world.collect()]);
    world.assertSound(true);
    await world.assertReadable();
    expect(world.blobs()).toHaveLength(5);
  });
});

describe('a round', () => {
  it('goes on where time ran out, in pages and within them, and misses nothing', async () => {
    world = new World(3);
    for (let at = 0; at < 10; at += 1) {
      await world.host().manager.create(decisionType, BODY, call);
      await deadCreate();
      world.clock.pass(1000);
    }
    world.clock.pass(2 * DAY);
    expect(await world.collect(undefined, () => true)).toEqual({ listed: 20, named: 10, collected: 10 });
    world.assertSound(true);
    expect(await world.collect(undefined, () => true)).toEqual({ listed: 10, named: 10 });
  });
});
