import { beforeEach, describe, expect, it } from 'vitest';
import { decisionType } from '../../src/records/decision.js';
import { QUEUES } from '../../src/storage/keys.js';
import { deliver } from '../support/courier.js';
import { caller } from '../support/platform.js';
import { BODY, DAY, HOUR, World } from './support.js';

const call = caller();
/** Too large for a message, so that it waits in a blob. */
const LARGE = { ...BODY, metadata: { text: 'x'.repeat(60_000) } };
let world: World;
beforeEach(() => {
  world = new World();
});

async function accepted(): Promise<string> {
  const { operation } = await world.host().inbox.accept(decisionType, LARGE, call);
  return operation.operation_id;
}

async function delivered(dequeueCount?: number): Promise<void> {
  for (const message of await world.ports.queues.receive(QUEUES.inbox, { limit: 32, hiddenS: 1 }))
    await deliver(world.host(), { ...message, dequeueCount: dequeueCount ?? message.dequeueCount });
}

const waiting = (): string[] => world.blobs('default/_inbox/');

describe('data that waited for an inbox message', () => {
  it('stays while its operation is pending, however long that is', async () => {
    await accepted();
    world.clock.pass(90 * DAY);
    expect(await world.collect()).toEqual({ listed: 1, named: 1 });
    await delivered();
    expect(await world.host().inbox.getOperation((await idOf()) ?? '', call)).toMatchObject({ status: 'succeeded' }); // prettier-ignore
  });

  it('goes a day after it was accepted once its operation has succeeded, and a duplicate does no harm', async () => {
    await accepted();
    await delivered();
    world.clock.pass(25 * HOUR);
    expect(await world.collect()).toMatchObject({ listed: 2 });
    expect(waiting()).toHaveLength(1);
    world.clock.pass(1);
    expect(await world.collect()).toEqual({ listed: 2, named: 1, collected: 1 });
    expect(waiting()).toEqual([]);
    await delivered();
    expect(world.rows('v:')).toHaveLength(1);
    world.assertSound(true);
  });

  it('stays when its operation failed: the poisoned message names it', async () => {
    await accepted();
    const broken = world.host((one, run) =>
      one.method === 'putOnce' ? Promise.reject(new Error('broken')) : run(),
    );
    for (const message of await world.ports.queues.receive(QUEUES.inbox, { limit: 32, hiddenS: 1 }))
      await deliver(broken, { ...message, dequeueCount: 10 });
    world.clock.pass(90 * DAY);
    await world.collect();
    expect(waiting()).toHaveLength(1);
  });

  it('goes when there is no such operation', async () => {
    const id = await accepted();
    const [row] = world.rows('r:', 'operations');
    await world.ports.tables.commit('operations', row?.partitionKey ?? '', [
      { kind: 'delete', rowKey: `r:${id}`, etag: '*' },
    ]);
    world.clock.pass(2 * DAY);
    expect(await world.collect()).toEqual({ listed: 1, collected: 1 });
  });

  it('stays when its operation is damaged', async () => {
    const id = await accepted();
    const [row] = world.rows('r:', 'operations');
    await world.ports.tables.commit('operations', row?.partitionKey ?? '', [
      { kind: 'merge', rowKey: `r:${id}`, properties: { status: 'succeeded' }, etag: '*' },
    ]);
    world.clock.pass(2 * DAY);
    expect(await world.collect()).toEqual({ listed: 1, unclear: 1 });
  });
});

async function idOf(): Promise<string | undefined> {
  return world.rows('r:', 'operations')[0]?.rowKey.slice(2);
}
