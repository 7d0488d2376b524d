import { describe, expect, it } from 'vitest';
import { decisionType } from '../../src/records/decision.js';
import { StorageFault } from '../../src/storage/ports.js';
import { countingPorts } from '../support/counting-ports.js';
import { caller, openStorage, STORAGES, testPlatform } from '../support/platform.js';
import { wrapPorts } from '../support/wrap-ports.js';

/** A first page asks for the directory and for the newest month it knows at once; it must not matter that it guesses. */
describe('reading ahead', () => {
  const call = caller();
  const memory = STORAGES[0] as (typeof STORAGES)[number];
  const body = (month: string) => ({
    decision_type: 'strategic',
    title: month,
    created_at: `${month}-15T00:00:00Z`,
  });
  const all = { filters: {}, limit: 10 };

  async function twoHosts() {
    const storage = await openStorage(memory);
    const counting = countingPorts(storage.ports);
    const [here, there] = [testPlatform(counting.ports), testPlatform(storage.ports)];
    const titles = async (query: { fromMs?: number; toMs?: number } = {}) =>
      (await here.manager.list(decisionType, { ...all, ...query }, call)).items.map(({ title }) => title);
    await there.manager.create(decisionType, body('2020-03'), call);
    expect(await titles()).toEqual(['2020-03']);
    counting.reset();
    return { storage, counting, there, titles };
  }

  it('asks for both at once, in as many calls as one after the other', async () => {
    const { counting, titles } = await twoHosts();
    expect(await titles()).toEqual(['2020-03']);
    expect(counting.calls.map(({ args }) => args[1])).toEqual([
      'default:2020-03',
      '_system:partitions.default',
    ]);
  });

  it('finds what another host stored in a newer month, and in an older one', async () => {
    const { there, titles, counting } = await twoHosts();
    await there.manager.create(decisionType, body('2020-05'), call);
    await there.manager.create(decisionType, body('2020-01'), call);
    expect(await titles()).toEqual(['2020-05', '2020-03', '2020-01']);
    // The guess was read in vain, once; the directory has told what to guess from now on.
    expect(counting.counts()).toEqual({ 'tables.range': 5 });
    counting.reset();
    expect(await titles()).toEqual(['2020-05', '2020-03', '2020-01']);
    expect(counting.counts()).toEqual({ 'tables.range': 4 });
  });

  it('does not read a month that the times asked for leave out', async () => {
    const { titles, counting } = await twoHosts();
    expect(await titles({ toMs: Date.parse('2020-03-01T00:00:00Z') })).toEqual([]);
    expect(await titles({ fromMs: Date.parse('2020-04-01T00:00:00Z') })).toEqual([]);
    expect(counting.counts()).toEqual({ 'tables.range': 2 });
  });

  it('tells of a month that cannot be read only when it is wanted', async () => {
    const { storage, there } = await twoHosts();
    let broken = false;
    const ports = wrapPorts(storage.ports, (one, run) =>
      broken && one.args[1] === 'default:2020-03'
        ? Promise.reject(new StorageFault('refused', 'planted'))
        : run(),
    );
    const { manager } = testPlatform(ports);
    await manager.list(decisionType, all, call);
    broken = true;
    await expect(manager.list(decisionType, all, call)).rejects.toThrow('planted');
    await there.manager.create(decisionType, body('2020-05'), call);
    const { items } = await manager.list(decisionType, { ...all, limit: 1, fromMs: Date.parse('2020-05-01T00:00:00Z') }, call); // prettier-ignore
    expect(items.map(({ title }) => title)).toEqual(['2020-05']);
  });
});
