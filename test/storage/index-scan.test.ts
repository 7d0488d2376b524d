import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decisionType } from '../../src/records/decision.js';
import { Cursors } from '../../src/storage/cursor.js';
import type { ListQuery } from '../../src/storage/manager-types.js';
import { caller, openStorage, STORAGES, testPlatform } from '../support/platform.js';

const STATUSES = ['queued', 'in_progress', 'failed'] as const;
const TYPES = ['strategic', 'financial'] as const;
const PEOPLE = ['ada', 'bob'] as const;

const record = fc.record({
  status: fc.constantFrom(...STATUSES),
  decision_type: fc.constantFrom(...TYPES),
  created_by: fc.constantFrom(...PEOPLE),
  ms: fc.integer({ min: Date.UTC(2024, 0, 1), max: Date.UTC(2026, 5, 1) }),
});
const optional = <T>(values: readonly T[]) => fc.option(fc.constantFrom(...values), { nil: undefined });
const query = fc.record({
  status: optional(STATUSES),
  decision_type: optional(TYPES),
  created_by: optional(PEOPLE),
  fromMs: fc.option(fc.integer({ min: Date.UTC(2023, 11, 1), max: Date.UTC(2026, 6, 1) }), {
    nil: undefined,
  }),
  toMs: fc.option(fc.integer({ min: Date.UTC(2023, 11, 1), max: Date.UTC(2026, 6, 1) }), { nil: undefined }),
  limit: fc.integer({ min: 1, max: 7 }),
});

describe.each(STORAGES)('listing $name', (kind) => {
  it('walks to every match exactly once, newest first, whatever the filters, times and page size', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(record, { maxLength: 40, selector: (one) => one.ms }),
        fc.array(query, { minLength: 1, maxLength: 4 }),
        fc.nat(),
        async (records, queries, tenantNumber) => {
          const call = caller({
            tenant: `t-${String(tenantNumber)}-${String(Math.floor(Math.random() * 1e9))}`,
          });
          const storage = await shared;
          const platform = testPlatform(storage.ports);
          const made = await Promise.all(
            records.map(async ({ ms, ...rest }) => {
              const body = { ...rest, title: 't', created_at: new Date(ms).toISOString() };
              const { envelope } = await platform.manager.create(decisionType, body, call);
              return { id: envelope.id, ms, ...rest };
            }),
          );
          for (const { limit, fromMs, toMs, ...named } of queries) {
            const filters = JSON.parse(JSON.stringify(named)) as Record<string, string>;
            const expected = made
              .filter((one) => Object.entries(filters).every(([k, v]) => one[k as 'status'] === v))
              .filter(
                (one) => (fromMs === undefined || one.ms >= fromMs) && (toMs === undefined || one.ms < toMs),
              )
              .sort((a, b) => b.ms - a.ms)
              .map((one) => one.id);
            const found: string[] = [];
            let cursor: string | undefined;
            do {
              const asked: ListQuery = { filters, fromMs, toMs, limit, cursor };
              const page = await platform.manager.list(decisionType, asked, call);
              expect(page.items.length).toBeLessThanOrEqual(limit);
              found.push(...page.items.map((item) => String(item['id'])));
              cursor = page.nextCursor ?? undefined;
            } while (cursor !== undefined && found.length <= expected.length);
            expect(found).toEqual(expected);
          }
        },
      ),
      { numRuns: kind.realTime ? 4 : 60 },
    );
  });

  it('refuses a filter nobody declared and a limit out of range', async () => {
    const platform = testPlatform((await shared).ports);
    const list = (asked: ListQuery) => platform.manager.list(decisionType, asked, caller());
    await expect(list({ filters: { colour: 'red' }, limit: 1 })).rejects.toMatchObject({
      code: 'request-malformed',
    });
    await expect(list({ filters: {}, limit: 0 })).rejects.toMatchObject({ code: 'request-malformed' });
    await expect(list({ filters: {}, limit: 1001 })).rejects.toMatchObject({ code: 'request-malformed' });
  });

  const shared = openStorage(kind);
});

describe('cursors', () => {
  const cursors = new Cursors(new Uint8Array(32).fill(7));

  it('come back on any host with the same key, for the same query only', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.string(), (name, partition, rowKey) => {
        const cursor = cursors.encode(name, { partition, rowKey });
        expect(new Cursors(new Uint8Array(32).fill(7)).decode(name, cursor)).toEqual({ partition, rowKey });
        expect(() => cursors.decode(`${name}x`, cursor)).toThrow(/cursor/);
        expect(() => new Cursors(new Uint8Array(32).fill(8)).decode(name, cursor)).toThrow(/cursor/);
      }),
    );
  });

  it('are refused with any character changed, cut or added, and never crash the reader', () => {
    const cursor = cursors.encode('q', { partition: '2026-11', rowKey: 'i:all::8204744669800:dec_x' });
    for (let at = 0; at < cursor.length; at += 1) {
      const other = cursor[at] === 'A' ? 'B' : 'A';
      const changed = cursor.slice(0, at) + other + cursor.slice(at + 1);
      // Base64url ignores the spare bits of a last character; what it decodes to is then the same cursor.
      try {
        expect(cursors.decode('q', changed)).toEqual(cursors.decode('q', cursor));
      } catch (error) {
        expect(error).toMatchObject({ code: 'request-malformed' });
      }
      expect(() => cursors.decode('q', cursor.slice(0, at))).toThrow(/cursor/);
    }
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(() => cursors.decode('q', text)).toThrow(/cursor/);
      }),
    );
  });
});
