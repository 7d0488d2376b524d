import { COMMITMENT_MEMBER } from './commitment.js';
import type { Issue } from './errors.js';
import { LIMITS } from './limits.js';

/** RFC 6901: one reference token. */
function pointerToken(member: string | number): string {
  return String(member).replaceAll('~', '~0').replaceAll('/', '~1');
}

/** RFC 6901 pointer of a path. */
export function pointerOf(path: readonly (string | number)[]): string {
  return path.map((member) => `/${pointerToken(member)}`).join('');
}

const ISSUES_AT_MOST = 20;

/**
 * What no record may contain, whatever its schema says: nesting beyond 32, numbers JSON cannot carry back (1e999),
 * lone surrogates, prototype members, the reserved member `$commitment`, oversized lists and objects. Runs before the
 * schema, so that dictionaries with free content are held to it too. Empty list: nothing to complain about.
 */
export function jsonIssues(value: unknown, base = ''): readonly Issue[] {
  const issues: Issue[] = [];
  walk(value, base, 1, issues);
  return issues.slice(0, ISSUES_AT_MOST);
}

function walk(value: unknown, pointer: string, depth: number, issues: Issue[]): void {
  if (issues.length >= ISSUES_AT_MOST) return;
  const complain = (detail: string): number => issues.push({ pointer, detail });
  switch (typeof value) {
    case 'string':
      if (!value.isWellFormed()) complain('contains half of a surrogate pair, which is not a character');
      return;
    case 'number':
      if (!Number.isFinite(value)) complain('is not a finite number');
      return;
    case 'boolean':
      return;
    case 'object':
      break;
    default:
      complain('is not a JSON value');
      return;
  }
  if (value === null) return;
  if (depth > LIMITS.nestingDepth) {
    complain(`is nested deeper than ${String(LIMITS.nestingDepth)} levels`);
    return;
  }
  const members = Array.isArray(value)
    ? value.map((item, index) => [index, item] as const)
    : Object.entries(value);
  if (members.length > LIMITS.collectionItems) {
    complain(`has more than ${String(LIMITS.collectionItems)} members`);
    return;
  }
  for (const [member, item] of members) {
    if (typeof member === 'string') {
      const fault = memberFault(member);
      if (fault !== undefined) {
        issues.push({
          pointer: fault.named ? `${pointer}/${pointerToken(member)}` : pointer,
          detail: fault.detail,
        });
        continue;
      }
    }
    walk(item, `${pointer}/${pointerToken(member)}`, depth + 1, issues);
  }
}

function memberFault(member: string): { named: boolean; detail: string } | undefined {
  if (!member.isWellFormed())
    return { named: false, detail: 'has a member name with half of a surrogate pair' };
  if (member.length > LIMITS.memberNameChars) {
    return {
      named: false,
      detail: `has a member name longer than ${String(LIMITS.memberNameChars)} characters`,
    };
  }
  if (member === '__proto__') return { named: true, detail: 'is a reserved member name' };
  if (member === COMMITMENT_MEMBER) return { named: true, detail: 'is reserved for commitments' };
  return undefined;
}
