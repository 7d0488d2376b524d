import type { Role } from './roles.js';

type Roles = readonly [Role, ...Role[]];

/** Who may ask for what a row stands for. */
interface Row {
  /** Any of these roles suffices; `anybody` is not even asked who calls. */
  readonly may: Roles | 'anybody';
  /** Instead of `may`, by collection: a type that needs more says so here. */
  readonly in?: Readonly<Record<string, Roles>>;
}

const READERS = ['records.reader', 'records.sensitive-reader'] as const;
const WRITERS = ['records.writer'] as const;
const AUDITORS = ['records.auditor'] as const;
const OPERATORS = ['records.operator'] as const;
const PRIVACY_OFFICERS = ['records.privacy-officer'] as const;

/**
 * Who may do what: the one table (security.md, May). Every method of every route names the row it is under
 * (`Operation.permission`), and none that is not here compiles or starts; nor does a row that no route is under.
 * Whoever adds `in` to a row that shows records minds `lineage.read`, which shows summaries of every type.
 */
export const ACCESS = {
  'record.read': { may: READERS },
  'record.list': { may: READERS },
  'revision.read': { may: READERS },
  'revision.list': { may: READERS },
  'part.list': { may: READERS },
  'view.read': { may: READERS },
  'lineage.read': { may: READERS },
  'record.create': { may: WRITERS },
  'record.batch': { may: WRITERS },
  'record.put': { may: WRITERS },
  'record.patch': { may: WRITERS },
  'record.act': { may: WRITERS },
  'part.add': { may: WRITERS },
  // It costs, and changes nothing that the record says: for those who work with records, and those who see to them.
  'record.rehydrate': { may: [...WRITERS, ...OPERATORS] },
  'inbox.post': { may: WRITERS },
  // Whoever was promised a write may ask what became of it; the answer holds no record.
  'operation.read': { may: [...READERS, ...WRITERS, ...OPERATORS] },
  'audit.post': { may: WRITERS },
  'audit.list': { may: AUDITORS },
  'audit.read': { may: AUDITORS },
  'log.read': { may: AUDITORS },
  // Values are disclosed in it only to those who may see sensitive values as well.
  'proof.read': { may: AUDITORS },
  'configuration.read': { may: OPERATORS },
  'configuration.write': { may: OPERATORS },
  'hold.place': { may: PRIVACY_OFFICERS },
  'hold.list': { may: PRIVACY_OFFICERS },
  'hold.read': { may: PRIVACY_OFFICERS },
  'hold.release': { may: PRIVACY_OFFICERS },
  'erasure.request': { may: PRIVACY_OFFICERS },
  'erasure.list': { may: PRIVACY_OFFICERS },
  'erasure.read': { may: PRIVACY_OFFICERS },
  'jobs.list': { may: OPERATORS },
  'jobs.run': { may: OPERATORS },
  'jobs.switch': { may: OPERATORS },
  health: { may: 'anybody' },
  openapi: { may: 'anybody' },
  docs: { may: 'anybody' },
  nowhere: { may: 'anybody' },
} as const satisfies Readonly<Record<string, Row>>;

/** What a method of a route does, as far as it matters for who may: a row of the table. */
export type RouteKind = keyof typeof ACCESS;

const TABLE: Readonly<Record<string, Row>> = ACCESS;

/** The roles of which any may by a row, with records of a collection where it is about some. */
export function allowedBy({ may, in: only = {} }: Row, collection?: string): Roles | 'anybody' {
  return collection !== undefined && Object.hasOwn(only, collection) ? (only[collection] ?? may) : may;
}

/** The roles of which any may; `anybody` where nobody is asked. Throws TypeError for a kind without a row. */
export function rolesFor(kind: RouteKind, collection?: string): Roles | 'anybody' {
  const row = Object.hasOwn(TABLE, kind) ? TABLE[kind] : undefined;
  if (row === undefined) throw new TypeError(`the access table has no row for ${kind}`);
  return allowedBy(row, collection);
}

/** True when nobody is asked who calls. */
export function isOpen(kind: RouteKind): boolean {
  return rolesFor(kind) === 'anybody';
}

/** True when one of `roles` may do what a kind stands for, with records of a collection where it is about some. */
export function mayDo(roles: readonly Role[], kind: RouteKind, collection?: string): boolean {
  const allowed = rolesFor(kind, collection);
  return allowed === 'anybody' || allowed.some((role) => roles.includes(role));
}
