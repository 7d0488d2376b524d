import type { z } from 'zod';
import type { ActionDeclaration, RecordType } from '../../domain/record-type.js';

/** What only some declarations say of themselves, in one place and with what it means to leave it out. */

/** A way to add to the parts of a record. */
export interface Adding {
  readonly verb: string;
  readonly input: z.ZodType;
  readonly example: unknown;
}

interface Abilities {
  readonly views?: Readonly<Record<string, unknown>>;
  readonly summaryFrom?: Readonly<Record<string, string>>;
  readonly parts?: { readonly more?: Readonly<Record<string, Adding>>; readonly timeMember?: string };
  readonly migrations: readonly { readonly from: string; readonly create?: { readonly schema: z.ZodType } }[];
}

/** Path segments of what follows from a record and is read by itself. */
export function viewsOf(type: RecordType): readonly string[] {
  return Object.keys((type as Abilities).views ?? {});
}

/** Every way to add to the parts of a record, by its path segment. */
export function addingsOf(type: RecordType): Readonly<Record<string, Adding>> {
  const { parts } = type as Abilities;
  return type.parts === undefined ? {} : { [type.parts.path]: type.parts, ...parts?.more };
}

/** Whether lists of a record's parts can begin at a time. */
export function partsHaveTimes(type: RecordType): boolean {
  return type.parts?.series !== undefined || (type as Abilities).parts?.timeMember !== undefined;
}

/** Whether what an action makes has an address of its own: 201 instead of 200. */
export function makesRevision(action: ActionDeclaration): boolean {
  return (action as { readonly makesRevision?: boolean }).makesRevision === true;
}

/** Members from the data to what a summary shows under a name. */
export function summaryPath(type: RecordType, name: string): readonly string[] {
  return (type as Abilities).summaryFrom?.[name]?.split('/').slice(1) ?? [name];
}

/** Bodies of creates that are still taken in older schema versions. */
export function olderCreates(
  type: RecordType,
): readonly { readonly version: string; readonly schema: z.ZodType }[] {
  return (type as Abilities).migrations.flatMap(({ from, create }) =>
    create === undefined ? [] : [{ version: from, schema: create.schema }],
  );
}
