import { acceptCreate, createData, type AcceptedCreate } from '../domain/apply-change.js';
import { invalid, isAppError, type Issue } from '../domain/errors.js';
import { newId } from '../domain/ids.js';
import { pointerOf } from '../domain/json-input.js';
import { LIMITS } from '../domain/limits.js';
import { linksOf } from '../domain/links.js';
import type { RecordData, RecordType } from '../domain/record-type.js';

/** Parses every item; issues carry pointers below `/items/<index>`. */
export function acceptBatch(
  type: RecordType,
  bodies: readonly unknown[],
  nowMs: number,
): readonly AcceptedCreate[] {
  if (bodies.length === 0 || bodies.length > LIMITS.batchItems) {
    throw invalid([{ pointer: '/items', detail: `must hold 1 to ${String(LIMITS.batchItems)} items` }]);
  }
  const issues: Issue[] = [];
  const names = new Set<string>();
  let links = 0;
  const accepted = bodies.flatMap((body, at) => {
    try {
      const item = acceptCreate(type, body, nowMs);
      // Rules across members are checked now too: a batch is validated as a whole before anything is stored.
      const id = newId(type.idPrefix, item.createdMs, NO_ENTROPY);
      const data = createData(type, item, { id, nowMs, actor: '-' });
      assertOnce(type, data, names);
      links += linksOf(type, id, data).length;
      if (links > LIMITS.batchLinks)
        throw invalid([{ pointer: '', detail: `brings the batch beyond ${String(LIMITS.batchLinks)} links to other records` }]); // prettier-ignore
      return [item];
    } catch (error) {
      if (!isAppError(error, 'record-invalid')) throw error;
      issues.push(
        ...error.issues.map((issue) => ({ ...issue, pointer: `/items/${String(at)}${issue.pointer}` })),
      );
      return [];
    }
  });
  if (issues.length > 0) throw invalid(issues.slice(0, 100));
  return accepted;
}

/** Throws `record-invalid` for a name that an item before it has. */
function assertOnce({ named, partition }: RecordType, data: RecordData, names: Set<string>): void {
  if (named === undefined || partition.kind !== 'member') return;
  const name = JSON.stringify([data[partition.member], data[named.member]]);
  if (names.has(name)) throw invalid([{ pointer: pointerOf([named.member]), detail: 'is the name of another item' }]); // prettier-ignore
  names.add(name);
}

const NO_ENTROPY = { bytes: (count: number) => new Uint8Array(count) };
