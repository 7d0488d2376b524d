/** Application roles (security.md); what each may is in access-table.ts. */
export const ROLES = [
  'records.reader',
  'records.sensitive-reader',
  'records.writer',
  'records.auditor',
  'records.operator',
  'records.privacy-officer',
] as const;
export type Role = (typeof ROLES)[number];
