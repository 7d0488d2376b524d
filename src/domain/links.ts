import type { Issue } from './errors.js';
import { parseId } from './ids.js';
import { pointerOf } from './json-input.js';
import { LIMITS } from './limits.js';
import { pathsOf, valueAt } from './pointer-patterns.js';
import type { RecordData, RecordType } from './record-type.js';

/** Where free metadata says what a record is derived from: an id, or a list of ids. */
export const METADATA_LINKS: readonly string[] = ['/metadata/derived_from', '/metadata/derived_from/*'];

/** Anything that is an id counts, whatever its prefix: the type it is of may come to the platform after the link. */
function* linksIn(
  { links = [] }: Pick<RecordType, 'links'>,
  data: RecordData,
): Generator<{ readonly id: string; readonly pointer: () => string }> {
  for (const path of pathsOf(data, links)) {
    const id = valueAt(data, path);
    if (typeof id === 'string' && parseId(id) !== undefined) yield { id, pointer: () => pointerOf(path) };
  }
}

/** Ids of the records that the record `id` says it is derived from, each once, itself not among them. */
export function linksOf(type: Pick<RecordType, 'links'>, id: string, data: RecordData): readonly string[] {
  const found = new Set<string>();
  for (const link of linksIn(type, data)) found.add(link.id);
  found.delete(id);
  return [...found];
}

/** Complains of the first link that is one too many. */
export function linkIssues(type: Pick<RecordType, 'links'>, data: RecordData): readonly Issue[] {
  const found = new Set<string>();
  for (const { id, pointer } of linksIn(type, data))
    if (found.add(id).size > LIMITS.links)
      return [{ pointer: pointer(), detail: `is one too many: a record is derived from at most ${String(LIMITS.links)}` }]; // prettier-ignore
  return [];
}
