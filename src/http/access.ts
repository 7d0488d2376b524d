import { AppError } from '../domain/errors.js';
import type { RecordType } from '../domain/record-type.js';
import type { Caller } from '../security/caller.js';
import { ACCESS, mayDo, rolesFor, type RouteKind } from '../security/access-table.js';
import type { Operation, Resource } from './resource.js';

/** Every kind that this process serves, from the moment its trigger is registered. */
const served = new Set<RouteKind>();

/** What an operation is at an address, as far as it matters for who may. */
function kindAt(
  { permission, kinds }: Operation,
  type: RecordType | undefined,
  params: Readonly<Record<string, string>>,
): RouteKind {
  return (type === undefined ? undefined : kinds?.of(type, params)) ?? permission;
}

/**
 * Whether a caller may, by the route, the method and the collection alone: nothing is read, so the answer is the same
 * for a record that is there and for one that is not. Throws `forbidden`.
 */
export function assertMay(
  caller: Caller,
  operation: Operation,
  type: RecordType | undefined,
  params: Readonly<Record<string, string>>,
): void {
  if (!mayDo(caller.roles, kindAt(operation, type, params), params['collection']))
    throw new AppError('forbidden', 'No role of the caller allows this.');
}

/** The kinds that the methods of a resource come under. */
export function kindsOf(resource: Resource): readonly RouteKind[] {
  return Object.values(resource).flatMap(({ permission, kinds }) => [permission, ...(kinds?.all ?? [])]);
}

/** Takes note of a resource that is served from now on. Throws TypeError for one without a row, at the start. */
export function serve(resource: Resource): void {
  for (const kind of kindsOf(resource)) {
    rolesFor(kind);
    served.add(kind);
  }
}

/** Throws TypeError when a row of the table is for nothing that is served: a start with such a table goes no further. */
export function assertNoDeadRows(those: ReadonlySet<RouteKind> = served): void {
  const dead = Object.keys(ACCESS).filter((kind) => !those.has(kind as RouteKind));
  if (dead.length > 0)
    throw new TypeError(`no route is under these rows of the access table: ${dead.join(', ')}`);
}
