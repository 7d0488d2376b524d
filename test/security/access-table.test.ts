import { describe, expect, it } from 'vitest';
import { assertNoDeadRows, kindsOf } from '../../src/http/access.js';
import { handle } from '../../src/http/handle.js';
import type { Operation } from '../../src/http/resource.js';
import { RECORD_TYPES } from '../../src/records/registry.js';
import { ACCESS, allowedBy, mayDo, rolesFor, type RouteKind } from '../../src/security/access-table.js';
import { read, tableRows } from '../architecture/support.js';
import { ROUTES } from '../support/http-harness.js';

const KINDS = Object.keys(ACCESS) as RouteKind[];
const nobody = (): Promise<never> => Promise.reject(new Error('not asked'));

/** The operations of all routes, by method and route. */
const OPERATIONS = Object.entries(ROUTES).flatMap(([template, resource]) =>
  Object.entries(resource).map(([method, operation]) => [`${method} /${template}`, operation] as const),
);

describe('the access table', () => {
  it('is what docs/roles.md says', () => {
    const code = (text: string): string => `\`${text}\``;
    const rows = KINDS.map((kind) => {
      const routes = OPERATIONS.filter(([, { permission, kinds }]) => permission === kind || kinds?.all.includes(kind)); // prettier-ignore
      const roles = rolesFor(kind);
      return [code(kind), routes.map(([route]) => code(route)).join(', '), roles === 'anybody' ? roles : roles.map(code).join(', ')]; // prettier-ignore
    });
    const [, , ...written] = tableRows(read('docs/roles.md').split('\n## ')[0] ?? '');
    expect(written).toEqual(rows);
  });

  it('has no row that no route is under, and says which it would be', () => {
    const all = new Set(Object.values(ROUTES).flatMap(kindsOf));
    expect(() => assertNoDeadRows(all)).not.toThrow();
    all.delete('view.read');
    all.delete('jobs.run');
    expect(() => assertNoDeadRows(all)).toThrow('no route is under these rows of the access table: view.read, jobs.run'); // prettier-ignore
  });

  it.each(['public', 'records.read', '__proto__', 'constructor', ''])(
    'does not let a method start that is under "%s"',
    (kind) => {
      const operation = { permission: kind as RouteKind, run: nobody } satisfies Operation;
      expect(() => handle({ GET: operation }, nobody)).toThrow(`the access table has no row for ${kind}`);
      const among = { permission: 'record.read', kinds: { all: [kind as RouteKind], of: () => undefined }, run: nobody } satisfies Operation; // prettier-ignore
      expect(() => handle({ GET: among }, nobody)).toThrow(TypeError);
    },
  );

  it('gives a write the same roles by whatever way it comes', () => {
    for (const { collection } of RECORD_TYPES)
      for (const way of ['record.batch', 'inbox.post'] as const)
        expect(rolesFor(way, collection)).toEqual(rolesFor('record.create', collection));
    expect(rolesFor('inbox.post', 'audit-events')).toEqual(rolesFor('audit.post'));
  });

  it('names in its rows only collections that there are', () => {
    const known = RECORD_TYPES.map(({ collection }) => collection);
    const rows: readonly { readonly may: unknown; readonly in?: object }[] = Object.values(ACCESS);
    expect(rows.flatMap((row) => Object.keys(row.in ?? {})).filter((name) => !known.includes(name))).toEqual([]); // prettier-ignore
  });

  it('can ask for more in one collection', () => {
    const row = { may: ['records.reader'], in: { covenants: ['records.auditor'] } } as const;
    expect(allowedBy(row, 'covenants')).toEqual(['records.auditor']);
    for (const other of ['decisions', 'constructor', undefined])
      expect(allowedBy(row, other)).toEqual(['records.reader']);
  });

  it('grants nothing to who has no role, but what anybody may', () => {
    expect(KINDS.filter((kind) => mayDo([], kind))).toEqual(['health', 'openapi', 'docs', 'nowhere']);
    expect(KINDS.filter((kind) => mayDo(['records.privacy-officer'], kind))).toEqual(['hold.place', 'hold.list', 'hold.read', 'hold.release', 'erasure.request', 'erasure.list', 'erasure.read', 'health', 'openapi', 'docs', 'nowhere']); // prettier-ignore
  });
});
