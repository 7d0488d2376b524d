import { describe, expect, it } from 'vitest';
import type { RecordType } from '../../src/domain/record-type.js';
import { parseBlobName } from '../../src/lifecycle/blob-names.js';
import { CollectOrphans } from '../../src/lifecycle/collect-orphans.js';
import { MoveParts } from '../../src/lifecycle/move-parts.js';
import { conversationType } from '../../src/records/conversation.js';
import { metricType } from '../../src/records/metric.js';
import { RECORD_TYPES } from '../../src/records/registry.js';
import { Budget } from '../../src/storage/backoff.js';
import { DigestScheduler } from '../../src/storage/digest-scheduler.js';
import { Directory } from '../../src/storage/directory.js';
import { createLog } from '../../src/telemetry/log.js';
import { countingPorts } from '../support/counting-ports.js';
import { seededEntropy } from '../support/entropy.js';
import { caller } from '../support/platform.js';
import { DAY, diesAt, round, World } from './support.js';

const TALK = { conversation_type: 'boardroom', participants: ['ceo'], created_at: '2026-01-31T12:00:00Z' };

/** Conversations in a world, none of whose messages has moved. */
class Talks {
  readonly world = new World();
  readonly platform = this.world.host();

  async begin(tenant: string, messages: number, createdAt = TALK.created_at): Promise<string> {
    const call = caller({ tenant });
    const { manager } = this.platform;
    const id = await manager.storeConversation({ ...TALK, conversation_type: 'boardroom', created_at: createdAt }, call); // prettier-ignore
    for (let n = 0; n < messages; n += 1)
      await manager.addMessage(id, { sender: 'ceo', content: `${n}` }, call);
    return id;
  }

  job(ports = this.world.ports, digest = this.platform.manager.digestParts.bind(this.platform.manager)): MoveParts {
    const { clock } = this.world;
    const budget = (): Budget => new Budget(clock, seededEntropy('job'));
    const directory = new Directory(ports.tables, clock);
    return new MoveParts({ tables: ports.tables, directory, types: RECORD_TYPES, digest, budget, log: createLog('silent') }); // prettier-ignore
  } // prettier-ignore

  blobs(): readonly string[] {
    return this.world.blobs().filter((name) => name.includes('/messages/'));
  }
}

describe('the job move-parts', () => {
  it('moves what nobody has moved, in every tenant and month, and brings lists up to date', async () => {
    const talks = new Talks();
    const { world, platform } = talks;
    const ids: string[] = [];
    for (const tenant of ['one', 'two'])
      for (const created of [TALK.created_at, '2026-02-01T00:00:00Z'])
        for (const messages of [0, 1, 3]) ids.push(await talks.begin(tenant, messages, created));
    expect(talks.blobs()).toEqual([]);
    const now = world.clock.now();
    expect(await round(talks.job(), now)).toMatchObject({ records: 8, moved: 16, damaged: 0 });
    expect(talks.blobs()).toHaveLength(8);
    const page = await platform.manager.list(conversationType, { filters: {}, limit: 10 }, caller({ tenant: 'two' })); // prettier-ignore
    expect(page.items.map(({ message_count: count }) => count).sort()).toEqual([0, 0, 1, 1, 3, 3]);
    const counting = countingPorts(world.ports);
    expect(await round(talks.job(counting.ports), now)).toMatchObject({ records: 8, moved: 0 });
    expect(counting.counts()['tables.find'] ?? 0).toBe(0);
    await platform.manager.addMessage(ids[0] as string, { sender: 'a', content: 'b' }, caller({ tenant: 'one' })); // prettier-ignore
    expect(await round(talks.job(), now)).toMatchObject({ records: 9, moved: 1 });
    await platform.jobs.run('move-parts');
  });

  it('goes on where it stopped when its time was up, and leaves out nobody', async () => {
    const talks = new Talks();
    for (let n = 0; n < 12; n += 1) await talks.begin('one', 1);
    expect(await round(talks.job(), talks.world.clock.now(), () => true)).toMatchObject({ moved: 12 });
    expect(talks.blobs()).toHaveLength(12);
  });

  it('says what does not hold together and passes on', async () => {
    const talks = new Talks();
    const bad = await talks.begin('one', 2);
    for (let n = 0; n < 4; n += 1) await talks.begin('one', 1);
    const [row] = talks.world.rows(`p:${bad}:`, 'conversationmessages');
    await talks.world.ports.tables.commit('conversationmessages', row?.partitionKey ?? '', [
      { kind: 'merge', rowKey: row?.rowKey ?? '', properties: { added_at: 'x' }, etag: '*' },
    ]);
    expect(await round(talks.job(), talks.world.clock.now())).toMatchObject({ records: 5, moved: 4, damaged: 1 }); // prettier-ignore
  });
});

describe('the collector', () => {
  it('takes no stream for an orphan, not even one that no row names yet', async () => {
    const talks = new Talks();
    const { world } = talks;
    const moved = await talks.begin('one', 2);
    await talks.platform.manager.digestParts(conversationType, 'one', moved);
    const open = await talks.begin('one', 2);
    let appended = false;
    const dying = world.host(
      diesAt((call) => {
        const dead = appended;
        appended ||= call.method === 'append';
        return dead;
      }),
    );
    await expect(dying.manager.digestParts(conversationType, 'one', open)).rejects.toThrow('no more');
    const blobs = talks.blobs();
    expect(blobs).toEqual([moved, open].map((id) => `one/conversation/2026-01/${id}/messages/0001.jsonl`).sort()); // prettier-ignore
    expect(blobs.map((name) => parseBlobName(RECORD_TYPES, name))).toEqual([undefined, undefined]);
    world.clock.pass(40 * DAY);
    const budget = (): Budget => new Budget(world.clock, seededEntropy('collector'));
    const job = new CollectOrphans({ ports: world.ports, types: RECORD_TYPES, budget, log: createLog('silent') }); // prettier-ignore
    expect(await round(job, world.clock.now())).toMatchObject({ named: 2 });
    expect(talks.blobs()).toEqual(blobs);
    await talks.platform.manager.digestParts(conversationType, 'one', open);
    for (const id of [moved, open])
      expect((await talks.platform.manager.listMessages(id, {}, caller({ tenant: 'one' }))).items).toHaveLength(2); // prettier-ignore
  });
});

describe('the digest after additions', () => {
  it('is done once for many that come together, for types that something is made of', async () => {
    const digested: string[] = [];
    const waits: (() => void)[] = [];
    const scheduler = new DigestScheduler({
      digest: (type, tenant, id) => {
        digested.push(`${type.recordType} ${tenant} ${id}`);
        return id === 'bad' ? Promise.reject(new Error('no')) : Promise.resolve(1);
      },
      clock: { now: () => 0, monotonic: () => 0, sleep: () => new Promise<void>((resolve) => waits.push(resolve)) }, // prettier-ignore
      onError: (error, tenant) => digested.push(`${String(error)} ${tenant}`),
    });
    const settle = async (): Promise<void> => {
      for (const wake of waits.splice(0)) wake();
      await new Promise((resolve) => setImmediate(resolve));
    };
    const types = RECORD_TYPES.filter((type): type is RecordType => type.parts !== undefined);
    for (const type of [...types, ...types]) scheduler.added(type, { tenant: 't', id: 'a' });
    expect(waits).toHaveLength(1);
    await settle();
    expect(digested).toEqual(['metric t a']);
    scheduler.added(conversationType, { tenant: 't', id: 'a' });
    scheduler.added(metricType, { tenant: 't', id: 'bad' });
    await settle();
    expect(digested).toEqual(['metric t a', 'conversation t a', 'metric t bad', 'Error: no t']);
  });
});
