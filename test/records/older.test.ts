import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { acceptCreate, createData, migratedData } from '../../src/domain/apply-change.js';
import type { RecordData } from '../../src/domain/record-type.js';
import { upgradeData } from '../../src/domain/upgrade.js';
import { decisionType } from '../../src/records/decision.js';
import { decisionFrom09 } from '../../src/records/older/decision-0-9.js';
import { RECORD_TYPES } from '../../src/records/registry.js';

const NOW = Date.parse('2026-11-21T08:00:00.000Z');

describe.each(
  RECORD_TYPES.flatMap((type) =>
    type.migrations.map((older) => [type.recordType, older.from, type, older] as const),
  ),
)('a %s of schema version %s', (_, from, type, older) => {
  it('has an example that migrates to what is valid now, and loses nothing by being stored', () => {
    const upgraded = upgradeData(type, from, older.example);
    expect(migratedData(type, upgraded)).toEqual(JSON.parse(JSON.stringify(upgraded)));
  });

  it('keeps what its lists, its partition and its identity are made of', () => {
    const upgraded = upgradeData(type, from, older.example);
    const { partition } = type;
    const members = [...type.summary, type.idField, type.orderedBy, partition.kind === 'member' ? partition.member : undefined]; // prettier-ignore
    for (const member of members.filter((name) => name !== undefined))
      expect(upgraded[member], member).toEqual(older.example[member]);
  });

  it('is, where it can be written, written by its example', () => {
    if (older.create === undefined) return;
    const body = { schema_version: from, ...(older.create.example as RecordData) };
    const id = `${type.idPrefix}_01980000-0000-7000-8000-000000000000`;
    const context = { id, nowMs: NOW, actor: 'ada' };
    expect(() => createData(type, acceptCreate(type, body, NOW), context)).not.toThrow();
  });
});

const text = (maxLength = 40) => fc.string({ unit: 'grapheme', maxLength });
const label = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }).filter((value) => value.trim() !== '' && value.length <= 256); // prettier-ignore
const time = (min: string, max: string) =>
  fc.date({ min: new Date(min), max: new Date(max), noInvalidDate: true }).map((date) => date.toISOString());
const free = fc.dictionary(
  label.filter((name) => name !== '__proto__'),
  fc.jsonValue({ maxDepth: 2 }),
  { maxKeys: 4 },
);
const percent = fc.integer({ min: 0, max: 100 });
const vote = fc.oneof(
  fc.record({
    vote: fc.constantFrom('yes', 'no', 'abstain'),
    conditions: fc.array(text(), { maxLength: 3 }),
  }),
  fc.record({
    vote: fc.constant('conditional'),
    conditions: fc.array(text(), { minLength: 1, maxLength: 3 }),
  }),
);
const votes = fc
  .uniqueArray(
    fc.tuple(label, vote, percent, fc.option(text(), { nil: undefined }), time('2020-01-01', '2026-01-01')),
    { selector: ([agent]) => agent, maxLength: 5 },
  ) // prettier-ignore
  .map((all) =>
    all.map(([agent, cast, certainty, comment, at]) => ({
      agent,
      ...cast,
      certainty,
      ...(comment === undefined ? {} : { comment }),
      at,
    })),
  );
const result = fc.record(
  {
    text: label,
    certainty: percent,
    actions: fc.array(text(), { maxLength: 3 }),
    next: text(),
    impact: free,
  },
  { requiredKeys: ['text', 'certainty', 'actions'] },
);
const ended = fc.oneof(
  fc.record({ status: fc.constantFrom('queued', 'in_progress') }),
  fc.record({
    status: fc.constantFrom('completed', 'failed'),
    completed_at: time('2024-01-02', '2026-01-01'),
  }),
);
const older = fc
  .tuple(
    fc.record(
      {
        decision_id: fc.constant('dec_01980000-0000-7000-8000-000000000000'),
        decision_type: fc.constantFrom('strategic', 'financial', 'technical', 'operational'),
        title: label,
        created_at: time('2020-01-01', '2024-01-01'),
        created_by: label,
        context: free,
        votes,
        result,
        provenance: fc.record({ source: label, derived_from: fc.constant([]) }),
        metadata: free,
      },
      {
        requiredKeys: [
          'decision_id',
          'decision_type',
          'title',
          'created_at',
          'created_by',
          'context',
          'votes',
          'metadata',
        ],
      },
    ),
    ended,
  )
  .map(([data, end]): RecordData => JSON.parse(JSON.stringify({ ...data, ...end })) as RecordData);

describe('any decision that 0.9 would have stored', () => {
  it('is a valid decision now, with everything that it said', () => {
    fc.assert(
      fc.property(older, (data) => {
        fc.pre(!JSON.stringify(data).includes('__proto__'));
        expect(decisionFrom09.schema.safeParse(data).error).toBeUndefined();
        const now = migratedData(decisionType, upgradeData(decisionType, '0.9', data));
        const {
          context,
          votes: then,
          result: decided,
          ...same
        } = data as RecordData & { votes: RecordData[]; result?: RecordData };
        expect(now).toMatchObject({ ...same, inputs: context });
        const cast = now['agent_votes'] as RecordData[];
        expect(cast.map(({ agent, reasoning, conditions, timestamp }) => [agent, reasoning, conditions, timestamp])).toEqual(then.map(({ agent, comment, conditions, at }) => [agent, comment, conditions, at])); // prettier-ignore
        expect(cast.map(({ confidence }) => Math.round(Number(confidence) * 100))).toEqual(then.map(({ certainty }) => certainty)); // prettier-ignore
        const outcome = now['outcome'] as RecordData | undefined;
        expect([outcome?.['decision'], outcome?.['action_items'], outcome?.['next_steps']]).toEqual([decided?.['text'], decided?.['actions'], decided?.['next']]); // prettier-ignore
        expect(outcome?.['impact_assessment']).toEqual(decided === undefined ? undefined : (decided['impact'] ?? {})); // prettier-ignore
      }),
      { numRuns: 300 },
    );
  });
});
