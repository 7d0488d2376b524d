import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { partitionKey } from '../../src/storage/keys.js';
import type { RangePage, RangeQuery, Row, StoragePorts } from '../../src/storage/ports.js';
import { keyAfter } from '../../src/storage/range.js';
import { servedFaults, watchLogs } from '../support/log-watch.js';
import { memoryPorts } from '../support/memory-ports.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';
import {
  assertRevisionOrder,
  assertSealed,
  commitChanges,
  DECISIONS,
  host,
  pendingChange,
  streamLines,
  TENANT,
} from './support.js';

const START = Date.UTC(2026, 0, 10, 12);

/**
 * Ports of one process among several: every call waits for its turn, the lease is nobody's, and a range read goes row
 * by row, so that what is committed behind it while it runs is missed, as the contract allows.
 */
function takingTurns(ports: StoragePorts, turn: () => Promise<void>): StoragePorts {
  return wrapPorts(ports, async (call, run) => {
    if (call.method === 'acquireLease') return 'anybody’s';
    await turn();
    if (call.method !== 'range') return run();
    const [table, key, query] = call.args as [string, string, RangeQuery];
    const rows: Row[] = [];
    for (let from = query.from; rows.length < query.limit;) {
      const page = await ports.tables.range(table, key, { ...query, from, limit: 1 });
      rows.push(...page.rows);
      if (!page.more) return { rows, more: false } satisfies RangePage;
      from = keyAfter(rows.at(-1)?.rowKey ?? from);
      await turn();
    }
    return { rows, more: true } satisfies RangePage;
  });
}

describe('sealers that race', () => {
  it(
    'seal each event once and each record in order, however their calls interleave',
    { timeout: 120_000 },
    async () => {
      const property = fc.asyncProperty(
        fc.scheduler(),
        fc.array(fc.record({ record: fc.constantFrom('a', 'b', 'c'), pause: fc.nat(3) }), {
          minLength: 1,
          maxLength: 12,
        }),
        async (scheduler, writes) => {
          const clock = new VirtualClock(START);
          const watch = watchLogs(memoryPorts({ clock }));
          const { ports } = watch;
          const turn = (): Promise<void> => scheduler.schedule(Promise.resolve());
          const ids: string[] = [];
          const writer = async (): Promise<void> => {
            const revisions = new Map<string, number>();
            const own = host(ports, clock);
            for (const [at, { record, pause }] of writes.entries()) {
              const revision = (revisions.get(record) ?? 0) + 1;
              revisions.set(record, revision);
              ids.push(...(await commitChanges(own, DECISIONS, [{ record, revision, atMs: START + at }])));
              for (let wait = 0; wait < pause; wait += 1) await turn();
            }
          };
          const sealers = [1, 2].map(() => host(takingTurns(ports, turn), clock));
          const sealing = sealers.map(async ({ sealer }) => {
            for (let round = 0; round < 3; round += 1) {
              await sealer.sealTenant(TENANT, { partitions: [DECISIONS] });
              assertRevisionOrder(await streamLines(ports));
            }
          });
          await scheduler.waitFor(Promise.all([writer(), ...sealing]));
          await host(ports, clock).sealer.sealTenant(TENANT, { partitions: [DECISIONS] });
          await assertSealed(ports, ids);
          const leaves = (await streamLines(ports)).map(({ text }) => text);
          expect(servedFaults(watch, () => leaves)).toEqual([]);
        },
      );
      await fc.assert(property, { numRuns: 150 });
    },
  );

  it('take a predecessor that the first read missed from the second', async () => {
    const clock = new VirtualClock(START);
    const ports = memoryPorts({ clock });
    const key = partitionKey(TENANT, DECISIONS.partition);
    const [one, two, three] = [1, 2, 3].map((revision) =>
      pendingChange(DECISIONS, { record: 'a', revision, atMs: START + revision }),
    );
    const [other] = [pendingChange(DECISIONS, { record: 'b', revision: 1, atMs: START + 1 })];
    let reads = 0;
    const odd = wrapPorts(ports, async (call, run) => {
      if (call.method !== 'range') return run();
      reads += 1;
      if (reads === 1) {
        // The read has passed the place of the first two when they are committed, and sees the third.
        await ports.tables.commit('decisions', key, [one, two, three, other] as never);
        const page = (await run()) as RangePage;
        return { ...page, rows: page.rows.filter(({ rowKey }) => rowKey === three?.rowKey) };
      }
      return run();
    });
    const app = host(odd, clock);
    expect(await app.sealer.sealTenant(TENANT, { partitions: [DECISIONS] })).toEqual({
      sealed: 3,
      busy: false,
    });
    assertRevisionOrder(await streamLines(ports));
    await app.sealer.sealTenant(TENANT, { partitions: [DECISIONS] });
    expect(await streamLines(ports)).toHaveLength(4);
  });

  it('hold back what follows a corrupt row that only the second read saw', async () => {
    const clock = new VirtualClock(START);
    const ports = memoryPorts({ clock });
    const key = partitionKey(TENANT, DECISIONS.partition);
    const rows = [1, 2, 3].map((revision) =>
      pendingChange(DECISIONS, { record: 'a', revision, atMs: START + revision }),
    );
    await ports.tables.commit('decisions', key, rows);
    const flip = {
      kind: 'merge',
      rowKey: rows[1]?.rowKey ?? '',
      properties: { event: '{}' },
      etag: '*',
    } as const;
    await ports.tables.commit('decisions', key, [flip]);
    let reads = 0;
    const odd = wrapPorts(ports, async (call, run) => {
      if (call.method !== 'range' || (reads += 1) > 1) return run();
      const page = (await run()) as RangePage;
      return { ...page, rows: page.rows.filter(({ rowKey }) => rowKey === rows[2]?.rowKey) };
    });
    const app = host(odd, clock);
    expect(await app.sealer.sealTenant(TENANT, { partitions: [DECISIONS] })).toEqual({
      sealed: 1,
      busy: false,
    });
    expect((await streamLines(ports)).map(({ event }) => event.revision)).toEqual([1]);
    expect(app.corrupt).toHaveLength(1);
  });
});
