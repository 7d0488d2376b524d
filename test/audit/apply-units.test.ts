import { beforeEach, describe, expect, it } from 'vitest';
import { applyUnits, type Unit, type UnitTarget } from '../../src/audit/apply-units.js';
import { StorageFault, type RowOperation, type StoragePorts } from '../../src/storage/ports.js';
import { countingPorts, type CountingPorts } from '../support/counting-ports.js';
import { memoryPorts } from '../support/memory-ports.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';

const KEY = 'acme:2026-01-10';
let ports: StoragePorts;
let counted: CountingPorts;

beforeEach(() => {
  ports = memoryPorts({ clock: new VirtualClock() });
  counted = countingPorts(ports);
});

const target = (on: StoragePorts, ordered: boolean): UnitTarget => ({
  tables: on.tables,
  table: 'auditevents',
  partitionKey: KEY,
  ordered,
});
const insert = (rowKey: string, text = 'x'): RowOperation => ({
  kind: 'insert',
  rowKey,
  properties: { text },
});

/** A unit that inserts `rows` rows; its proof is the first. */
function unit(name: string, rows = 1, text = 'x'): Unit {
  const operations = Array.from({ length: rows }, (_, at) => insert(`${name}:${String(at)}`, text));
  return { operations, proof: { rowKey: `${name}:0`, gone: false } };
}
const units = (count: number, rows = 1): Unit[] =>
  Array.from({ length: count }, (_, at) => unit(`u${String(at).padStart(3, '0')}`, rows));

/** Rows in each transaction that was tried, in order. */
const tried = (): number[] =>
  counted.calls.filter(({ method }) => method === 'commit').map(({ args }) => (args[2] as []).length);
const rowKeys = async (): Promise<string[]> =>
  (await ports.tables.range('auditevents', KEY, { from: '!', to: '~', limit: 1000 })).rows.map(
    ({ rowKey }) => rowKey,
  );

describe('units of rows', () => {
  it('go into transactions of at most 100 rows, and are never parted', async () => {
    await applyUnits(target(counted.ports, false), units(5, 40));
    expect(tried()).toEqual([80, 80, 40]);
    counted.reset();
    await applyUnits(target(counted.ports, false), [unit('a', 60), unit('b', 40), unit('c', 1)]);
    expect(tried()).toEqual([100, 1]);
  });

  it('go into transactions of at most 4 MiB', async () => {
    const large = Array.from({ length: 9 }, (_, at) => ({
      operations: Array.from({ length: 20 }, (_, n) => insert(`l${String(at)}:${String(n)}`, 'é'.repeat(30_000))), // prettier-ignore
      proof: { rowKey: `l${String(at)}:0`, gone: false },
    }));
    // 20 rows of 60,000 bytes are 1.2 MiB: three units and no fourth.
    await applyUnits(target(counted.ports, false), large);
    expect(tried()).toEqual([60, 60, 60]);
  });

  it('are none, and nothing is sent', async () => {
    await applyUnits(target(counted.ports, true), []);
    expect(counted.calls).toEqual([]);
  });

  it('that were all applied before cost one refusal and one look, where their order is everybody’s', async () => {
    await applyUnits(target(ports, true), units(50));
    await applyUnits(target(counted.ports, true), units(50));
    expect(counted.counts()).toEqual({ 'tables.commit': 1, 'tables.find': 1 });
  });

  it('are found by halving where the first of them were applied before', async () => {
    await applyUnits(target(ports, true), units(50).slice(0, 20));
    await applyUnits(target(counted.ports, true), units(50));
    expect(await rowKeys()).toHaveLength(50);
    expect(counted.calls.length).toBeLessThan(25);
  });

  it('are each looked for where any of them may have been applied before', async () => {
    const all = units(8);
    await applyUnits(target(ports, false), [all[7], all[2]] as Unit[]);
    await applyUnits(target(counted.ports, false), all);
    expect(await rowKeys()).toHaveLength(8);
    expect(counted.counts()['tables.find']).toBeUndefined();
  });

  it('are announced before every transaction, also those made by halving', async () => {
    const all = units(2);
    await applyUnits(target(ports, false), all.slice(0, 1));
    const order: string[] = [];
    const watched = wrapPorts(ports, (call, run) => {
      order.push(call.method);
      return run();
    });
    await applyUnits({ ...target(watched, false), before: async () => void order.push('before') }, all);
    expect(order).toEqual(['before', 'commit', 'before', 'commit', 'before', 'commit']);
  });

  it('that are too large together go in parts, and one that is too large alone is an error', async () => {
    const narrow = wrapPorts(ports, (call, run) =>
      call.method === 'commit' && (call.args[2] as []).length > 3
        ? Promise.reject(new StorageFault('too-large', 'more than three'))
        : run(),
    );
    await applyUnits(target(narrow, true), units(10));
    expect(await rowKeys()).toHaveLength(10);
    await expect(applyUnits(target(narrow, true), [unit('wide', 4)])).rejects.toMatchObject({
      kind: 'too-large',
    });
  });

  it('pass on every other fault', async () => {
    for (const kind of ['conflict', 'unavailable', 'refused'] as const) {
      const failing = wrapPorts(ports, () => Promise.reject(new StorageFault(kind, 'no')));
      await expect(applyUnits(target(failing, true), units(2))).rejects.toMatchObject({ kind });
    }
  });
});

describe('a unit that is refused', () => {
  const forced = (): Unit => ({
    operations: [insert('proof'), insert('other', 'ours')],
    proof: { rowKey: 'proof', gone: false },
    force: [
      { kind: 'upsert', rowKey: 'proof', properties: { text: 'x' } },
      { kind: 'upsert', rowKey: 'other', properties: { text: 'ours' } },
    ],
  });
  const textOf = async (rowKey: string): Promise<unknown> =>
    (await ports.tables.find('auditevents', KEY, rowKey))?.properties['text'];

  it('is forced when its proof says that it was not applied: something else was in the way', async () => {
    await ports.tables.commit('auditevents', KEY, [insert('other', 'theirs')]);
    await applyUnits(target(ports, true), [forced()]);
    expect([await textOf('proof'), await textOf('other')]).toEqual(['x', 'ours']);
  });

  it('is left alone when its proof says that it was applied', async () => {
    await ports.tables.commit('auditevents', KEY, [insert('proof'), insert('other', 'theirs')]);
    await applyUnits(target(ports, true), [forced()]);
    expect(await textOf('other')).toBe('theirs');
  });

  it('was applied by somebody else when forcing it finds nothing to delete', async () => {
    const gone: Unit = {
      operations: [{ kind: 'delete', rowKey: 'pending', etag: '*' }, insert('index')],
      proof: { rowKey: 'pending', gone: true },
      force: [{ kind: 'delete', rowKey: 'pending', etag: '*' }],
    };
    await ports.tables.commit('auditevents', KEY, [insert('pending'), insert('index')]);
    const slow = wrapPorts(ports, async (call, run) => {
      const found = await run();
      // Between our look and our commit.
      if (call.method === 'find')
        await ports.tables.commit('auditevents', KEY, [{ kind: 'delete', rowKey: 'pending', etag: '*' }]);
      return found;
    });
    await applyUnits(target(slow, true), [gone]);
    expect(await rowKeys()).toEqual(['index']);
  });

  it('is an error when it cannot be forced', async () => {
    await ports.tables.commit('auditevents', KEY, [insert('other')]);
    const failing = wrapPorts(ports, (call, run) =>
      (call.args[2] as RowOperation[])[0]?.kind === 'upsert'
        ? Promise.reject(new StorageFault('unavailable', 'no answer'))
        : run(),
    );
    await expect(applyUnits(target(failing, true), [forced()])).rejects.toMatchObject({
      kind: 'unavailable',
    });
  });
});
