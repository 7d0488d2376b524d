import { describe, expect, it } from 'vitest';
import { actOn, createData, patchData } from '../../src/domain/apply-change.js';
import { chained } from '../../src/domain/hash-chain.js';
import { LIMITS } from '../../src/domain/limits.js';
import { covenantType, type Covenant, type CovenantAmendment } from '../../src/records/covenant.js';
import { AMENDMENT, COVENANT } from '../support/covenants.js';

const NOW = Date.UTC(2026, 4, 1);
const context = { id: 'cov_019b0000-0000-7000-8000-000000000000', nowMs: NOW, actor: 'ada' };
const at = (ms: number, revision = 2) => ({ ...context, nowMs: NOW + ms, revision });

function made(body: object = {}): Covenant {
  const input = covenantType.createSchema.parse({ ...COVENANT, ...body });
  return createData(covenantType, { input, createdMs: NOW }, context) as unknown as Covenant;
}

function done(current: Covenant, action: string, body: object, ms = 1000, revision = 2): Covenant {
  return actOn(covenantType, action, { ...current }, body, at(ms, revision)) as unknown as Covenant;
}

/** A covenant with a sound ledger of so many entries. */
function amendedTimes(count: number): Covenant {
  const amendments: CovenantAmendment[] = [];
  const time = new Date(NOW).toISOString();
  for (let n = 0; n < count; n += 1)
    amendments.push(chained(amendments.at(-1), { ...AMENDMENT, changes: {}, covenant_version: '1.0', effective_at: time, recorded_at: time })); // prettier-ignore
  return { ...made({ status: 'amended' }), amendments, ledger_head: amendments.at(-1)?.hash ?? '' };
}

describe('a covenant', () => {
  it('says which version is in force from the first, in every state it may be stored in', () => {
    const inForce = ['draft', 'active', 'amended', 'superseded', 'revoked'].map((status) => made({ status }).in_force_version); // prettier-ignore
    expect(inForce).toEqual([undefined, '1.0', '1.0', undefined, undefined]);
  });

  it('gets older with every change, whatever the clock says', () => {
    const first = done(made({ status: 'active' }), 'recognitions', { peer: 'x' }, 5000);
    const second = done(first, 'recognitions', { peer: 'y' }, -60_000, 3);
    expect([first.updated_at, second.updated_at]).toEqual(Array(2).fill(new Date(NOW + 5000).toISOString()));
    expect(second.created_at).toBe(new Date(NOW).toISOString());
  });

  it('knows by which revision each version began', () => {
    const second = done(made({ status: 'active' }), 'versions', { ...COVENANT, version: '2' }, 1000, 7);
    const third = done(second, 'versions', { ...COVENANT, version: '2.0.1', schema_version: '3' }, 2000, 9);
    expect(third.version_history.map(({ version, revision, status }) => [version, revision, status])).toEqual([['1.0', 1, 'superseded'], ['2', 7, 'superseded'], ['2.0.1', 9, 'active']]); // prettier-ignore
    expect([second.schema_version, third.schema_version]).toEqual(['1.0', '3']);
    expect(third.version_history[1]?.ended_at).toBe(third.version_history[2]?.created_at);
  });

  it('takes as much of anything as one record holds, and says so beyond', () => {
    const full = amendedTimes(LIMITS.listItems);
    expect(done(amendedTimes(LIMITS.listItems - 1), 'amendments', AMENDMENT).amendments).toHaveLength(LIMITS.listItems); // prettier-ignore
    expect(() => done(full, 'amendments', AMENDMENT)).toThrow(expect.objectContaining({ code: 'payload-too-large' })); // prettier-ignore
    const covenant = made({ status: 'active' });
    const time = covenant.created_at;
    const peers = Array.from({ length: LIMITS.listItems }, (_, n) => ({ peer: `${n}`, covenant_version: '1.0', recognized_at: time })); // prettier-ignore
    const recognized = { ...covenant, peer_recognitions: peers };
    expect(done(recognized, 'recognitions', { peer: '7' }).peer_recognitions).toHaveLength(LIMITS.listItems);
    expect(() => done(recognized, 'recognitions', { peer: 'x' })).toThrow(expect.objectContaining({ code: 'payload-too-large' })); // prettier-ignore
    const entry = covenant.version_history[0] as Covenant['version_history'][number];
    const old = { ...covenant, version_history: Array<typeof entry>(LIMITS.listItems).fill(entry) };
    expect(() => done(old, 'versions', { ...COVENANT, version: '2' })).toThrow(expect.objectContaining({ code: 'payload-too-large' })); // prettier-ignore
  });

  it('is refused with a ledger that was altered, cut or put in another order', () => {
    const sound = amendedTimes(4);
    expect(covenantType.check?.({ ...sound })).toEqual([]);
    const ledgers = [
      sound.amendments.slice(1),
      sound.amendments.slice(0, 3),
      [],
      sound.amendments.toReversed(),
      sound.amendments.map((one) => ({ ...one, proposed_by: 'somebody else' })),
      sound.amendments.map((one, n) => (n === 2 ? { ...one, changes: { quorum: 1 } } : one)),
    ];
    for (const amendments of ledgers) {
      const altered = { ...sound, amendments };
      expect(covenantType.check?.(altered)).toEqual([{ pointer: '/amendments', detail: 'is not the ledger that was kept' }]); // prettier-ignore
      // Nothing is built upon it either.
      expect(() => done(altered, 'recognitions', { peer: 'x' }, 1000, 6)).toThrow(expect.objectContaining({ code: 'integrity-failure', evidence: { id: context.id, revision: 5, what: 'ledger' } })); // prettier-ignore
    }
  });

  it('never loses an amendment to a change, whatever the change', () => {
    const sound = amendedTimes(3);
    const shorter = amendedTimes(2);
    for (const next of [shorter, { ...sound, amendments: [] }])
      expect(() => covenantType.settle?.({ ...next }, { ...sound }, at(1))).toThrow(expect.objectContaining({ code: 'record-immutable' })); // prettier-ignore
  });

  it('is activated by a patch as it is by the action', () => {
    const draft = made();
    const patched = patchData(covenantType, { ...draft }, { status: 'active' }, at(1000));
    expect(patched).toEqual(done(draft, 'activation', {}));
    expect(() => patchData(covenantType, patched, { governance: { quorum: 1 } }, at(2000, 3))).toThrow(expect.objectContaining({ code: 'record-immutable', message: expect.stringContaining('by its actions alone') as string })); // prettier-ignore
  });
});
