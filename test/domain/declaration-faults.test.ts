import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineRecord } from '../../src/domain/define-record.js';
import type { AddingDeclaration, PartsDeclaration } from '../../src/domain/parts.js';
import type {
  IndexDeclaration,
  Migration,
  OlderCreate,
  RecordData,
  RecordDeclaration,
} from '../../src/domain/record-type.js';
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
const old = { note_id: 'not_1', created_at: '2026-01-01T00:00:00.000Z', color: 'red' };
const migration = (from: string, to: string, more: Partial<Migration> = {}): Migration => ({
  from,
  to,
  schema: z.strictObject(shape),
  migrate: (data: RecordData) => data,
  example: old,
  ...more,
});
const olderCreate: OlderCreate = {
  schema: z.strictObject({ hue: z.string() }),
  migrate: ({ hue }) => ({ color: hue }),
  renamed: {},
  example: { hue: 'red' },
};

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
    ['a column of its links in its summary', { schema: z.strictObject({ ...shape, links_1: z.string() }), summary: ['links_1'] }, ['summary member links_1 collides with a column']], // prettier-ignore
    ['a word of a lineage in its summary', { schema: z.strictObject({ ...shape, missing: z.string() }), summary: ['missing'] }, ['summary member missing collides with a column']], // prettier-ignore
    ['links that are nowhere, or no pointers', { links: ['/text/*', 'color'] }, ['links names unknown member text', 'links names unknown member ', 'link color is not a pointer']], // prettier-ignore
    ['a link that rows would tell although it is sensitive', { schema: z.strictObject({ ...shape, from: z.array(z.string()) }), sensitive: { '/from/*': 'pii' }, links: ['/from/*'] }, ['link /from/* is sensitive: rows repeat it in clear']], // prettier-ignore
    ['a filter with the name of a parameter', { schema: z.strictObject({ ...shape, limit: z.string() }), summary: ['limit'], indexes: [index('l', ['limit'])] }, ['filter limit is a parameter of every list']], // prettier-ignore
    ['a cache for no time', { cache: { ttlMs: 0 } }, ['a cache keeps for 1 ms to an hour']],
    ['a cache for less than a millisecond', { cache: { ttlMs: 0.5 } }, ['a cache keeps for 1 ms to an hour']],
    ['a cache for more than an hour', { cache: { ttlMs: 3_600_001 } }, ['a cache keeps for 1 ms to an hour']],
    ['no fault in a cache for an hour', { cache: { ttlMs: 3_600_000 } }, []],
    ['a cache of what is sensitive', { schema: z.strictObject({ ...shape, secret: z.string() }), sensitive: { '/secret': 'pii' }, cache: { ttlMs: 300_001 } }, ['records with sensitive values are kept for 5 minutes at most']], // prettier-ignore
    ['no fault in a cache of what is sensitive for five minutes', { schema: z.strictObject({ ...shape, secret: z.string() }), sensitive: { '/secret': 'pii' }, cache: { ttlMs: 300_000 } }, []], // prettier-ignore
    ['more index rows than a create may write', { indexes: indexes(20) }, ['too many indexes']],
    ['bad names of indexes', { indexes: [index('By'), index('b'.repeat(81)), index('a-b'), index('.b')] }, ['bad index name By', `bad index name ${'b'.repeat(81)}`, 'bad index name a-b', 'bad index name .b']], // prettier-ignore
    ['an index of no fields, and one outside the summary', { indexes: [index('none', []), index('made', ['created_at'])] }, ['index none has no fields', 'indexed member created_at must be in the summary, or sensitive']], // prettier-ignore
    ['an index named twice', { indexes: [index('color'), index('color')] }, ['index color twice']],
    ['states and fields that do not exist', states({ red: ['blue', 'red'], green: [] }, ['colour'], 'state'), ['transitions name unknown state', 'transitions name unknown colour', 'a move leads to unknown state blue']], // prettier-ignore
    [
      'a partition of its own whose lists are nowhere',
      { partition: { kind: 'own', listedIn: 'In dex' } },
      ['bad partition of lists In dex'],
    ],
    [
      'a partition of its own and lists that follow from parts',
      {
        partition: { kind: 'own', listedIn: 'index' },
        parts: { path: 'entries', table: 'entries', input: z.unknown(), example: 1 } as never,
      },
      ['what lists show of a record with a partition of its own cannot follow from parts'],
    ],
    [
      'a summary from where nothing is',
      { summary: ['color', 'hue'], summaryFrom: { hue: '/colour/hue' } },
      ['summary member hue is nowhere'],
    ],
    [
      'a summary from inside that is a member already, or in no summary',
      { summaryFrom: { color: '/color/hue', hue: '/color/hue' } },
      ['summary member color is a member of the record already', 'hue is not in the summary'],
    ],
    [
      'a summary from inside something sensitive',
      { summary: ['hue'], summaryFrom: { hue: '/color/hue' }, sensitive: { '/color': 'pii' } },
      ['summary member hue must not be sensitive'],
    ],
    [
      'a view on the path of a generic route, or that is none',
      { views: { proof: (data) => data, 'No View': (data) => data } },
      ['view path proof is not allowed', 'view path No View is not allowed'],
    ],
    [
      'parts on the path of a view',
      {
        views: { entries: (data) => data },
        parts: { path: 'entries', table: 'entries', input: z.unknown(), example: 1 } as never,
      },
      ['parts path entries is not allowed'],
    ],
    [
      'states of actions and patches that do not exist',
      {
        transitions: { field: 'color', moves: { red: [] }, mutableWhenFinal: [], patchableIn: ['blue'] },
        actions: { sign: { allowedIn: ['red', 'green'] } as never },
      },
      ['there is no state blue', 'there is no state green'],
    ],
    [
      'an action bound to states where there are none',
      { actions: { sign: { allowedIn: ['red'] } as never } },
      ['an action is bound to states and there are none'],
    ],
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

  it.each<[string, Partial<Migration>, readonly string[]]>([
    ['whose example its own version would not have', { example: { ...old, hue: 'red' } }, ['the example of 0.9 is not valid']], // prettier-ignore
    ['to data that is not valid', { migrate: () => ({}) }, ['the example of 0.9 does not migrate to valid data']], // prettier-ignore
    ['that throws', { migrate: ({ hue }) => ({ color: (hue as string).trim() }) }, ['the example of 0.9 does not migrate to valid data']], // prettier-ignore
    ['of a create to one that is not valid', { create: { ...olderCreate, migrate: (body) => body } }, ['the example of a create in 0.9 does not migrate to a valid one']], // prettier-ignore
    ['of a create it would not take', { create: { ...olderCreate, example: { color: 'red' } } }, ['the example of a create in 0.9 does not migrate to a valid one']], // prettier-ignore
    ['that ends before it began', { deprecated: { since: '2026-02-01T00:00:00Z', sunset: '2026-01-01T00:00:00Z' } }, ['the deprecation of 0.9 is not two times in order']], // prettier-ignore
    ['that ends some day', { deprecated: { since: '2026-02-01T00:00:00Z', sunset: 'some day' } }, ['the deprecation of 0.9 is not two times in order']], // prettier-ignore
    ['that began some day', { deprecated: { since: 'some day', sunset: '2026-02-01T00:00:00Z' } }, ['the deprecation of 0.9 is not two times in order']], // prettier-ignore
  ])('are a migration %s', (_, change, faults) => {
    expect(faultsOf({ migrations: [migration('0.9', '1.0', change)] })).toEqual(faults);
  });

  it('are a migration that breaks a rule across members', () => {
    const check = ({ color }: RecordData) =>
      color === 'red' ? [{ pointer: '/color', detail: 'is loud' }] : [];
    expect(faultsOf({ check, migrations: [migration('0.9', '1.0')] })).toEqual(['the example of 0.9 does not migrate to valid data']); // prettier-ignore
  });

  it('are a version that can be written where a later one cannot', () => {
    const migrations = [migration('0.8', '0.9', { create: olderCreate }), migration('0.9', '1.0')];
    expect(faultsOf({ migrations })).toEqual(['0.8 can be written and a version after it cannot']);
    const other = [migration('0.8', '0.9'), migration('0.9', '1.0', { create: olderCreate })];
    expect(faultsOf({ migrations: other })).toEqual([]);
  });

  it('are none at the bounds', () => {
    expect(faultsOf({ recordType: 'n'.repeat(40), table: 'a_1', collection: `n${'-'.repeat(39)}` })).toEqual([]); // prettier-ignore
    expect(faultsOf({ idPrefix: 'no' })).toEqual([]);
    expect(faultsOf({ idPrefix: 'eightlet' })).toEqual([]);
    expect(faultsOf({ indexes: indexes(19) })).toEqual([]);
    expect(faultsOf({ indexes: [index(`b${'.'.repeat(79)}`), index('b_1')] })).toEqual([]);
    expect(faultsOf({ actions: actions('sign', 'sign-off') })).toEqual([]);
    expect(faultsOf(states({ red: ['green'], green: [] }, ['color']))).toEqual([]);
    expect(faultsOf({ views: { sign: (data) => data }, actions: actions('sign') })).toEqual([]);
    expect(faultsOf({ partition: { kind: 'own', listedIn: 'index' } })).toEqual([]);
    expect(
      faultsOf({ summary: ['hue'], summaryFrom: { hue: '/color/hue' }, indexes: [index('hue', ['hue'])] }),
    ).toEqual([]);
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

describe('the faults of parts', () => {
  const way: AddingDeclaration = {
    verb: 'add',
    input: z.strictObject({ text: z.string() }),
    example: { text: 'x' },
    add: () => undefined,
  };
  const parts: PartsDeclaration = {
    ...way,
    path: 'lines',
    table: 'notelines',
    entry: z.strictObject({ text: z.string() }),
    initial: {},
    derive: (record) => record,
  };
  const series = { table: 'values', samplesOf: () => [], samplesOfRecord: () => [] };

  it.each<[string, Partial<PartsDeclaration>, readonly string[]]>([
    ['nothing', { more: { edits: way }, nameMember: 'text', namePrefix: 'lin', stream: true }, []],
    ['a path that is taken', { path: 'revisions' }, ['parts path revisions is not allowed']],
    ['the table of the record', { table: 'notes' }, ['bad parts table notes']],
    ['an example that is none', { example: {} }, ['the example of lines is not valid']],
    ['ways whose paths are taken or none', { more: { lines: way, lineage: way, Edits: way } }, ['parts path lines is not allowed', 'parts path lineage is not allowed', 'parts path Edits is not allowed']], // prettier-ignore
    ['a way whose example is none', { more: { edits: { ...way, example: { text: 1 } } } }, ['the example of edits is not valid']], // prettier-ignore
    ['a series with names or a stream', { series, nameMember: 'text', stream: true }, ['values of a series have no names', 'values of a series have no stream']], // prettier-ignore
    ['a prefix of no names', { namePrefix: 'lin' }, ['names are made for entries that have them']],
  ])('%s', (_, change, faults) => {
    expect(faultsOf({ parts: { ...parts, ...change } })).toEqual(faults);
  });
});
