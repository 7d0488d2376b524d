import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { acceptCreate, createData } from '../../src/domain/apply-change.js';
import { defineRecord } from '../../src/domain/define-record.js';
import { isAppError } from '../../src/domain/errors.js';
import type { Migration, RecordData, RecordType } from '../../src/domain/record-type.js';
import { upgradeData } from '../../src/domain/upgrade.js';
import { deprecationOf, namedVersion, writableVersions } from '../../src/domain/versions.js';

const NOW = Date.parse('2026-11-21T08:00:00.000Z');
const common = { box_id: z.string(), created_at: z.string() };
const example = { box_id: 'box_1', created_at: '2026-01-01T00:00:00.000Z' };
const item = (name: string) => z.array(z.strictObject({ [name]: z.number() }));

/** 0.7 is read and no more; 0.8 called its things `parts` of a `size`, 0.9 `pieces` of a `weight`, 1.0 `things` of a `mass`. */
const migrations: readonly Migration[] = [
  {
    from: '0.7',
    to: '0.8',
    schema: z.strictObject(common),
    migrate: (data) => ({ ...data, parts: [] }),
    example,
  },
  {
    from: '0.8',
    to: '0.9',
    schema: z.strictObject({ ...common, parts: item('size') }),
    migrate: pieces,
    example: { ...example, parts: [{ size: 1 }] },
    create: {
      schema: z.strictObject({ parts: item('size') }),
      migrate: pieces,
      renamed: { '/pieces': '/parts', '/pieces/*/weight': '/parts/*/size' },
      example: { parts: [] },
    },
    deprecated: { since: '2026-01-01T00:00:00Z', sunset: '2027-01-01T00:00:00Z' },
  },
  {
    from: '0.9',
    to: '1.0',
    schema: z.strictObject({ ...common, pieces: item('weight') }),
    migrate: things,
    example: { ...example, pieces: [{ weight: 1 }] },
    create: {
      schema: z.strictObject({ pieces: z.array(z.strictObject({ weight: z.number().max(100) })) }),
      migrate: things,
      renamed: { '/things': '/pieces', '/things/*/mass': '/pieces/*/weight' },
      example: { pieces: [] },
    },
  },
];

type Piece = Record<string, number>;
function pieces({ parts, ...same }: RecordData): RecordData {
  return { ...same, pieces: (parts as Piece[]).map(({ size }) => ({ weight: size })) };
}
function things({ pieces: all, ...same }: RecordData): RecordData {
  return { ...same, things: (all as Piece[]).map(({ weight }) => ({ mass: weight })) };
}

const box = (more: object = {}): RecordType =>
  defineRecord<RecordData, RecordData>({
    recordType: 'box',
    collection: 'boxes',
    table: 'boxes',
    idPrefix: 'box',
    idField: 'box_id',
    schemaVersion: '1.0',
    migrations,
    schema: z.strictObject({ ...common, things: item('mass'), ...more }),
    createSchema: z.strictObject({ things: z.array(z.strictObject({ mass: z.number().min(0) })), ...more }),
    create: (input, { id }) => ({ ...input, box_id: id }),
    orderedBy: 'created_at',
    partition: { kind: 'month-of-creation' },
    summary: [],
    indexes: [],
    immutable: ['box_id', 'created_at'],
    check: ({ things: all }) =>
      (all as Piece[]).flatMap(({ mass }, at) =>
        mass === 13 ? [{ pointer: `/things/${String(at)}/mass`, detail: 'is unlucky' }] : [],
      ),
    sensitive: {},
    tiers: {},
    retention: 'forever',
    actions: {},
    example: { things: [] },
  });

const type = box();
const create = (body: unknown): RecordData =>
  createData(type, acceptCreate(type, body, NOW), { id: 'box_1', nowMs: NOW, actor: 'ada' });

function pointers(body: unknown): readonly string[] {
  try {
    create(body);
    return [];
  } catch (error) {
    if (isAppError(error, 'record-invalid')) return error.issues.map(({ pointer }) => pointer);
    throw error;
  }
}

describe('a body that names its schema version', () => {
  it('goes through every version between', () => {
    const data = { box_id: 'box_1', created_at: '2026-11-21T08:00:00.000Z', things: [{ mass: 3 }] };
    expect(create({ things: [{ mass: 3 }] })).toEqual(data);
    expect(create({ schema_version: '1.0', things: [{ mass: 3 }] })).toEqual(data);
    expect(create({ schema_version: '0.9', pieces: [{ weight: 3 }] })).toEqual(data);
    expect(create({ schema_version: '0.8', parts: [{ size: 3 }] })).toEqual(data);
  });

  it.each<[string, RecordData, readonly string[]]>([
    [
      'its own version',
      { schema_version: '0.8', parts: [{ size: 'x' }], more: 1 },
      ['/parts/0/size', '/more'],
    ],
    [
      'the version after it',
      { schema_version: '0.8', parts: [{ size: 1 }, { size: 101 }] },
      ['/parts/1/size'],
    ],
    ['the current version', { schema_version: '0.8', parts: [{ size: -1 }] }, ['/parts/0/size']],
    ['the current version, from the one before', { schema_version: '0.9', pieces: [{ weight: -1 }] }, ['/pieces/0/weight']], // prettier-ignore
    [
      'a rule across members',
      { schema_version: '0.8', parts: [{ size: 1 }, { size: 13 }] },
      ['/parts/1/size'],
    ],
    ['a version that is only read', { schema_version: '0.7' }, ['/schema_version']],
    ['what no version has', { schema_version: '0.8', parts: [], things: [] }, ['/things']],
  ])('is told where it breaks %s', (_, body, expected) => {
    expect(pointers(body)).toEqual(expected);
  });

  it('is data where the type has a member of that name', () => {
    const own = box({ schema_version: z.string().default('') });
    const accepted = acceptCreate(own, { schema_version: '0.9', things: [] }, NOW);
    expect(accepted.input).toEqual({ schema_version: '0.9', things: [] });
    expect([namedVersion(own, { schema_version: '0.9' }), namedVersion(type, { schema_version: '0.9' })]).toEqual([undefined, '0.9']); // prettier-ignore
    expect([namedVersion(type, {}), namedVersion(type, null), namedVersion(type, 'x')]).toEqual([undefined, undefined, undefined]); // prettier-ignore
  });

  it('may name what can be written; what can be read is more', () => {
    expect(writableVersions(type)).toEqual(['0.8', '0.9', '1.0']);
    expect(upgradeData(type, '0.7', example)).toEqual({ ...example, things: [] });
    expect(['0.7', '0.8', '0.9', '1.0', undefined].map((version) => deprecationOf(type, version)?.since)).toEqual([undefined, '2026-01-01T00:00:00Z', undefined, undefined, undefined]); // prettier-ignore
  });
});

describe('data that is not what its version stored', () => {
  it('is an error of the platform that names the version and no value', () => {
    expect(() => upgradeData(type, '0.9', { pieces: 'secret' })).toThrow(
      expect.objectContaining({
        code: 'internal-error',
        message: 'Data of schema version 0.9 cannot be upgraded.',
        evidence: { record_type: 'box', schema_version: '0.9' },
      }),
    );
  });
});
