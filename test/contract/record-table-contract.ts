import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keyAfter, readRange } from '../../src/storage/range.js';
import type { Properties, RecordTable, RowOperation } from '../../src/storage/ports.js';
import type { StorageKind, StorageUnderTest } from '../support/storages.js';
import { expectFault } from '../support/expect-fault.js';

const TABLE = 'decisions';
const insert = (rowKey: string, properties: Properties = { n: 1 }): RowOperation => ({
  kind: 'insert',
  rowKey,
  properties,
});

/** What every `RecordTable` must do. */
export function recordTableContract(kind: StorageKind): void {
  describe(`a record table ${kind.name}`, () => {
    let storage: StorageUnderTest;
    let tables: RecordTable;
    let partitions = 0;
    /** A partition that no other test uses. */
    const fresh = (): string => `default:p-${++partitions}`;
    const one = async (pk: string, operation: RowOperation): Promise<string> =>
      (await tables.commit(TABLE, pk, [operation]))[0] as string;

    beforeAll(async () => {
      storage = await kind.open({ tables: [TABLE], containers: [], queues: [] });
      tables = storage.ports.tables;
    });
    afterAll(() => storage.close());

    it('finds nothing where there is no row', async () => {
      expect(await tables.find(TABLE, fresh(), 'r:1')).toBeUndefined();
    });

    it('refuses a table that does not exist, for reads and writes, and never calls it a missing row', async () => {
      await expectFault('refused', tables.find('nosuchtable', 'a', 'b'));
      await expectFault('refused', tables.range('nosuchtable', 'a', { from: 'a', to: 'b', limit: 1 }));
      await expectFault('refused', tables.commit('nosuchtable', 'a', [insert('a')]));
      await expectFault('refused', tables.commit('nosuchtable', 'a', [insert('a'), insert('b')]));
      const gone: RowOperation = { kind: 'delete', rowKey: 'a', etag: '*' };
      await expectFault('refused', tables.commit('nosuchtable', 'a', [gone]));
    });

    it('gives back what was inserted, with its keys, ETag and the time of the service', async () => {
      const pk = fresh();
      const etag = await one(pk, insert("r:it's=20", { text: 'é\u2028"\\', flag: false, count: 3 }));
      const row = await tables.find(TABLE, pk, "r:it's=20");
      expect(row).toMatchObject({ partitionKey: pk, rowKey: "r:it's=20", etag });
      expect(row?.properties).toEqual({ text: 'é\u2028"\\', flag: false, count: 3 });
      expect(row?.timestampMs).toBeGreaterThan(Date.UTC(2020, 0, 1));
    });

    it('gives back every number exactly, alone and in a transaction, but for the sign of -0', async () => {
      const edges = [0, 1, -1, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), -(2 ** 31) - 1, 2 ** 53, -(2 ** 53)];
      const doubles = [0.1, -1.5, 1e21, 1e300, 5e-324, Number.MAX_VALUE, 2 ** 53 + 2];
      const pk = fresh();
      for (const [index, value] of [...edges, ...doubles].entries()) {
        await one(pk, insert(`n:${index}`, { value }));
        expect((await tables.find(TABLE, pk, `n:${index}`))?.properties['value']).toBe(value);
      }
      const values = { a: 2 ** 40, b: 1e300, c: -7, d: 0.1, e: -0 };
      await tables.commit(TABLE, pk, [insert('t:1', values), insert('t:2', values)]);
      expect((await tables.find(TABLE, pk, 't:2'))?.properties).toEqual({ ...values, e: 0 });
    });

    it('gives back any properties', async () => {
      const pk = fresh();
      let next = 0;
      const value = fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.boolean(),
        fc.integer().filter((number) => !Object.is(number, -0)),
        fc.maxSafeInteger().filter((number) => !Object.is(number, -0)),
        fc.double({ noNaN: true, noDefaultInfinity: true }).filter((number) => !Object.is(number, -0)),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(value, { maxLength: 5 }), async (values) => {
          const properties = Object.fromEntries(values.map((item, index) => [`p${index}`, item]));
          const keys = [`any:${++next}`, `any:${++next}`] as const;
          await tables.commit(TABLE, pk, [insert(keys[0], properties), insert(keys[1], properties)]);
          expect((await tables.find(TABLE, pk, keys[1]))?.properties).toEqual(properties);
        }),
        { numRuns: 60 },
      );
    });

    it('hands out copies: changing a row that was read changes nothing stored', async () => {
      const pk = fresh();
      const properties = { n: 1 };
      await one(pk, insert('a', properties));
      properties.n = 2;
      const read = await tables.find(TABLE, pk, 'a');
      (read?.properties as { n: number }).n = 3;
      expect((await tables.find(TABLE, pk, 'a'))?.properties).toEqual({ n: 1 });
    });

    it('refuses to insert a row that exists', async () => {
      const pk = fresh();
      await one(pk, insert('a'));
      await expectFault('exists', one(pk, insert('a')));
      await expectFault('exists', tables.commit(TABLE, pk, [insert('b'), insert('a')]));
    });

    it('replaces under an ETag, dropping what is not named, and changes the ETag', async () => {
      const pk = fresh();
      const first = await one(pk, insert('a', { x: 1, y: 1 }));
      const second = await one(pk, { kind: 'replace', rowKey: 'a', properties: { y: 2 }, etag: first });
      expect(second).not.toBe(first);
      expect(await tables.find(TABLE, pk, 'a')).toMatchObject({ etag: second, properties: { y: 2 } });
      expect((await tables.find(TABLE, pk, 'a'))?.properties).toEqual({ y: 2 });
    });

    it('merges under an ETag, keeping what is not named', async () => {
      const pk = fresh();
      const etag = await one(pk, insert('a', { x: 1, y: 1 }));
      const next = await one(pk, { kind: 'merge', rowKey: 'a', properties: { y: 2 }, etag });
      expect(next).not.toBe(etag);
      expect((await tables.find(TABLE, pk, 'a'))?.properties).toEqual({ x: 1, y: 2 });
    });

    it('upserts: creates, then replaces whatever is there', async () => {
      const pk = fresh();
      const first = await one(pk, { kind: 'upsert', rowKey: 'a', properties: { x: 1 } });
      const second = await one(pk, { kind: 'upsert', rowKey: 'a', properties: { y: 1 } });
      expect(second).not.toBe(first);
      expect((await tables.find(TABLE, pk, 'a'))?.properties).toEqual({ y: 1 });
    });

    it('deletes under an ETag; the row is gone and its ETag is the empty string', async () => {
      const pk = fresh();
      const etag = await one(pk, insert('a'));
      expect(await one(pk, { kind: 'delete', rowKey: 'a', etag })).toBe('');
      expect(await tables.find(TABLE, pk, 'a')).toBeUndefined();
    });

    it.each(['replace', 'merge', 'delete'] as const)(
      'answers %s of an old version with conflict, alone and in a transaction, and changes nothing',
      async (operation) => {
        const pk = fresh();
        const old = await one(pk, insert('a', { n: 1 }));
        const etag = await one(pk, { kind: 'replace', rowKey: 'a', properties: { n: 2 }, etag: old });
        const stale: RowOperation =
          operation === 'delete'
            ? { kind: 'delete', rowKey: 'a', etag: old }
            : { kind: operation, rowKey: 'a', properties: { n: 3 }, etag: old };
        await expectFault('conflict', tables.commit(TABLE, pk, [stale]));
        await expectFault('conflict', tables.commit(TABLE, pk, [insert('b'), stale]));
        expect(await tables.find(TABLE, pk, 'a')).toMatchObject({ etag, properties: { n: 2 } });
        expect(await tables.find(TABLE, pk, 'b')).toBeUndefined();
      },
    );

    it.each(['replace', 'merge', 'delete'] as const)(
      'answers %s of a row that is not there with missing, also under *, alone and in a transaction',
      async (operation) => {
        const pk = fresh();
        const existing = await one(pk, insert('b'));
        for (const etag of ['*', existing]) {
          const absent: RowOperation =
            operation === 'delete'
              ? { kind: 'delete', rowKey: 'a', etag }
              : { kind: operation, rowKey: 'a', properties: {}, etag };
          await expectFault('missing', tables.commit(TABLE, pk, [absent]));
          await expectFault('missing', tables.commit(TABLE, pk, [insert('c'), absent]));
        }
        expect(await tables.find(TABLE, pk, 'c')).toBeUndefined();
      },
    );

    it('takes * as any version of a row that exists', async () => {
      const pk = fresh();
      await one(pk, insert('a', { n: 1 }));
      await one(pk, { kind: 'replace', rowKey: 'a', properties: { n: 2 }, etag: '*' });
      await one(pk, { kind: 'merge', rowKey: 'a', properties: { m: 1 }, etag: '*' });
      expect((await tables.find(TABLE, pk, 'a'))?.properties).toEqual({ n: 2, m: 1 });
      await tables.commit(TABLE, pk, [insert('b'), { kind: 'delete', rowKey: 'a', etag: '*' }]);
      expect(await tables.find(TABLE, pk, 'a')).toBeUndefined();
    });

    it('commits operations of every kind in one transaction and tells the new ETags in order', async () => {
      const pk = fresh();
      const etags = await tables.commit(
        TABLE,
        pk,
        ['a', 'b', 'c'].map((key) => insert(key)),
      );
      const [a = '', b = '', c = ''] = etags;
      const written = await tables.commit(TABLE, pk, [
        { kind: 'delete', rowKey: 'a', etag: a },
        { kind: 'replace', rowKey: 'b', properties: { n: 2 }, etag: b },
        insert('d'),
        { kind: 'merge', rowKey: 'c', properties: { m: 2 }, etag: c },
        { kind: 'upsert', rowKey: 'e', properties: {} },
      ]);
      expect(written[0]).toBe('');
      const rows = await readRange(tables, TABLE, pk, { from: '!', to: '~' });
      expect(rows.map((row) => row.rowKey)).toEqual(['b', 'c', 'd', 'e']);
      expect(rows.map((row) => row.etag)).toEqual([written[1], written[3], written[2], written[4]]);
      expect(rows.map((row) => row.properties)).toEqual([{ n: 2 }, { n: 1, m: 2 }, { n: 1 }, {}]);
      await tables.commit(TABLE, pk, [
        { kind: 'delete', rowKey: 'b', etag: written[1] as string },
        { kind: 'delete', rowKey: 'c', etag: written[3] as string },
      ]);
    });

    it('applies nothing of a transaction of which one operation fails, wherever it stands', async () => {
      const pk = fresh();
      const etag = await one(pk, insert('x', { n: 1 }));
      const others: RowOperation[] = [
        insert('a'),
        { kind: 'replace', rowKey: 'x', properties: { n: 2 }, etag },
        { kind: 'upsert', rowKey: 'b', properties: {} },
      ];
      const failing: RowOperation = { kind: 'delete', rowKey: 'gone', etag: '*' };
      for (let position = 0; position <= others.length; position++) {
        await expectFault('missing', tables.commit(TABLE, pk, others.toSpliced(position, 0, failing)));
      }
      const rows = await readRange(tables, TABLE, pk, { from: '!', to: '~' });
      expect(rows.map((row) => [row.rowKey, row.etag, row.properties])).toEqual([['x', etag, { n: 1 }]]);
    });

    it('commits 100 rows at once', async () => {
      const pk = fresh();
      const operations = Array.from({ length: 100 }, (_, n) =>
        insert(`r:${String(n).padStart(3, '0')}`, { n }),
      );
      expect(await tables.commit(TABLE, pk, operations)).toHaveLength(100);
      expect(await readRange(tables, TABLE, pk, { from: 'r:', to: 'r;' })).toHaveLength(100);
    });

    it('keeps rows of the same key apart by partition', async () => {
      const [left, right] = [fresh(), fresh()];
      await one(left, insert('a', { side: 'left' }));
      await one(right, insert('a', { side: 'right' }));
      expect((await tables.find(TABLE, left, 'a'))?.properties).toEqual({ side: 'left' });
      const page = await tables.range(TABLE, right, { from: '!', to: '~', limit: 10 });
      expect(page.rows.map((row) => row.properties)).toEqual([{ side: 'right' }]);
    });

    it('reads a range in ordinal order: from inclusive, to exclusive, whatever the order of writing', async () => {
      const pk = fresh();
      const keys = ['a:10', 'a:9', 'B', 'b', '_', 'a:1', 'a:1!', '=C3', '~', 'a;'];
      for (const key of keys) await one(pk, insert(key));
      const all = await tables.range(TABLE, pk, { from: '!', to: '~~', limit: 1000 });
      expect(all.rows.map((row) => row.rowKey)).toEqual(keys.toSorted());
      const part = await tables.range(TABLE, pk, { from: 'a:1', to: 'a:9', limit: 1000 });
      expect(part.rows.map((row) => row.rowKey)).toEqual(['a:1', 'a:1!', 'a:10']);
      expect(part.more).toBe(false);
    });

    it('pages through a range without losing or repeating a row', async () => {
      const pk = fresh();
      const keys = Array.from({ length: 25 }, (_, n) => `r:${String(n).padStart(2, '0')}`);
      await tables.commit(
        TABLE,
        pk,
        keys.map((key) => insert(key)),
      );
      const seen: string[] = [];
      let from = 'r:';
      for (;;) {
        const page = await tables.range(TABLE, pk, { from, to: 'r;', limit: 10 });
        expect(page.rows.length).toBeLessThanOrEqual(10);
        seen.push(...page.rows.map((row) => row.rowKey));
        if (!page.more) break;
        from = keyAfter(page.rows.at(-1)?.rowKey as string);
      }
      expect(seen).toEqual(keys);
    });

    it('says that nothing is left after an empty range, and after the last row', async () => {
      const pk = fresh();
      const nothing = { rows: [], more: false };
      expect(await tables.range(TABLE, pk, { from: 'a', to: 'b', limit: 5 })).toEqual(nothing);
      expect(await tables.range(TABLE, pk, { from: 'b', to: 'a', limit: 5 })).toEqual(nothing);
      await one(pk, insert('a'));
      expect((await tables.range(TABLE, pk, { from: 'a', to: 'b', limit: 5 })).more).toBe(false);
    });

    it('lets exactly one of twenty concurrent writers win each version', async () => {
      const pk = fresh();
      let etag = await one(pk, insert('counter', { n: 0 }));
      for (let round = 1; round <= 3; round++) {
        const attempts = Array.from({ length: 20 }, (_, writer) =>
          tables.commit(TABLE, pk, [
            { kind: 'replace', rowKey: 'counter', properties: { n: round, writer }, etag },
            insert(`v:${round}:${writer}`),
          ]),
        );
        const results = await Promise.allSettled(attempts);
        const won = results.filter((result) => result.status === 'fulfilled');
        expect(won).toHaveLength(1);
        for (const result of results) {
          if (result.status === 'rejected') expect(result.reason).toMatchObject({ kind: 'conflict' });
        }
        etag = won[0]?.value[0] as string;
      }
      expect(await readRange(tables, TABLE, pk, { from: 'v:', to: 'v;' })).toHaveLength(3);
    });

    it('lets exactly one of twenty concurrent inserts win', async () => {
      const pk = fresh();
      const results = await Promise.allSettled(Array.from({ length: 20 }, () => one(pk, insert('a'))));
      expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
    });

    it.each<[string, RowOperation[]]>([
      ['101 rows', Array.from({ length: 101 }, (_, n) => insert(`r:${n}`))],
      ['a row named twice', [insert('a'), { kind: 'upsert', rowKey: 'a', properties: {} }]],
      ['a property over 64 KiB', [insert('a', { p: 'x'.repeat(32_769) })]],
      ['a row over 1 MiB', [insert('a', wide(17))]],
      ['more than 4 MiB in all', Array.from({ length: 9 }, (_, n) => insert(`r:${n}`, wide(15)))],
      ['a row key of 513 characters', [insert('k'.repeat(513))]],
      ['a slash in a row key', [insert('a/b')]],
      ['a control character in a row key', [insert('a\u0000')]],
    ])('refuses %s with too-large, and writes nothing', async (_, operations) => {
      const pk = fresh();
      await expectFault('too-large', tables.commit(TABLE, pk, operations));
      expect(await readRange(tables, TABLE, pk, { from: '!', to: '~' })).toEqual([]);
    });

    it('takes what is just within the limits', async () => {
      const pk = fresh();
      await one(pk, insert('k'.repeat(512), { p: 'é'.repeat(32_768) }));
      await one(pk, insert('wide', wide(15)));
      expect((await tables.find(TABLE, pk, 'wide'))?.properties).toEqual(wide(15));
    });
  });
}

/** A row of `count` properties of 64 KiB each. */
function wide(count: number): Properties {
  return Object.fromEntries(Array.from({ length: count }, (_, n) => [`p${n}`, 'x'.repeat(32_768)]));
}
