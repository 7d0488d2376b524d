import type { RecordType } from './record-type.js';

/** Members that lead from a record's data to what a summary shows under a name. */
export function summaryPath({ summaryFrom }: RecordType, name: string): readonly string[] {
  return summaryFrom?.[name]?.split('/').slice(1) ?? [name];
}
