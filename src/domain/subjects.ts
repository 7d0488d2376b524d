import type { Issue } from './errors.js';
import { pointerOf } from './json-input.js';
import { LIMITS } from './limits.js';
import { pathsOf, valueAt, type Path } from './pointer-patterns.js';
import type { SensitivityClass } from './sensitivity.js';

/**
 * Whom sensitive values are about, by the pattern of the value: patterns of the members that name the person, the data
 * subject of GDPR article 4(1). Where both have `*` in the same place, the same entry of the list is meant. What stands
 * under `EVERY_VALUE` counts for all of them. A value of nobody that is named is the tenant's alone.
 */
export type SubjectRules = Readonly<Record<string, readonly string[]>>;

/** Key of `SubjectRules` for every sensitive value of a record. */
export const EVERY_VALUE = '*';

/** Where any record may name whom it is about: ids that the tenant knows the person by. A number counts as its digits. */
export const METADATA_SUBJECTS: readonly string[] = [
  '/metadata/subject_id',
  '/metadata/subject_ids',
  '/metadata/subject_ids/*',
];

/** Those names are values about the person too. */
export const METADATA_SENSITIVE: Readonly<Record<string, SensitivityClass>> = {
  '/metadata/subject_id': 'pii',
  '/metadata/subject_ids': 'pii',
};

/**
 * The subjects of each sensitive value of `data`, by the value's pointer (RFC 6901), each once and in order of their
 * names; none where nobody is named. `whole` is what else names subjects of all of them, e.g. the record of an entry.
 */
export function subjectsOf(
  data: unknown,
  patterns: readonly string[],
  rules: SubjectRules = {},
  whole: readonly string[] = [],
): Readonly<Record<string, readonly string[]>> {
  const ofAll = [...whole, ...subjectsOfAll(data, rules)];
  return Object.fromEntries(
    patterns.flatMap((pattern) =>
      pathsOf(data, [pattern]).map((path) => {
        const own = namesAt(
          data,
          (rules[pattern] ?? []).map((named) => sameEntries(named, pattern, path)),
        );
        return [pointerOf(path), [...new Set([...ofAll, ...own])].sort()];
      }),
    ),
  );
}

/** Whom every sensitive value of `data` is about, whatever else it is about. */
export function subjectsOfAll(data: unknown, rules: SubjectRules = {}): readonly string[] {
  return namesAt(data, rules[EVERY_VALUE] ?? []);
}

function namesAt(data: unknown, patterns: readonly string[]): readonly string[] {
  return pathsOf(data, patterns)
    .map((path) => valueAt(data, path))
    .map((value) => (typeof value === 'number' ? String(value) : value))
    .filter((value): value is string => typeof value === 'string' && value !== '');
}

/** What is wrong with whom the metadata names: more than `LIMITS.subjects`. */
export function subjectIssues(data: unknown): readonly Issue[] {
  if (new Set(namesAt(data, METADATA_SUBJECTS)).size <= LIMITS.subjects) return [];
  return [{ pointer: '/metadata/subject_ids', detail: `must name at most ${String(LIMITS.subjects)}` }];
}

/** `named` with the indexes of `path` in the place of the `*` that it has in common with `pattern`. */
function sameEntries(named: string, pattern: string, path: Path): string {
  const tokens = named.split('/');
  const common = pattern.split('/');
  for (let at = 1; at < tokens.length && tokens[at] === common[at]; at += 1) {
    if (tokens[at] === '*') tokens[at] = `#${String(path[at - 1])}`;
  }
  return tokens.join('/');
}
