import { beforeEach, describe, expect, it } from 'vitest';
import { decisionType } from '../../src/records/decision.js';
import { caller } from '../support/platform.js';
import { ArchiveWorld, ENOUGH } from './archive-world.js';
import { DAY } from './support.js';

let world: ArchiveWorld;
beforeEach(() => {
  world = new ArchiveWorld();
});

const tiers = (prefix: string, table?: string) =>
  [...new Set(world.rows(prefix, table).map(({ properties }) => properties['tier']))].sort();

describe('years of decisions', () => {
  it('go from hot to cool to archive by their age, and read the same as long as they can be read', async () => {
    const ids = await world.decisions(ENOUGH);
    const before = await world.seen(ids);
    expect(await world.archive()).toEqual({ lookedAt: 0 });
    world.clock.pass(31 * DAY);
    const cooled = await world.archive();
    expect(cooled).toMatchObject({ records: ENOUGH, moved: 2 * ENOUGH, packs: 1, damaged: 0, overtaken: 0 });
    expect([tiers('r:'), tiers('v:'), tiers('i:')]).toEqual([['cool'], ['cool'], ['cool']]);
    expect(world.blobs().map(({ tier }) => tier)).toEqual(['cool']);
    expect(await world.seen(ids)).toEqual(before);
    world.clock.pass(60 * DAY);
    expect(await world.archive()).toMatchObject({ archived: 2 * ENOUGH, archivedPacks: 1, held: 0 });
    expect(world.blobs().map(({ tier }) => tier)).toEqual(['archive']);
    expect([tiers('r:'), tiers('v:'), tiers('i:')]).toEqual([['archive'], ['archive'], ['archive']]);
    const { manager } = world.host();
    await expect(manager.get(decisionType, ids[0] as string, caller())).rejects.toMatchObject({
      code: 'record-archived',
    });
  });
});
