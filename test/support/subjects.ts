import type { z } from 'zod';
import { patchData, type RecordName } from '../../src/domain/apply-change.js';
import { isAppError } from '../../src/domain/errors.js';
import type { RecordData, RecordType } from '../../src/domain/record-type.js';
import type { Platform } from '../../src/platform.js';
import type { CallContext, WrittenRecord } from '../../src/storage/manager-types.js';

/** What tests of every record type need to know of a type: all of it follows from its declaration. */

let names = 0;

/** A body that may be stored: where records have names, under one of its own. */
export function bodyOf(type: RecordType, name = `name-${(names += 1)}`): RecordData {
  const example = type.example as RecordData;
  return type.named === undefined ? example : { ...example, [type.named.member]: name };
}

export interface Put {
  readonly at: RecordName;
  /** Below the collection. */
  readonly path: string;
  readonly body: RecordData;
  /** Members that the address says. */
  readonly said: readonly string[];
}

/** The example as it is put under a name. Only for types whose records have names. */
export function putOf(type: RecordType, name: string): Put {
  const { partition, named } = type;
  if (named === undefined || partition.kind !== 'member') throw new Error(`a ${type.recordType} has no name`);
  const example = type.example as RecordData;
  const said = [partition.member, named.member];
  const at = { partition: String(example[partition.member]), name };
  const body = Object.fromEntries(Object.entries(example).filter(([member]) => !said.includes(member)));
  return { at, path: `/${encodeURIComponent(at.partition)}/${encodeURIComponent(name)}`, body, said };
}

/** A way to add to a record that is there: a typed action, or an entry of its parts. */
export interface Addition {
  readonly of: 'action' | 'parts';
  /** Below the record. */
  readonly path: string;
  readonly input: z.ZodType;
  /** Undefined where an action declares none, which the generic suite complains about. */
  readonly example: unknown;
  /** What a new record needs before its example is taken. */
  readonly after: readonly Addition[];
}

/** By record type and path, the paths whose examples come first. Without an entry a new record takes the example. */
const AFTER: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  covenant: { supersession: ['activation'] },
};

/** Every way to add to records of a type: its actions, its parts, and whatever else its parts take. */
export function additionsOf({ recordType, actions, parts }: RecordType): readonly Addition[] {
  const further = parts?.more ?? {};
  const ways: readonly Omit<Addition, 'after'>[] = [
    ...Object.entries(actions).map(([path, { input, example }]) => ({ of: 'action' as const, path, input, example })), // prettier-ignore
    ...(parts === undefined ? [] : [{ of: 'parts' as const, path: parts.path, input: parts.input, example: parts.example }]), // prettier-ignore
    ...Object.entries(further).map(([path, { input, example }]) => ({ of: 'parts' as const, path, input, example })), // prettier-ignore
  ];
  const with_ = (way: Omit<Addition, 'after'>): Addition => {
    const needed = AFTER[recordType]?.[way.path] ?? [];
    return { ...way, after: ways.filter(({ path }) => needed.includes(path)).map(with_) };
  };
  return ways.map(with_);
}

/** Adds to a record in one of its ways, and before that what it needs. */
export async function add(
  manager: Platform['manager'],
  type: RecordType,
  id: string,
  { of, path, example, after }: Addition,
  call: CallContext,
): Promise<WrittenRecord> {
  for (const first of after) await add(manager, type, id, first, { ...call, idempotency: undefined });
  return of === 'action'
    ? manager.act(type, id, path, example, undefined, call)
    : manager.addPart(type, id, path, example, undefined, call);
}

/** A patch that a record takes and that changes it; undefined for a type that takes none. */
export function patchOf(type: RecordType, current: RecordData, nowMs: number): RecordData | undefined {
  const context = {
    id: String(type.idField === undefined ? '' : current[type.idField]),
    nowMs,
    actor: 'ada',
  };
  const members = Object.keys(current).filter((member) => !type.immutable.includes(member));
  for (const member of members.sort((a, b) => plainness(current[b]) - plainness(current[a]))) {
    const patch = { [member]: changed(current[member]) };
    try {
      const next = patchData(type, current, patch, context);
      if (JSON.stringify(next[member]) !== JSON.stringify(current[member])) return patch;
    } catch (error) {
      if (!isAppError(error)) throw error;
    }
  }
  return undefined;
}

/** Free content first: nothing follows from it. */
const plainness = (value: unknown): number =>
  typeof value === 'object' ? 2 : typeof value === 'string' ? 1 : 0;

function changed(value: unknown): unknown {
  if (typeof value === 'string') return `${value} 2`;
  if (typeof value === 'number') return value + 1;
  if (typeof value === 'boolean') return !value;
  return Array.isArray(value) ? [] : { patched: true };
}
