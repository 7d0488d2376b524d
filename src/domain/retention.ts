import { parseTime } from './clock.js';
import { invalid, type Issue } from './errors.js';
import { pointerOf } from './json-input.js';
import type { RecordType, RetentionRule } from './record-type.js';
import type { TenantConfiguration } from './tenant-configuration.js';

/** The rule that counts for a collection of a tenant. */
export interface EffectiveRule {
  readonly years: number;
  /** `superseded`: revisions, from when another followed; else the member whose time the period of a record counts from. */
  readonly from: string;
  readonly setBy: 'declaration' | 'tenant';
}

export const SUPERSEDED = 'superseded';

/** What a tenant has set for a type; undefined for one that is kept for ever, whatever anybody has set. Pure. */
export function effectiveRule(
  type: Pick<RecordType, 'collection' | 'retention'>,
  { retention: set }: Pick<TenantConfiguration, 'retention'>,
): EffectiveRule | undefined {
  const rule = type.retention;
  if (rule === 'forever') return undefined;
  const own = Object.hasOwn(set, type.collection) ? set[type.collection]?.years : undefined;
  // What was set before a declaration asked for more does not count against it.
  const years = own === undefined || (rule.floor !== false && own < rule.years) ? rule.years : own;
  return { years, from: fromOf(rule), setBy: years === own ? 'tenant' : 'declaration' };
}

const fromOf = (rule: Exclude<RetentionRule, 'forever'>): string => ('of' in rule ? SUPERSEDED : rule.from);

/**
 * The same moment so many calendar years later, UTC, milliseconds. What began on a 29 February ends on 1 March where the
 * year has none: nobody is kept for less than was said. Pure.
 */
function addYears(ms: number, years: number): number {
  const date = new Date(ms);
  return date.setUTCFullYear(date.getUTCFullYear() + years);
}

/** True once the period is over at `nowMs`. Pure. */
export function isOver(sinceMs: number, { years }: Pick<EffectiveRule, 'years'>, nowMs: number): boolean {
  return addYears(sinceMs, years) <= nowMs;
}

/** Nothing that began at this time or later is over: lists are read up to it, and each record is looked at for itself. Pure. */
export function beginsBefore({ years }: Pick<EffectiveRule, 'years'>, nowMs: number): number {
  // A day more than any leap year moves.
  return addYears(nowMs, -years) + 2 * 86_400_000;
}

/**
 * From when the period of a record counts, by the columns of its row or of an index row; undefined while it has not begun
 * (an execution that has not ended), and for what is no time. Pure.
 */
export function sinceOf(
  type: Pick<RecordType, 'orderedBy'>,
  { from }: EffectiveRule,
  columns: Readonly<Record<string, unknown>>,
): number | undefined {
  const value = columns[from === type.orderedBy ? 'created_at' : from];
  return typeof value === 'string' ? parseTime(value) : undefined;
}

/**
 * Holds what a tenant would set to what the declarations allow: collections there are, which are not kept for ever, and
 * nothing below a floor. Throws `record-invalid` with pointers. Pure.
 */
export function assertRetention(
  { retention }: Pick<TenantConfiguration, 'retention'>,
  types: readonly Pick<RecordType, 'collection' | 'retention'>[],
): void {
  const issues = Object.entries(retention).flatMap(([collection, { years }]): Issue[] => {
    const pointer = pointerOf(['retention', collection]);
    const rule = types.find((type) => type.collection === collection)?.retention;
    if (collection === 'audit-events')
      return [{ pointer, detail: 'is kept for ever: the audit trail is never deleted' }];
    if (rule === undefined) return [{ pointer, detail: 'is no collection of records' }];
    if (rule === 'forever') return [{ pointer, detail: 'is kept for ever' }];
    if (rule.floor === false || years >= rule.years) return [];
    return [
      {
        pointer: `${pointer}/years`,
        detail: `must be at least ${String(rule.years)}: it may be longer and not shorter`,
      },
    ];
  });
  if (issues.length > 0) throw invalid(issues);
}
