import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/domain/limits.js';
import { linkIssues, linksOf, METADATA_LINKS } from '../../src/domain/links.js';
import { patternsOverlap } from '../../src/domain/pointer-patterns.js';

const id = (n: number, prefix = 'dec'): string =>
  `${prefix}_01980000-0000-7000-8000-${n.toString(16).padStart(12, '0')}`;
const ids = (count: number): string[] => Array.from({ length: count }, (_, n) => id(n));
const type = { links: ['/provenance/derived_from/*', '/steps/*/source', ...METADATA_LINKS] };

describe('the links of a record', () => {
  it('are the ids where its type says, each once, in the order they stand, itself not among them', () => {
    const data = {
      provenance: { derived_from: [id(3), id(1), id(9)] },
      steps: [{ source: id(4, 'met') }, {}, { source: id(3) }, { target: id(8) }],
      metadata: { derived_from: [id(2, 'zzz'), id(1)], elsewhere: [id(7)] },
      derived_from: [id(6)],
    };
    expect(linksOf(type, id(9), data)).toEqual([id(3), id(1), id(4, 'met'), id(2, 'zzz')]);
    expect(linksOf({}, id(9), data)).toEqual([]);
  });

  it('may be one in metadata, without a list', () => {
    expect(linksOf(type, id(9), { metadata: { derived_from: id(1) } })).toEqual([id(1)]);
  });

  it.each([
    [undefined],
    [null],
    ['dec_1'],
    [id(1).toUpperCase()],
    [`${id(1)} `],
    [[[id(1)]]],
    [[{ id: id(1) }, 7, null, true, '', 'dec', 'met_0']],
    [{ 0: id(1) }],
  ])('are none where free content is something else: %j', (content) => {
    expect(linksOf(type, id(9), { metadata: { derived_from: content } })).toEqual([]);
    expect(linkIssues(type, { metadata: { derived_from: content } })).toEqual([]);
  });

  it('are at most a thousand different ones, counted together, and the first beyond is pointed at', () => {
    const full = { provenance: { derived_from: ids(LIMITS.links) } };
    expect(linkIssues(type, full)).toEqual([]);
    expect(linkIssues(type, { ...full, metadata: { derived_from: ids(LIMITS.links) } })).toEqual([]);
    const beyond = { ...full, metadata: { derived_from: ['x', id(1), id(5000), id(5001)] } };
    expect(linkIssues(type, beyond)).toEqual([
      {
        pointer: '/metadata/derived_from/2',
        detail: 'is one too many: a record is derived from at most 1000',
      },
    ]);
  });
});

describe('two pointer patterns', () => {
  it.each([
    ['/a/b', '/a/b', true],
    ['/a', '/a/b', true],
    ['/a/*', '/a/*/b', true],
    ['/a/b', '/a/c', false],
    ['/a/*', '/b/*', false],
    ['/ab', '/a', false],
  ])('%s and %s overlap: %s', (one, other, overlap) => {
    expect(patternsOverlap(one, other)).toBe(overlap);
    expect(patternsOverlap(other, one)).toBe(overlap);
  });
});
