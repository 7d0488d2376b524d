import { beforeEach, describe, expect, it } from 'vitest';
import { Actors } from '../../src/audit/actors.js';
import { parseId } from '../../src/domain/ids.js';
import { partitionKey } from '../../src/storage/keys.js';
import { StorageFault, type StoragePorts } from '../../src/storage/ports.js';
import { withRowChecksum } from '../../src/storage/row-checksum.js';
import { countingPorts, type CountingPorts } from '../support/counting-ports.js';
import { seededEntropy } from '../support/entropy.js';
import { testKeyRing } from '../support/key-ring.js';
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
  new Actors({
    tables: on.tables,
    clock,
    entropy: seededEntropy(seed),
    ...testKeyRing(on, { clock, entropy: seededEntropy(`${seed} keys`) }),
  });

beforeEach(() => {
  clock = new VirtualClock();
  ports = memoryPorts({ clock });
  counted = countingPorts(ports);
});

describe('pseudonyms of somebody whose key was destroyed', () => {
  it('lead nowhere, in another process five minutes later at most, and the name gets another one', async () => {
    const [here, there] = [testKeyRing(ports, { clock }), actorsOn(ports, 'there')];
    const actors = new Actors({ tables: ports.tables, clock, entropy: seededEntropy('here'), ...here });
    const actor = await actors.pseudonym(TENANT, NAME);
    const eve = await actors.pseudonym(TENANT, 'eve');
    expect(await there.nameOf(TENANT, actor)).toBe(NAME);
    await clock.advance(60_000);
    expect(await here.dataKeys.destroySubject(TENANT, NAME)).toMatchObject({ outcome: 'destroyed' });
    actors.forget(TENANT, NAME);
    expect(await actors.nameOf(TENANT, actor)).toBeUndefined();
    expect(await there.nameOf(TENANT, actor)).toBe(NAME);
    await clock.advance(4 * 60_000 + 1);
    expect(await there.nameOf(TENANT, actor)).toBeUndefined();
    const again = await actors.pseudonym(TENANT, NAME);
    expect(again).not.toBe(actor);
    expect(await there.pseudonym(TENANT, NAME)).toBe(again);
    expect(await there.nameOf(TENANT, again)).toBe(NAME);
    expect(await there.nameOf(TENANT, actor)).toBeUndefined();
    expect(await there.nameOf(TENANT, eve)).toBe('eve');
  });
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
    // The keys by which names are found.
    await Promise.all([actors.find(TENANT, NAME), actors.find('other', NAME)]);
    counted.reset();
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

  it('cost 4 reads and 4 writes the first time of all, keys included, then nothing for five minutes', async () => {
    const actors = actorsOn(counted.ports, 'a');
    const asked = await Promise.all(Array.from({ length: 20 }, () => actors.pseudonym(TENANT, NAME)));
    expect(new Set(asked).size).toBe(1);
    // Looked for: the tenant's key, whether it had one, the name, the subject's key; made: the tenant's key and where it is listed, both others.
    expect(counted.counts()).toEqual({ 'tables.find': 3, 'tables.range': 1, 'tables.commit': 4 });
    await clock.advance(4 * 60_000);
    await actors.pseudonym(TENANT, NAME);
    expect(counted.calls).toHaveLength(8);
    await clock.advance(60_001);
    await actors.pseudonym(TENANT, NAME);
    expect(counted.counts()).toEqual({ 'tables.find': 6, 'tables.range': 1, 'tables.commit': 4 });
    counted.reset();
    await actors.pseudonym(TENANT, 'eve');
    expect(counted.counts()).toEqual({ 'tables.find': 2, 'tables.commit': 2 });
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

  it('are rows from which nobody reads whose they are, in either direction', async () => {
    const actor = await actorsOn(ports, 'a').pseudonym(TENANT, 'ann');
    const rows = [...(await rowsOf(ports.tables, 'actors', KEY, 'n:')), ...(await rowsOf(ports.tables, 'actors', KEY, 'a:'))]; // prettier-ignore
    const sealed = expect.stringMatching(/^v2\./) as string;
    const row_checksum = expect.stringMatching(/^[0-9a-f]{32}$/) as string;
    expect(rows.map(({ rowKey, properties }) => [rowKey, properties])).toEqual([
      [expect.stringMatching(/^n:[0-9a-f]{32}$/), { actor, sealed, schema_version: '1.0', row_checksum }],
      [`a:${actor}`, { actor, sealed, schema_version: '1.0', row_checksum }],
    ]);
    expect(JSON.stringify(rows)).not.toContain('ann');
  });

  it('are not another’s, whose row stands at the same key, and the failure does not say whose', async () => {
    await actorsOn(ports, 'a').pseudonym(TENANT, 'ann');
    await actorsOn(ports, 'a2').pseudonym(TENANT, 'eve');
    const [one, other] = await rowsOf(ports.tables, 'actors', KEY, 'n:');
    const rowKey = other?.rowKey ?? '';
    const properties = withRowChecksum(KEY, rowKey, one?.properties ?? {});
    const [etag] = await ports.tables.commit('actors', KEY, [
      { kind: 'replace', rowKey, properties, etag: '*' },
    ]);
    const asked = await Promise.allSettled(
      ['ann', 'eve'].map((name) => actorsOn(ports, name).pseudonym(TENANT, name)),
    );
    const refused = asked.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
    expect(refused).toHaveLength(1);
    expect(refused[0]).toMatchObject({
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
