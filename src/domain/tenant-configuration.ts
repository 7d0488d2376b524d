import { z } from 'zod';
import { parseShape } from './apply-change.js';
import { canonicalJson, type Json } from './canonical-json.js';
import { invalid } from './errors.js';
import { jsonIssues } from './json-input.js';
import { LIMITS } from './limits.js';

/** What a tenant may set for itself. Whatever is left out has its default; no setting is without effect. */
export const tenantConfiguration = z.strictObject({
  schema_version: z.literal('1.0').default('1.0'),
  /** Items on a page of a list that was asked for without `limit`. */
  list_limit_default: z.int().min(1).max(LIMITS.pageItems).default(LIMITS.pageItemsDefault),
  cache: z
    .strictObject({
      /** Whether reads may be answered from memory, where a record type allows it. */
      enabled: z.boolean().default(true),
    })
    .default({ enabled: true }),
  /** For how many years records of a collection are kept, where that is not for as long as is declared. */
  retention: z
    .record(
      z.string().max(LIMITS.labelChars),
      z.strictObject({ years: z.int().min(1).max(LIMITS.retentionYears) }),
    )
    .refine((set) => Object.keys(set).length <= LIMITS.retentionRules, {
      error: `names at most ${String(LIMITS.retentionRules)} collections`,
    })
    .default({}),
});

export type TenantConfiguration = z.output<typeof tenantConfiguration>;

/** What counts for a tenant that has set nothing. */
export const DEFAULT_CONFIGURATION: TenantConfiguration = tenantConfiguration.parse({});

/** Parses what a tenant puts. Throws `record-invalid` with pointers. */
export function acceptConfiguration(body: unknown): TenantConfiguration {
  const issues = jsonIssues(body);
  if (issues.length > 0) throw invalid(issues);
  return parseShape(tenantConfiguration, body);
}

/** The configuration of a stored text; undefined when it is none. */
export function parseConfiguration(text: string): TenantConfiguration | undefined {
  try {
    return tenantConfiguration.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** Names of the members that differ, sorted: what the audit event tells of a change. */
export function changedSettings(before: TenantConfiguration, after: TenantConfiguration): string[] {
  const members = Object.keys(after) as (keyof TenantConfiguration)[];
  const text = (value: unknown): string => canonicalJson(value as Json);
  return members.filter((member) => text(before[member]) !== text(after[member])).sort();
}
