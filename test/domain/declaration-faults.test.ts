import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineRecord } from '../../src/domain/define-record.js';
import type { IndexDeclaration, RecordData, RecordDeclaration } from '../../src/domain/record-type.js';
import { upgradeData } from '../../src/domain/upgrade.js';

type Declaration = RecordDeclaration<RecordData, unknown>;

const shape = { note_id: z.string(), created_at: z.string(), color: z.string() };
const note: Declaration = {
  recordType: 'note',
  collection: 'notes',
  table: 'notes',
  idPrefix: 'not',
  idField: 'note_id',
  schemaVersion: '1.0',
  migrations: [],
  schema: z.strictObject(shape),
  createSchema: z.strictObject({ color: z.string() }),
  create: (input) => input as RecordData,
  orderedBy: 'created_at',
  partition: { kind: 'month-of-creation' },
  summary: ['color'],
  indexes: [],
  immutable: ['note_id', 'created_at'],
  sensitive: {},
  tiers: {},
  retention: 'forever',
  actions: {},
  example: { color: 'red' },
};
const index = (name: string, fields = ['color']): IndexDeclaration => ({ name, fields });
const indexes = (count: number) => Array.from({ length: count }, (_, at) => index(`by${String(at)}`));
const actions = (...paths: string[]) => Object.fromEntries(paths.map((path) => [path, {} as never]));
const states = (moves: Record<string, string[]>, mutableWhenFinal: string[] = [], field = 'color') => ({
  transitions: { field, moves, mutableWhenFinal },
});
const migration = (from: string, to: string) => ({ from, to, migrate: (data: RecordData) => data });

/** All that is said of a declaration with a change. */
function faultsOf(change: Partial<Declaration>): readonly string[] {
  try {
    defineRecord({ ...note, ...change });
    return [];
  } catch (error) {
    return (error as Error).message.replace(/^record type [^:]*: /, '').split('; ');
  }
}

describe('the faults of a declaration', () => {
  it.each<[string, Partial<Declaration>, readonly string[]]>([
    ['names that are too long or begin with a digit', { recordType: 'n'.repeat(41), table: '1notes' }, [`bad name ${'n'.repeat(41)}`, 'bad name 1notes']], // prettier-ignore
    ['a schema that is no object', { schema: z.unknown() as never }, ['schema must be a strict object']],
    ['an identity that the schema does not know', { idField: 'other_id', orderedBy: 'made_at', immutable: ['other_id', 'made_at'] }, ['identity names unknown member other_id', 'identity names unknown member made_at', 'immutable names unknown member other_id', 'immutable names unknown member made_at']], // prettier-ignore
    ['members that the schema does not know', { summary: ['colour'], sensitive: { '/text': 'pii' } }, ['summary names unknown member colour', 'sensitive names unknown member text']], // prettier-ignore
    ['a sensitive place that is no pointer', { sensitive: { 'text/color': 'pii' } }, ['sensitive text/color is not a pointer', 'color is a key or in the summary and must not be sensitive']], // prettier-ignore
    [
      'a time that a PATCH could change',
      { immutable: ['note_id'] },
      ['key member created_at must be immutable'],
    ],
    ['a column of ours in its summary', { schema: z.strictObject({ ...shape, checksum: z.string() }), summary: ['color', 'checksum'] }, ['summary member checksum collides with a column']], // prettier-ignore
    ['a cache for no time', { cache: { ttlMs: 0 } }, ['a cache keeps for 1 ms to an hour']],
    ['a cache for less than a millisecond', { cache: { ttlMs: 0.5 } }, ['a cache keeps for 1 ms to an hour']],
    ['a cache for more than an hour', { cache: { ttlMs: 3_600_001 } }, ['a cache keeps for 1 ms to an hour']],
    ['no fault in a cache for an hour', { cache: { ttlMs: 3_600_000 } }, []],
    ['a cache of what is sensitive', { schema: z.strictObject({ ...shape, secret: z.string() }), sensitive: { '/secret': 'pii' }, cache: { ttlMs: 1 } }, ['records with sensitive values are not cached']], // prettier-ignore
    ['more index rows than a create may write', { indexes: indexes(20) }, ['too many indexes']],
    ['bad names of indexes', { indexes: [index('By'), index('b'.repeat(81)), index('a-b'), index('.b')] }, ['bad index name By', `bad index name ${'b'.repeat(81)}`, 'bad index name a-b', 'bad index name .b']], // prettier-ignore
    ['an index of no fields, and one outside the summary', { indexes: [index('none', []), index('made', ['created_at'])] }, ['index none has no fields', 'indexed member created_at must be in the summary']], // prettier-ignore
    ['an index named twice', { indexes: [index('color'), index('color')] }, ['index color twice']],
    ['states and fields that do not exist', states({ red: ['blue', 'red'], green: [] }, ['colour'], 'state'), ['transitions name unknown state', 'transitions name unknown colour', 'a move leads to unknown state blue']], // prettier-ignore
    ['an example that its own schema refuses', { example: {} }, [expect.stringMatching(/^the example is not valid: .+/) as string]], // prettier-ignore
    ['migrations that do not meet', { schemaVersion: '1.2', migrations: [migration('1.0', '1.1'), migration('1.0', '1.2')] }, ['migration from 1.0 leads to 1.1, not 1.0']], // prettier-ignore
  ])('are all named, and nothing else: %s', (_, change, faults) => {
    expect(faultsOf(change)).toEqual(faults);
  });

  it.each(['Notes', '1notes', 'no_tes', 'notes ', '/notes', 'n'.repeat(41), ''])(
    'are a collection or an action called %j',
    (name) => {
      expect(faultsOf({ collection: name })).toEqual(['bad collection name']);
      expect(faultsOf({ actions: actions(name) })).toEqual([`action path ${name} is not allowed`]);
    },
  );

  it.each(['n', 'ninechars', 'no1', 'Not', 'not_', ''])('are an id prefix of %j', (idPrefix) => {
    expect(faultsOf({ idPrefix })).toEqual(['bad id prefix']);
  });

  it.each(['1', '1.', '.1', '1.0.0', 'v1.0', '1.x', ''])('are a schema version of %j', (schemaVersion) => {
    expect(faultsOf({ schemaVersion })).toEqual([`bad schema version ${schemaVersion}`]);
  });

  it.each(['revisions', 'proof', 'lineage', 'rehydrate', 'batch'])(
    'are an action on the path of a generic route: %s',
    (path) => {
      expect(faultsOf({ actions: actions('sign', path) })).toEqual([`action path ${path} is not allowed`]);
    },
  );

  it('are the versions of its migrations, too', () => {
    expect(faultsOf({ migrations: [migration('one', '1.0')] })).toEqual(['bad schema version one']);
    expect(faultsOf({ migrations: [migration('0.9', 'two')] })).toContain('bad schema version two');
  });

  it('are none at the bounds', () => {
    expect(faultsOf({ recordType: 'n'.repeat(40), table: 'a_1', collection: `n${'-'.repeat(39)}` })).toEqual([]); // prettier-ignore
    expect(faultsOf({ idPrefix: 'no' })).toEqual([]);
    expect(faultsOf({ idPrefix: 'eightlet' })).toEqual([]);
    expect(faultsOf({ indexes: indexes(19) })).toEqual([]);
    expect(faultsOf({ indexes: [index(`b${'.'.repeat(79)}`), index('b_1')] })).toEqual([]);
    expect(faultsOf({ actions: actions('sign', 'sign-off') })).toEqual([]);
    expect(faultsOf(states({ red: ['green'], green: [] }, ['color']))).toEqual([]);
    expect(faultsOf({ schemaVersion: '10.12', migrations: [migration('2.10', '10.12')] })).toEqual([]);
  });
});

describe('a declaration', () => {
  it('has the index of all records, of no field, before its own', () => {
    const type = defineRecord({ ...note, indexes: [index('color')] });
    expect(type.allIndexes).toEqual([index('all', []), index('color')]);
  });
});

describe('a schema version that this build does not know', () => {
  it('is an internal error that says which', () => {
    expect(() => upgradeData(defineRecord(note), '2.0', {})).toThrow(
      expect.objectContaining({
        code: 'internal-error',
        evidence: { record_type: 'note', schema_version: '2.0' },
      }),
    );
  });
});
