import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newId } from '../../src/domain/ids.js';
import { parseBlobName } from '../../src/lifecycle/blob-names.js';
import { findRevisions } from '../../src/lifecycle/find-revisions.js';
import { groupsOf, isOld } from '../../src/lifecycle/orphan-plan.js';
import { covenantType } from '../../src/records/covenant.js';
import { decisionType } from '../../src/records/decision.js';
import { Budget } from '../../src/storage/backoff.js';
import { revisionKey } from '../../src/storage/keys.js';
import { detailBlobName, packBlobName, placeOf } from '../../src/storage/record-location.js';
import { countingPorts } from '../support/counting-ports.js';
import { seededEntropy } from '../support/entropy.js';
import { memoryPorts } from '../support/memory-ports.js';
import { DAY, HOUR, QuickClock } from './support.js';

const entropy = seededEntropy('names');
const NOW = Date.UTC(2026, 10, 21);
const types = [decisionType];

const looseName = (createdMs: number, revision: number, eventMs: number, tenant = 'acme'): string => {
  const id = newId('dec', createdMs, entropy);
  return detailBlobName(decisionType, placeOf(decisionType, tenant, id, {}), id, revision, newId('evt', eventMs, entropy)); // prettier-ignore
};
const packName = (ms: number): string =>
  packBlobName(decisionType, 'acme', newId('pack', ms, entropy).slice(5));

describe('the name of a blob', () => {
  it('says what it is, whose, and when it was written', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: NOW }),
        fc.integer({ min: 1, max: 999_999 }),
        fc.integer({ min: 0, max: NOW }),
        (createdMs, revision, eventMs) => {
          const name = looseName(createdMs, revision, eventMs);
          const month = new Date(createdMs).toISOString().slice(0, 7);
          const ref = { tenant: 'acme', table: 'decisions', partition: month };
          const id = name.split('/')[3];
          expect(parseBlobName(types, name)).toEqual({ kind: 'loose', name, ref, id, revision, ms: eventMs });
          const pack = packName(eventMs);
          expect(parseBlobName(types, pack)).toMatchObject({ kind: 'pack', tenant: 'acme', ms: eventMs });
          const operationId = newId('op', eventMs, entropy);
          const inbox = `acme/_inbox/${operationId}.json`;
          expect(parseBlobName(types, inbox)).toMatchObject({ kind: 'inbox', operationId, ms: eventMs });
        },
      ),
    );
  });

  it('says the record of a type whose records have partitions of their own, under its own id alone', () => {
    const [id, other] = [newId('cov', NOW, entropy), newId('cov', NOW, entropy)];
    const event = newId('evt', NOW, entropy);
    const ref = { tenant: 'acme', table: 'covenants', partition: id };
    const name = detailBlobName(covenantType, placeOf(covenantType, 'acme', id, {}), id, 2, event);
    expect(name).toBe(`acme/covenant/${id}/${id}/2-${event}.json`);
    expect(parseBlobName([decisionType, covenantType], name)).toEqual({ kind: 'loose', name, ref, id, revision: 2, ms: NOW }); // prettier-ignore
    for (const partition of [other, 'index', '2026-11'])
      expect(
        parseBlobName([covenantType], `acme/covenant/${partition}/${id}/2-${event}.json`),
      ).toBeUndefined();
  });

  it('with any character changed, cut or added never names another record', () => {
    const name = looseName(NOW, 12, NOW);
    const mine = parseBlobName(types, name);
    for (let at = 0; at <= name.length; at += 1)
      for (const other of ['0', 'a', '/', 'A', '']) {
        const changed = name.slice(0, at) + other + name.slice(at + 1);
        const parsed = parseBlobName(types, changed);
        // Whatever it is taken for is what is called exactly so.
        if (parsed !== undefined) expect([parsed.name, parsed.kind]).toEqual([changed, mine?.kind]);
      }
  });
});

describe('the groups of a page', () => {
  it('hold neighbours of one partition together, and packs by themselves; what is young is not among them', () => {
    const old = NOW - 2 * DAY;
    const march = [1, 2, 3].map((revision) => looseName(Date.UTC(2024, 2), revision, old));
    const april = [looseName(Date.UTC(2024, 3), 1, old)];
    const young = [looseName(Date.UTC(2024, 3), 2, NOW - HOUR), packName(NOW - HOUR)];
    const packs = [packName(old), packName(old)];
    const other = [looseName(Date.UTC(2024, 2), 1, old, 'zebra')];
    const groups = groupsOf(types, [...march, ...april, ...young, ...packs, ...other], NOW);
    expect(groups.map(({ blobs }) => blobs.map(({ name }) => name))).toEqual([
      march,
      april,
      ...packs.map((name) => [name]),
      other,
    ]);
  });

  it('are of a thousand at most', () => {
    const names = Array.from({ length: 2_500 }, () => looseName(Date.UTC(2024, 2), 1, Date.UTC(2024, 2)));
    expect(groupsOf(types, names, NOW).map(({ blobs }) => blobs.length)).toEqual([1000, 1000, 500]);
  });

  it('are told by a day and the margin, on either side of now', () => {
    const edge = 25 * HOUR;
    expect([NOW - edge, NOW + edge, NOW].map((ms) => isOld(ms, NOW))).toEqual([false, false, false]);
    expect([NOW - edge - 1, NOW + edge + 1].map((ms) => isOld(ms, NOW))).toEqual([true, true]);
  });
});

describe('the search for revision rows', () => {
  const ref = { tenant: 'acme', table: 'decisions', partition: '2024-01' };
  const name = (n: number) => ({ id: `dec_${String(n).padStart(6, '0')}`, revision: 1 + (n % 3) });

  it('finds exactly the rows that are there, however they lie, and reads each stretch once', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.integer({ min: 0, max: 6_000 }), { maxLength: 30 }),
        fc.constantFrom(1, 2, 7),
        async (wanted, every) => {
          const clock = new QuickClock();
          const counting = countingPorts(memoryPorts({ clock }));
          const there = Array.from({ length: 6_000 }, (_, n) => n).filter((n) => n % every === 0);
          for (let at = 0; at < there.length; at += 100) {
            const rows = there.slice(at, at + 100).map((n) => ({ kind: 'insert', rowKey: revisionKey(name(n).id, name(n).revision), properties: { n } }) as const); // prettier-ignore
            await counting.ports.tables.commit('decisions', 'acme:2024-01', rows);
          }
          counting.reset();
          const found = await findRevisions(counting.ports.tables, ref, wanted.map(name), new Budget(clock, entropy)); // prettier-ignore
          const expected = wanted.filter((n) => n % every === 0 && n < 6_000);
          expect([...found.values()].map(({ properties }) => Number(properties['n'])).sort()).toEqual([...expected].sort()); // prettier-ignore
          const most = Math.min(wanted.length, Math.ceil(there.length / 1000) + 1);
          expect(counting.calls.length).toBeLessThanOrEqual(most);
        },
      ),
      { numRuns: 25 },
    );
  });
});
