import { beforeEach, describe, expect, it } from 'vitest';
import { Actors } from '../../src/audit/actors.js';
import { parseId } from '../../src/domain/ids.js';
import { partitionKey } from '../../src/storage/keys.js';
import { StorageFault, type StoragePorts } from '../../src/storage/ports.js';
import { withRowChecksum } from '../../src/storage/row-checksum.js';
import { countingPorts, type CountingPorts } from '../support/counting-ports.js';
import { seededEntropy } from '../support/entropy.js';
import { memoryPorts } from '../support/memory-ports.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';
import { rowsOf, TENANT } from './support.js';

const KEY = partitionKey(TENANT, 'actors');
const NAME = 'ann.lee@example.com';
let clock: VirtualClock;
let ports: StoragePorts;
let counted: CountingPorts;
const actorsOn = (on: StoragePorts, seed: string): Actors =>
  new Actors(on.tables, clock, seededEntropy(seed));

beforeEach(() => {
  clock = new VirtualClock();
  ports = memoryPorts({ clock });
  counted = countingPorts(ports);
});

describe('pseudonyms', () => {
  it('are the same for one name in one tenant, in every process', async () => {
    const first = await actorsOn(ports, 'a').pseudonym(TENANT, NAME);
    expect(parseId(first)?.prefix).toBe('act');
    expect(await actorsOn(ports, 'b').pseudonym(TENANT, NAME)).toBe(first);
    expect(await actorsOn(ports, 'c').pseudonym('other', NAME)).not.toBe(first);
    expect(await actorsOn(ports, 'd').pseudonym(TENANT, 'Ann.Lee@example.com')).not.toBe(first);
  });

  it('lead back to the name, until the mapping is erased and the cache has forgotten', async () => {
    const actors = actorsOn(ports, 'a');
    const actor = await actors.pseudonym(TENANT, NAME);
    expect(await actors.nameOf(TENANT, actor)).toBe(NAME);
    expect(await actors.nameOf(TENANT, 'act_unknown')).toBeUndefined();
    await ports.tables.commit('actors', KEY, [{ kind: 'delete', rowKey: `a:${actor}`, etag: '*' }]);
    await clock.advance(5 * 60_000 + 1);
    expect(await actors.nameOf(TENANT, actor)).toBeUndefined();
  });

  it('are found for a name that has one, and not made for one that has none', async () => {
    const actor = await actorsOn(ports, 'a').pseudonym(TENANT, NAME);
    const actors = actorsOn(counted.ports, 'b');
    expect(await actors.find(TENANT, NAME)).toBe(actor);
    expect(await actors.find(TENANT, 'nobody')).toBeUndefined();
    expect(await actors.find('other', NAME)).toBeUndefined();
    expect(counted.counts()).toEqual({ 'tables.find': 3 });
    expect(await rowsOf(ports.tables, 'actors', KEY, 'a:')).toHaveLength(1);
    await actors.pseudonym(TENANT, 'new');
    counted.reset();
    expect(await actors.find(TENANT, 'new')).toBe(await actors.pseudonym(TENANT, 'new'));
    expect(counted.calls).toHaveLength(0);
  });

  it('cost one read and one insert the first time, then nothing for five minutes', async () => {
    const actors = actorsOn(counted.ports, 'a');
    const asked = await Promise.all(Array.from({ length: 20 }, () => actors.pseudonym(TENANT, NAME)));
    expect(new Set(asked).size).toBe(1);
    expect(counted.counts()).toEqual({ 'tables.find': 1, 'tables.commit': 1 });
    await clock.advance(4 * 60_000);
    await actors.pseudonym(TENANT, NAME);
    expect(counted.calls).toHaveLength(2);
    await clock.advance(60_001);
    await actors.pseudonym(TENANT, NAME);
    expect(counted.counts()).toEqual({ 'tables.find': 2, 'tables.commit': 1 });
  });

  it('are the winner’s when two processes name an actor at once', async () => {
    let rival: string | undefined;
    const slow = wrapPorts(ports, async (call, run) => {
      if (call.method === 'commit') rival = await actorsOn(ports, 'rival').pseudonym(TENANT, NAME);
      return run();
    });
    expect(await actorsOn(slow, 'loser').pseudonym(TENANT, NAME)).toBe(rival);
    expect(await rowsOf(ports.tables, 'actors', KEY, 'a:')).toHaveLength(1);
  });

  it('are not made up when a row is not what was written', async () => {
    const actor = await actorsOn(ports, 'a').pseudonym(TENANT, NAME);
    const [row] = await rowsOf(ports.tables, 'actors', KEY, 'n:');
    const change = {
      kind: 'merge',
      rowKey: row?.rowKey ?? '',
      properties: { actor: 'act_other' },
      etag: '*',
    } as const;
    await ports.tables.commit('actors', KEY, [change]);
    await expect(actorsOn(ports, 'b').pseudonym(TENANT, NAME)).rejects.toMatchObject({
      code: 'integrity-failure',
    });
    await ports.tables.commit('actors', KEY, [
      { ...change, rowKey: `a:${actor}`, properties: { name: 'x' } },
    ]);
    await expect(actorsOn(ports, 'b').nameOf(TENANT, actor)).rejects.toMatchObject({
      code: 'integrity-failure',
    });
  });

  it('are rows that say whose they are, in both directions', async () => {
    const actor = await actorsOn(ports, 'a').pseudonym(TENANT, 'ann');
    const rows = [...(await rowsOf(ports.tables, 'actors', KEY, 'n:')), ...(await rowsOf(ports.tables, 'actors', KEY, 'a:'))]; // prettier-ignore
    const row_checksum = expect.stringMatching(/^[0-9a-f]{32}$/) as string;
    expect(rows.map(({ rowKey, properties }) => [rowKey, properties])).toEqual([
      ['n:ann', { actor, name: 'ann', schema_version: '1.0', row_checksum }],
      [`a:${actor}`, { name: 'ann', schema_version: '1.0', row_checksum }],
    ]);
  });

  it('are not another’s, whose row stands at the same key, and the failure does not say whose', async () => {
    const properties = withRowChecksum(KEY, 'n:ann', { actor: 'act_eve', name: 'eve' });
    const [etag] = await ports.tables.commit('actors', KEY, [
      { kind: 'insert', rowKey: 'n:ann', properties },
    ]);
    await expect(actorsOn(ports, 'a').pseudonym(TENANT, 'ann')).rejects.toMatchObject({
      code: 'integrity-failure',
      evidence: { tenant: TENANT, table: 'actors', etag },
    });
  });

  it('do not remember a failure', async () => {
    let fail = true;
    const flaky = wrapPorts(ports, (_, run) => (fail ? Promise.reject(new Error('down')) : run()));
    const actors = actorsOn(flaky, 'a');
    await expect(actors.pseudonym(TENANT, NAME)).rejects.toThrow('down');
    fail = false;
    expect(await actors.pseudonym(TENANT, NAME)).toMatch(/^act_/);
  });

  it('are found again after an insert whose answer was lost', async () => {
    let lost = false;
    const losing = wrapPorts(ports, async (call, run) => {
      const result = await run();
      if (call.method !== 'commit' || lost) return result;
      lost = true;
      throw new StorageFault('unavailable', 'no answer');
    });
    const asking = actorsOn(losing, 'a').pseudonym(TENANT, NAME);
    await clock.advance(1000);
    expect(await asking).toBe(await actorsOn(ports, 'b').pseudonym(TENANT, NAME));
    expect(await rowsOf(ports.tables, 'actors', KEY, 'a:')).toHaveLength(1);
  });

  it('answer storage-unavailable when storage stays silent', async () => {
    const silent = wrapPorts(ports, () => Promise.reject(new StorageFault('unavailable', 'no answer')));
    const asking = expect(actorsOn(silent, 'a').nameOf(TENANT, 'act_x')).rejects.toMatchObject({
      code: 'storage-unavailable',
    });
    await clock.advance(30_000);
    await asking;
  });

  it('exist for very long names and for names of any characters', async () => {
    const actors = actorsOn(ports, 'a');
    for (const name of ['x'.repeat(250), `${'x'.repeat(249)}y`, 'ünï cødé / # ? \\', 'a:b']) {
      expect(await actors.nameOf(TENANT, await actors.pseudonym(TENANT, name))).toBe(name);
    }
  });
});
