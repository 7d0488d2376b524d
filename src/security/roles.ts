/** Application roles (security.md). */
export const ROLES = [
  'records.reader',
  'records.sensitive-reader',
  'records.writer',
  'records.auditor',
  'records.operator',
  'records.privacy-officer',
] as const;
export type Role = (typeof ROLES)[number];

/** What a route needs. Every route names exactly one. */
export type Permission =
  'public' | 'records.read' | 'records.write' | 'operations.read' | 'audit.read' | 'jobs.run';

/** The one table from what a route needs to the roles that may; any of them suffices. */
const GRANTS: Readonly<Record<Exclude<Permission, 'public'>, readonly Role[]>> = {
  'records.read': ['records.reader', 'records.sensitive-reader'],
  'records.write': ['records.writer'],
  'operations.read': ['records.reader', 'records.sensitive-reader', 'records.writer'],
  'audit.read': ['records.auditor'],
  'jobs.run': ['records.operator'],
};

/** True when one of `roles` may do what `permission` names. */
export function mayDo(roles: readonly Role[], permission: Permission): boolean {
  return permission === 'public' || GRANTS[permission].some((role) => roles.includes(role));
}
