import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineRecord } from '../../src/domain/define-record.js';
import type { RecordData, RecordDeclaration } from '../../src/domain/record-type.js';
import { upgradeData } from '../../src/domain/upgrade.js';
import { RecordRegistry } from '../../src/records/registry.js';
import { decisionType } from '../../src/records/decision.js';

type Declaration = RecordDeclaration<RecordData, unknown>;

const stored = { note_id: z.string(), created_at: z.string(), secret: z.string() };
const example = { note_id: 'not_1', created_at: '2026-01-01T00:00:00.000Z', secret: 'psst' };

const note: Declaration = {
  recordType: 'note',
  collection: 'notes',
  table: 'notes',
  idPrefix: 'not',
  idField: 'note_id',
  schemaVersion: '1.2',
  migrations: [
    {
      from: '1.0',
      to: '1.1',
      schema: z.strictObject(stored),
      migrate: (data) => ({ ...data, colour: 'grey' }),
      example,
      create: {
        schema: z.strictObject({ size: z.number() }),
        migrate: ({ size }) => ({ colour: Number(size) > 1 ? 'grey' : '' }),
        renamed: { '/colour': '/size' },
        example: { size: 7 },
      },
      deprecated: { since: '2026-01-01T00:00:00Z', sunset: '2026-01-01T00:00:00Z' },
    },
    {
      from: '1.1',
      to: '1.2',
      schema: z.strictObject({ ...stored, colour: z.string() }),
      migrate: ({ colour, ...data }) => ({ ...data, color: colour }),
      example: { ...example, colour: 'red' },
      create: {
        schema: z.strictObject({ colour: z.string().min(1) }),
        migrate: ({ colour }) => ({ color: colour }),
        renamed: { '/color': '/colour' },
        example: { colour: 'red' },
      },
    },
  ],
  schema: z.strictObject({ note_id: z.string(), created_at: z.string(), color: z.string(), secret: z.string() }), // prettier-ignore
  createSchema: z.strictObject({ color: z.string() }),
  create: (input) => input as RecordData,
  orderedBy: 'created_at',
  partition: { kind: 'month-of-creation' },
  summary: ['color'],
  indexes: [{ name: 'color', fields: ['color'] }],
  immutable: ['note_id', 'created_at'],
  sensitive: { '/secret': 'pii' },
  tiers: {},
  retention: 'forever',
  actions: {},
  example: { color: 'red' },
};

describe('a record declaration', () => {
  it('is accepted when it holds together, and lists its indexes and filters', () => {
    const type = defineRecord(note);
    expect(type.allIndexes.map((index) => index.name)).toEqual(['all', 'color']);
    expect(type.filters).toEqual(['color']);
    expect(decisionType.filters).toEqual(['status', 'decision_type', 'created_by']);
  });

  it.each<[string, Partial<Declaration>, RegExp]>([
    ['a bad name', { recordType: 'Note' }, /bad name Note/],
    ['a bad prefix', { idPrefix: 'n' }, /bad id prefix/],
    ['an id that a PATCH could change', { immutable: ['created_at'] }, /note_id must be immutable/],
    ['a sensitive key', { sensitive: { '/created_at': 'pii' } }, /created_at is a key/],
    ['a sensitive summary', { sensitive: { '/color': 'pii' } }, /color is a key or in the summary/],
    [
      'a sensitive member that does not exist',
      { sensitive: { '/colour/x': 'pii' } },
      /unknown member colour/,
    ],
    [
      'a summary member that is a column of ours',
      { summary: ['checksum'] },
      /collides with a column|unknown member/,
    ],
    ['an index on a member that is not in the summary', { summary: [] }, /must be in the summary/],
    [
      'two indexes of one name',
      { indexes: [note.indexes[0] as never, note.indexes[0] as never] },
      /index color twice/,
    ],
    [
      'an index named as the one of all',
      { indexes: [{ name: 'all', fields: ['color'] }] },
      /index all twice/,
    ],
    ['a gap in its versions', { migrations: note.migrations.slice(0, 1) }, /leads to 1.1, not 1.2/],
    ['a bad version', { schemaVersion: 'one' }, /bad schema version/],
    [
      'a move to nowhere',
      { transitions: { field: 'color', moves: { red: ['blue'] }, mutableWhenFinal: [] } },
      /unknown state blue/,
    ],
    ['an action on a reserved path', { actions: { revisions: {} as never } }, /revisions is not allowed/],
    ['an example that is not valid', { example: { color: 1 } }, /example is not valid/],
  ])('is refused with %s, naming type and fault', (_, change, message) => {
    expect(() => defineRecord({ ...note, ...change })).toThrow(message);
    expect(() => defineRecord({ ...note, ...change })).toThrow(/^record type/);
  });

  it('upgrades data of every version it knows and refuses to guess at others', () => {
    const type = defineRecord(note);
    expect(upgradeData(type, '1.0', { a: 1 })).toEqual({ a: 1, color: 'grey' });
    expect(upgradeData(type, '1.1', { colour: 'red' })).toEqual({ color: 'red' });
    expect(upgradeData(type, '1.2', { color: 'red' })).toEqual({ color: 'red' });
    expect(() => upgradeData(type, '2.0', {})).toThrow(/cannot read schema version 2.0/);
  });
});

describe('the registry', () => {
  it('finds a type by its collection and refuses two types that share anything', () => {
    const type = defineRecord(note);
    const registry = new RecordRegistry([decisionType, type]);
    expect(registry.findByCollection('notes')).toBe(type);
    expect(registry.findByCollection('toString')).toBeUndefined();
    expect(() => new RecordRegistry([type, { ...decisionType, idPrefix: 'not' }])).toThrow(
      /share the idPrefix not/,
    );
  });
});
