import type { z } from 'zod';
import type { AddingDeclaration } from '../../domain/parts.js';
import type { RecordType } from '../../domain/record-type.js';

/** What only some declarations say of themselves, in one place and with what it means to leave it out. */

/** Path segments of what follows from a record and is read by itself. */
export function viewsOf(type: RecordType): readonly string[] {
  return Object.keys(type.views ?? {});
}

/** Every way to add to the parts of a record, by its path segment. */
export function addingsOf({ parts }: RecordType): Readonly<Record<string, AddingDeclaration>> {
  return parts === undefined ? {} : { [parts.path]: parts, ...parts.more };
}

/** Whether lists of a record's parts can begin at a time. */
export function partsHaveTimes({ parts }: RecordType): boolean {
  return parts?.series !== undefined || parts?.timeMember !== undefined;
}

/** Bodies of creates that are still taken in older schema versions. */
export function olderCreates(
  type: RecordType,
): readonly { readonly version: string; readonly schema: z.ZodType }[] {
  return type.migrations.flatMap(({ from, create }) =>
    create === undefined ? [] : [{ version: from, schema: create.schema }],
  );
}
