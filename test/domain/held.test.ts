import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { everySubjectOf, holdsOn, holdsOnSubject, isHeld, type ActiveHold, type HeldScope, type HoldFacts } from '../../src/domain/held.js'; // prettier-ignore
import { conversationType } from '../../src/records/conversation.js';
import { decisionType } from '../../src/records/decision.js';

const FACTS: HoldFacts = {
  collection: 'decisions',
  id: 'dec_1',
  createdMs: 1000,
  fields: { status: 'queued', created_by: 'b1' },
  subjects: ['s1', 's2'],
};
const on = (scope: HeldScope): ActiveHold => ({ holdId: 'hold_1', scope });
const query = (more: Partial<HeldScope & { kind: 'query' }> = {}): HeldScope => ({ kind: 'query', collection: 'decisions', fields: {}, ...more }); // prettier-ignore

describe('a hold covers a record', () => {
  it.each<readonly [string, HeldScope, boolean]>([
    ['that it names', { kind: 'record', collection: 'decisions', id: 'dec_1' }, true],
    ['and no other', { kind: 'record', collection: 'decisions', id: 'dec_2' }, false],
    ['of its collection alone', { kind: 'record', collection: 'metrics', id: 'dec_1' }, false],
    ['that is about its subject', { kind: 'subject', subject: 's2' }, true],
    ['and not one about others', { kind: 'subject', subject: 's3' }, false],
    ['of a whole collection', query(), true],
    ['and not of another', query({ collection: 'metrics' }), false],
    ['from a time on, that time included', query({ fromMs: 1000 }), true],
    ['not before', query({ fromMs: 1001 }), false],
    ['until a time', query({ toMs: 1001 }), true],
    ['that time excluded', query({ toMs: 1000 }), false],
    ['with the value of a field', query({ fields: { status: 'queued' } }), true],
    ['with those of several', query({ fields: { status: 'queued', created_by: 'b1' } }), true],
    ['with all of them', query({ fields: { status: 'queued', created_by: 'b2' } }), false],
    ['not where it does not have the field', query({ fields: { decision_type: 'x' } }), false],
    ['nor where every object has one', query({ fields: { constructor: 'x' } }), false],
    ['by period and field together', query({ fromMs: 1000, toMs: 1001, fields: { status: 'queued' } }), true],
  ])('%s', (_, scope, expected) => {
    expect(isHeld([on(scope)], FACTS)).toBe(expected);
  });

  it('as one of many', () => {
    const free = on({ kind: 'subject', subject: 'nobody' });
    const holding = { holdId: 'hold_2', scope: query() };
    expect(isHeld([], FACTS)).toBe(false);
    expect(holdsOn([free, holding, free], FACTS)).toEqual([holding]);
    expect(holdsOnSubject([free, holding], 'nobody')).toEqual([free]);
    expect(holdsOnSubject([holding], 's1')).toEqual([]);
  });
});

/** The same said again, as the specification says it: by going through what could be a reason not to be held. */
function naive({ scope }: ActiveHold, facts: HoldFacts): boolean {
  if (scope.kind === 'subject') return new Set(facts.subjects).has(scope.subject);
  if (facts.collection !== scope.collection) return false;
  if (scope.kind === 'record') return facts.id === scope.id;
  if (!(facts.createdMs >= (scope.fromMs ?? -Infinity))) return false;
  if (!(facts.createdMs < (scope.toMs ?? Infinity))) return false;
  const has = new Map(Object.entries(facts.fields));
  for (const [name, value] of new Map(Object.entries(scope.fields))) if (has.get(name) !== value) return false; // prettier-ignore
  return true;
}

describe('which holds cover a record', () => {
  // Few of each, so that they meet.
  const collection = fc.constantFrom('decisions', 'metrics');
  const id = fc.constantFrom('x_1', 'x_2');
  const ms = fc.integer({ min: 0, max: 4 });
  const name = fc.constantFrom('status', 'created_by', 'toString');
  const fields = fc.dictionary(name, fc.constantFrom('a', 'b'), { maxKeys: 3 });
  const subject = fc.constantFrom('s1', 's2', 's3');
  const scope: fc.Arbitrary<HeldScope> = fc.oneof(
    fc.record({ kind: fc.constant('record' as const), collection, id }),
    fc.record({ kind: fc.constant('subject' as const), subject }),
    fc.record({ kind: fc.constant('query' as const), collection, fields, fromMs: ms, toMs: ms }, { requiredKeys: ['kind', 'collection', 'fields'] }), // prettier-ignore
  );
  const holds = fc.array(scope, { maxLength: 6 }).map((all) => all.map((one, at) => ({ holdId: `hold_${at}`, scope: one }))); // prettier-ignore
  const facts = fc.record({ collection, id, createdMs: ms, fields, subjects: fc.uniqueArray(subject) });

  it('is what a naive model says', () => {
    let held = 0;
    fc.assert(
      fc.property(holds, facts, (all, one) => {
        const expected = all.filter((hold) => naive(hold, one));
        expect(holdsOn(all, one)).toEqual(expected);
        expect(isHeld(all, one)).toBe(expected.length > 0);
        held += expected.length > 0 ? 1 : 0;
      }),
      { numRuns: 1000 },
    );
    expect(held).toBeGreaterThan(100);
  });

  it('grows with every hold, and ends with none', () => {
    fc.assert(
      fc.property(holds, holds, facts, (some, more, one) => {
        expect(isHeld([...some, ...more], one)).toBe(isHeld(some, one) || isHeld(more, one));
      }),
    );
  });
});

describe('whom a record is about', () => {
  it('are all that its type says name them, also beside what is not there', () => {
    const data = {
      created_by: 'ada',
      agent_votes: [{ agent: 'cfo', vote: 'approve' }, { agent: 'ceo', reasoning: 'Why not.' }, { agent: 'cfo' }],
      metadata: { subject_id: 17, subject_ids: ['grace', '', { $commitment: 'x' }] },
    }; // prettier-ignore
    expect(everySubjectOf(data, decisionType.subjects)).toEqual(['17', 'ada', 'ceo', 'cfo', 'grace']);
    expect(everySubjectOf({ metadata: { subject_id: 'grace' } })).toEqual(['grace']);
    expect(everySubjectOf({}, decisionType.subjects)).toEqual([]);
  });

  it('are those of an entry too', () => {
    expect(everySubjectOf({ sender: 'ada', content: 'Hello.' }, conversationType.parts?.subjects)).toEqual(['ada']); // prettier-ignore
  });
});
