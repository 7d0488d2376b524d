import { z } from 'zod';
import type { PartsDeclaration } from './parts.js';
import type {
  ActionDeclaration,
  IndexDeclaration,
  RecordData,
  RecordDeclaration,
  RecordType,
} from './record-type.js';

/** The index every type has: all records, newest first. */
const ALL_INDEX: IndexDeclaration = { name: 'all', fields: [] };

const NAME = /^[a-z][a-z0-9_]{0,39}$/;
/** Columns of a record row that a summary member must not collide with (storage/record-row.ts). */
const ROW_COLUMNS = [
  'record_type', 'id', 'revision', 'schema_version', 'tier', 'checksum', 'created_at', 'updated_at', 'event_id',
  'previous_checksum', 'stored_at', 'action', 'blob', 'offset', 'length', 'index_keys', 'row_checksum', 'void',
  // Table Storage's own, whatever their case.
  'timestamp', 'etag',
] as const; // prettier-ignore
/** A create writes the record, its revision, its event and an idempotency row besides index rows (cost contract). */
const MAX_INDEX_ROWS = 20;

/** An action whose input is checked by its schema; the record's data type is taken from the declaration. */
export function defineAction<Data extends RecordData, Input>(
  action: ActionDeclaration<Data, Input>,
): ActionDeclaration<Data> {
  return action as unknown as ActionDeclaration<Data>;
}

/**
 * Declares a record type. Asserts, when the module loads, everything that would otherwise fail later and elsewhere:
 * names, version chain, legal indexes, key members immutable and not sensitive, a valid example.
 * Throws TypeError naming the type and the fault.
 */
export function defineRecord<Data extends RecordData, Create>(
  declaration: RecordDeclaration<Data, Create>,
): RecordType {
  const faults = faultsOf(declaration as unknown as RecordDeclaration<RecordData, unknown>);
  if (faults.length > 0) throw new TypeError(`record type ${declaration.recordType}: ${faults.join('; ')}`);
  const erased = declaration as unknown as RecordDeclaration<RecordData, unknown>;
  return Object.freeze({
    ...erased,
    allIndexes: [ALL_INDEX, ...erased.indexes],
    filters: [...new Set([...partitionMembers(erased), ...erased.indexes.flatMap((index) => index.fields)])],
  });
}

function partitionMembers({ partition }: RecordDeclaration<RecordData, unknown>): readonly string[] {
  return partition.kind === 'member' ? [partition.member] : [];
}

function faultsOf(d: RecordDeclaration<RecordData, unknown>): string[] {
  const members = d.schema instanceof z.ZodObject ? Object.keys(d.schema.shape) : undefined;
  if (members === undefined) return ['schema must be a strict object'];
  const known = (fields: readonly string[], what: string): string[] =>
    fields
      .filter((field) => !members.includes(field))
      .map((field) => `${what} names unknown member ${field}`);
  const sensitiveRoots = Object.keys(d.sensitive).map((pattern) => pattern.split('/')[1] ?? '');
  const identity = [d.idField, d.orderedBy].filter((member) => member !== undefined);
  const keyMembers = [
    ...identity,
    ...partitionMembers(d),
    ...(d.named === undefined ? [] : [d.named.member]),
  ];
  return [
    ...[d.recordType, d.table, ...(d.idField === undefined ? [] : [d.idField])].filter((name) => !NAME.test(name)).map((name) => `bad name ${name}`),
    ...(/^[a-z][a-z-]{0,39}$/.test(d.collection) ? [] : ['bad collection name']),
    ...(/^[a-z]{2,8}$/.test(d.idPrefix) ? [] : ['bad id prefix']),
    ...known(keyMembers, 'identity'),
    ...(d.named !== undefined && d.partition.kind !== 'member' ? ['named records need a partition by member'] : []),
    ...partitionMembers(d).filter((m) => !d.summary.includes(m)).map((m) => `${m} is filtered by and must be in the summary`),
    ...known(d.summary, 'summary'),
    ...known(d.immutable, 'immutable'),
    ...known(sensitiveRoots, 'sensitive'),
    ...Object.keys(d.sensitive).filter((p) => !p.startsWith('/')).map((p) => `sensitive ${p} is not a pointer`),
    ...keyMembers.filter((m) => !d.immutable.includes(m)).map((m) => `key member ${m} must be immutable`),
    ...[...keyMembers, ...d.summary].filter((m) => sensitiveRoots.includes(m)).map((m) => `${m} is a key or in the summary and must not be sensitive`),
    ...d.summary.filter((m) => (ROW_COLUMNS as readonly string[]).includes(m)).map((m) => `summary member ${m} collides with a column`),
    ...indexFaults(d),
    ...migrationFaults(d),
    ...transitionFaults(d, members),
    ...Object.keys(d.actions).filter((a) => !/^[a-z][a-z-]{0,39}$/.test(a) || RESERVED_PATHS.includes(a)).map((a) => `action path ${a} is not allowed`),
    ...Object.entries(d.actions).filter(([, a]) => a.example !== undefined && !a.input.safeParse(a.example).success).map(([path]) => `the example of ${path} is not valid`),
    ...(d.parts === undefined ? [] : partsFaults(d, d.parts)),
    ...exampleFaults(d),
  ]; // prettier-ignore
}

/** Path segments that generic routes use below a record: no action and no name may be one. */
export const RESERVED_PATHS: readonly string[] = [
  'revisions', 'proof', 'lineage', 'rehydrate', 'batch', 'hold', 'erasure', 'parts',
]; // prettier-ignore

function partsFaults(d: RecordDeclaration<RecordData, unknown>, parts: PartsDeclaration): string[] {
  const taken = [...RESERVED_PATHS, ...Object.keys(d.actions)];
  return [
    ...(/^[a-z][a-z-]{0,39}$/.test(parts.path) && !taken.includes(parts.path) ? [] : [`parts path ${parts.path} is not allowed`]), // prettier-ignore
    ...(NAME.test(parts.table) && parts.table !== d.table ? [] : [`bad parts table ${parts.table}`]),
    ...(parts.input.safeParse(parts.example).success ? [] : [`the example of ${parts.path} is not valid`]),
    ...(parts.series === undefined || parts.nameMember === undefined
      ? []
      : ['values of a series have no names']),
    ...(d.named === undefined ? [] : ['named records have no parts: their address is taken']),
  ];
}

function indexFaults(d: RecordDeclaration<RecordData, unknown>): string[] {
  const names = d.indexes.map((index) => index.name);
  return [
    ...(d.indexes.length + 1 > MAX_INDEX_ROWS ? ['too many indexes'] : []),
    ...names
      .filter((n, at) => names.indexOf(n) !== at || n === ALL_INDEX.name)
      .map((n) => `index ${n} twice`),
    ...d.indexes
      .filter((i) => !/^[a-z][a-z0-9._]{0,79}$/.test(i.name))
      .map((i) => `bad index name ${i.name}`),
    ...d.indexes.filter((i) => i.fields.length === 0).map((i) => `index ${i.name} has no fields`),
    ...d.indexes
      .flatMap((index) => index.fields)
      .filter((field) => !d.summary.includes(field))
      .map((field) => `indexed member ${field} must be in the summary`),
  ];
}

function migrationFaults(d: RecordDeclaration<RecordData, unknown>): string[] {
  const version = /^\d+\.\d+$/;
  const faults = [d.schemaVersion, ...d.migrations.flatMap((m) => [m.from, m.to])]
    .filter((v) => !version.test(v))
    .map((v) => `bad schema version ${v}`);
  d.migrations.forEach((migration, at) => {
    const next = d.migrations[at + 1]?.from ?? d.schemaVersion;
    if (migration.to !== next)
      faults.push(`migration from ${migration.from} leads to ${migration.to}, not ${next}`);
  });
  return faults;
}

function transitionFaults(d: RecordDeclaration<RecordData, unknown>, members: readonly string[]): string[] {
  if (d.transitions === undefined) return [];
  const { field, moves, mutableWhenFinal } = d.transitions;
  const states = Object.keys(moves);
  return [
    ...[field, ...mutableWhenFinal]
      .filter((m) => !members.includes(m))
      .map((m) => `transitions name unknown ${m}`),
    ...Object.values(moves)
      .flat()
      .filter((state) => !states.includes(state))
      .map((state) => `a move leads to unknown state ${state}`),
  ];
}

function exampleFaults(d: RecordDeclaration<RecordData, unknown>): string[] {
  const parsed = d.createSchema.safeParse(d.example);
  return parsed.success ? [] : [`the example is not valid: ${parsed.error.issues[0]?.message ?? ''}`];
}
