import { describe, expect, it } from 'vitest';
import { decisionType } from '../../src/records/decision.js';
import { heapAfterCollection } from '../support/at-length.js';
import { caller, STORAGES } from '../support/platform.js';
import { wrapPorts } from '../support/wrap-ports.js';
import { fsckOf, fsckWorld, TENANT } from './fsck-world.js';

/** What only looks. */
const READS = new Set(['find', 'range', 'list', 'appendState', 'blockState']);
const MIB = 1024 * 1024;

describe.each(STORAGES.filter(({ realTime }) => !realTime))('fsck of much $name', (kind) => {
  /** Calls of storage, and by how much the heap was larger meanwhile than before. */
  async function costOf(events: number, decisions = 0) {
    const world = await fsckWorld(kind, events);
    for (let n = 0; n < decisions; n += 1)
      await world.platform.manager.create(
        decisionType,
        { decision_type: 'strategic', title: 'One of many' },
        caller(),
      );
    await world.platform.sealer.sealTenant(TENANT);
    let [calls, writes, held] = [0, 0, 0];
    const before = heapAfterCollection();
    const ports = wrapPorts(world.ports, (call, go) => {
      calls += 1;
      if (!READS.has(call.method)) writes += 1;
      if (decisions === 0 && calls % 250 === 0) held = Math.max(held, heapAfterCollection() - before);
      return go();
    });
    const { result, told } = await fsckOf(ports);
    world.close();
    expect([told, result.findings, writes]).toEqual([[], 0, 0]);
    return { calls, held };
  }

  it('takes as many calls for each event, and no more memory', async () => {
    const [some, more, most] = [await costOf(1_000), await costOf(3_000), await costOf(5_000)];
    const [first, second] = [more.calls - some.calls, most.calls - more.calls];
    // Some 25 for a bundle of 256 events that are of no record.
    expect(second).toBeLessThan(240);
    expect(Math.abs(second - first)).toBeLessThan(0.1 * first);
    expect(most.held - some.held).toBeLessThan(1.5 * MIB);
  }, 120_000);

  it('takes some fourteen calls for a decision of one revision', async () => {
    const [few, many] = [await costOf(0, 20), await costOf(0, 120)];
    expect((many.calls - few.calls) / 100).toBeLessThan(15);
  });
});
