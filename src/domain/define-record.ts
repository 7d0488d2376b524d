import { z } from 'zod';
import { parseTime } from './clock.js';
import { LIMITS } from './limits.js';
import type { PartsDeclaration } from './parts.js';
import { patternsOverlap } from './pointer-patterns.js';
import { EVERY_VALUE } from './subjects.js';
import type {
  ActionDeclaration,
  CacheRule,
  IndexDeclaration,
  Migration,
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
  'tombstone', 'history_from', 'history_event',
  // Table Storage's own, whatever their case.
  'timestamp', 'etag',
  // What a lineage says of a record beside its summary.
  'depth', 'missing', 'damaged',
] as const; // prettier-ignore
const isColumn = (name: string): boolean =>
  (ROW_COLUMNS as readonly string[]).includes(name) || /^(links_\d+$|blind_)/.test(name);
/** Query parameters that every list has besides its filters. */
const LIST_PARAMETERS = ['from', 'to', 'limit', 'cursor', 'fields'];
/** A create writes the record, its revision, its event and an idempotency row besides index rows (cost contract). */
const MAX_INDEX_ROWS = 20;
const MAX_CACHE_MS = 3_600_000;
/** As long as a subject's key may be kept (security.md): what was erased is gone everywhere within this time. */
const MAX_SENSITIVE_CACHE_MS = 5 * 60_000;

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
    blindMembers: blindMembers(erased),
  });
}

function partitionMembers({ partition }: RecordDeclaration<RecordData, unknown>): readonly string[] {
  return partition.kind === 'member' ? [partition.member] : [];
}

/** Sensitive members that an index names: what rows have of them is a keyed hash (security.md, equality search). */
function blindMembers({ indexes, sensitive }: RecordDeclaration<RecordData, unknown>): readonly string[] {
  const fields = indexes.flatMap((index) => index.fields);
  return [...new Set(fields)].filter((field) => Object.hasOwn(sensitive, `/${field}`));
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
    ...(d.named !== undefined && !d.summary.includes(d.named.member) ? [`${d.named.member} is a name and must be in the summary`] : []),
    ...(d.named !== undefined && d.partition.kind !== 'member' ? ['named records need a partition by member'] : []),
    ...ownPartitionFaults(d),
    ...partitionMembers(d).filter((m) => !d.summary.includes(m)).map((m) => `${m} is filtered by and must be in the summary`),
    ...known(d.summary.filter((m) => d.summaryFrom?.[m] === undefined), 'summary'),
    ...summaryFromFaults(d, members),
    ...known(d.immutable, 'immutable'),
    ...known(sensitiveRoots, 'sensitive'),
    ...known((d.links ?? []).map((pattern) => pattern.split('/')[1] ?? ''), 'links'),
    ...Object.keys(d.sensitive).filter((p) => !p.startsWith('/')).map((p) => `sensitive ${p} is not a pointer`),
    ...keyMembers.filter((m) => !d.immutable.includes(m)).map((m) => `key member ${m} must be immutable`),
    ...[...keyMembers, ...d.summary].filter((m) => sensitiveRoots.includes(m)).map((m) => `${m} is a key or in the summary and must not be sensitive`),
    ...d.summary.filter(isColumn).map((m) => `summary member ${m} collides with a column`),
    ...linkFaults(d),
    ...indexFaults(d),
    ...migrationFaults(d),
    ...transitionFaults(d, members),
    ...Object.keys(d.actions).filter((a) => !isPath(a)).map((a) => `action path ${a} is not allowed`),
    ...Object.keys(d.views ?? {}).filter((v) => !isPath(v)).map((v) => `view path ${v} is not allowed`),
    ...(d.views !== undefined && d.named !== undefined ? ['named records have no views: their address is taken'] : []),
    ...Object.entries(d.actions).filter(([, a]) => a.example !== undefined && !a.input.safeParse(a.example).success).map(([path]) => `the example of ${path} is not valid`),
    ...retentionFaults(d),
    ...(d.parts === undefined ? [] : partsFaults(d, d.parts)),
    ...(d.cache === undefined ? [] : cacheFaults(d, d.cache)),
    ...exampleFaults(d),
  ]; // prettier-ignore
}

/** Path segments that generic routes use below a record: no action and no name may be one. */
export const RESERVED_PATHS: readonly string[] = [
  'revisions', 'proof', 'lineage', 'rehydrate', 'batch', 'hold', 'erasure', 'parts',
]; // prettier-ignore

function isPath(segment: string): boolean {
  return /^[a-z][a-z-]{0,39}$/.test(segment) && !RESERVED_PATHS.includes(segment);
}

function ownPartitionFaults({ partition, parts }: RecordDeclaration<RecordData, unknown>): string[] {
  if (partition.kind !== 'own') return [];
  return [
    ...(NAME.test(partition.listedIn) ? [] : [`bad partition of lists ${partition.listedIn}`]),
    ...(parts !== undefined && parts.nameMember === undefined
      ? ['what lists show of a record with a partition of its own cannot follow from parts']
      : []),
  ];
}

function summaryFromFaults(
  d: RecordDeclaration<RecordData, unknown>,
  members: readonly string[],
): readonly string[] {
  const sensitive = Object.keys(d.sensitive);
  return Object.entries(d.summaryFrom ?? {}).flatMap(([name, pointer]) => [
    ...(d.summary.includes(name) && NAME.test(name) ? [] : [`${name} is not in the summary`]),
    ...(members.includes(name) ? [`summary member ${name} is a member of the record already`] : []),
    ...(/^(\/[a-z][a-z0-9_]*){2,}$/.test(pointer) && members.includes(pointer.split('/')[1] ?? '')
      ? []
      : [`summary member ${name} is nowhere`]),
    ...(sensitive.some((s) => pointer === s || pointer.startsWith(`${s}/`) || s.startsWith(`${pointer}/`))
      ? [`summary member ${name} must not be sensitive`]
      : []),
  ]);
}

/** When a record is past its time is told by its row alone. */
function retentionFaults({ retention, orderedBy, summary, partition, parts }: RecordDeclaration<RecordData, unknown>): string[] {
  if (retention === 'forever') return [];
  const { years } = retention;
  return [
    ...(Number.isInteger(years) && years >= 1 && years <= LIMITS.retentionYears ? [] : ['records are kept for 1 to 100 years, or for ever']),
    ...(partition.kind === 'own' ? ['records with a partition of their own are kept for ever'] : []),
    ...('of' in retention || retention.from === orderedBy || summary.includes(retention.from) ? [] : [`${retention.from} is what the period counts from and must be in the summary`]),
    ...('of' in retention && parts !== undefined ? ['parts of a record are no history'] : []),
  ];
} // prettier-ignore

function partsFaults(d: RecordDeclaration<RecordData, unknown>, parts: PartsDeclaration): string[] {
  const taken = [...Object.keys(d.actions), ...Object.keys(d.views ?? {})];
  const ways = [[parts.path, parts] as const, ...Object.entries(parts.more ?? {})];
  return [
    ...ways.flatMap(([path, way], at) => [
      ...(isPath(path) && !taken.includes(path) && (at === 0 || path !== parts.path) ? [] : [`parts path ${path} is not allowed`]),
      ...(way.input.safeParse(way.example).success ? [] : [`the example of ${path} is not valid`]),
    ]),
    ...(NAME.test(parts.table) && parts.table !== d.table ? [] : [`bad parts table ${parts.table}`]),
    ...(parts.series === undefined || parts.nameMember === undefined ? [] : ['values of a series have no names']),
    ...(parts.series === undefined || parts.stream === undefined ? [] : ['values of a series have no stream']),
    ...(parts.namePrefix === undefined || parts.nameMember !== undefined ? [] : ['names are made for entries that have them']),
    ...(d.named === undefined ? [] : ['named records have no parts: their address is taken']),
    ...secretPartsFaults(parts),
  ]; // prettier-ignore
}

function secretPartsFaults(parts: PartsDeclaration): string[] {
  const patterns = Object.keys(parts.sensitive ?? {});
  const members = parts.entry instanceof z.ZodObject ? Object.keys(parts.entry.shape) : [];
  const roots = patterns.map((pattern) => pattern.split('/')[1] ?? '');
  const named = Object.keys(parts.subjects ?? {}).filter((pattern) => pattern !== EVERY_VALUE);
  return [
    ...patterns.filter((p) => !p.startsWith('/')).map((p) => `sensitive ${p} of ${parts.path} is not a pointer`),
    ...roots.filter((root) => !members.includes(root)).map((root) => `${root} is sensitive and no member of ${parts.path}`),
    ...[parts.nameMember, parts.timeMember].filter((m) => m !== undefined && roots.includes(m)).map((m) => `${String(m)} is repeated in rows and must not be sensitive`),
    ...named.filter((pattern) => !patterns.includes(pattern)).map((pattern) => `subjects of ${pattern}, which is not sensitive in ${parts.path}`),
    ...(parts.series !== undefined && patterns.length > 0 ? ['values of a series are not sensitive: samples and rollups repeat them'] : []),
  ];
} // prettier-ignore

function linkFaults({ links = [], sensitive }: RecordDeclaration<RecordData, unknown>): string[] {
  const secret = (link: string): boolean =>
    Object.keys(sensitive).some((place) => patternsOverlap(link, place));
  return [
    ...links.filter((link) => !link.startsWith('/')).map((link) => `link ${link} is not a pointer`),
    ...links.filter(secret).map((link) => `link ${link} is sensitive: rows repeat it in clear`),
  ];
}

/** Whether what is sensitive still exists may change, and nobody may be shown for longer than that what was erased. */
function cacheFaults(d: RecordDeclaration<RecordData, unknown>, { ttlMs }: CacheRule): string[] {
  return [
    ...(Number.isInteger(ttlMs) && ttlMs >= 1 && ttlMs <= MAX_CACHE_MS ? [] : ['a cache keeps for 1 ms to an hour']), // prettier-ignore
    ...(Object.keys(d.sensitive).length === 0 || ttlMs <= MAX_SENSITIVE_CACHE_MS ? [] : ['records with sensitive values are kept for 5 minutes at most']), // prettier-ignore
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
    ...d.indexes
      .flatMap((i) => i.fields)
      .filter((field) => LIST_PARAMETERS.includes(field))
      .map((field) => `filter ${field} is a parameter of every list`),
    ...d.indexes.filter((i) => i.fields.length === 0).map((i) => `index ${i.name} has no fields`),
    ...d.indexes
      .flatMap((index) => index.fields)
      .filter((field) => !d.summary.includes(field) && !blindMembers(d).includes(field))
      .map((field) => `indexed member ${field} must be in the summary, or sensitive`),
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
  return faults.length > 0 ? faults : d.migrations.flatMap((_, at) => olderFaults(d, at));
}

/** What is wrong with the migration at a place of a sound chain: its examples are taken all the way. */
function olderFaults(d: RecordDeclaration<RecordData, unknown>, at: number): string[] {
  const chain = d.migrations.slice(at);
  const { from, schema, example, create, deprecated } = chain[0] as Migration;
  const faults: string[] = [];
  const { since = '', sunset = '' } = deprecated ?? {};
  const [sinceMs, sunsetMs] = [parseTime(since), parseTime(sunset)];
  if (deprecated !== undefined && !(sinceMs !== undefined && sunsetMs !== undefined && sinceMs <= sunsetMs))
    faults.push(`the deprecation of ${from} is not two times in order`);
  if (!schema.safeParse(example).success) faults.push(`the example of ${from} is not valid`);
  else if (!isValidNow(d, () => chain.reduce((data, step) => step.migrate(data), example)))
    faults.push(`the example of ${from} does not migrate to valid data`);
  if (create === undefined) return faults;
  if (chain.some((step) => step.create === undefined))
    faults.push(`${from} can be written and a version after it cannot`);
  else if (!isWritableNow(d, chain, create.example))
    faults.push(`the example of a create in ${from} does not migrate to a valid one`);
  return faults;
}

function isValidNow(d: RecordDeclaration<RecordData, unknown>, migrated: () => RecordData): boolean {
  try {
    const parsed = d.schema.safeParse(migrated());
    return parsed.success && (d.check?.(parsed.data) ?? []).length === 0;
  } catch {
    return false;
  }
}

function isWritableNow(
  d: RecordDeclaration<RecordData, unknown>,
  chain: readonly Migration[],
  example: unknown,
): boolean {
  try {
    let body = example;
    for (const { create } of chain) body = create?.migrate(create.schema.parse(body) as RecordData);
    return d.createSchema.safeParse(body).success;
  } catch {
    return false;
  }
}

function transitionFaults(d: RecordDeclaration<RecordData, unknown>, members: readonly string[]): string[] {
  if (d.transitions === undefined)
    return Object.values(d.actions).some(({ allowedIn }) => allowedIn !== undefined)
      ? ['an action is bound to states and there are none']
      : [];
  const { field, moves, mutableWhenFinal, patchableIn = [] } = d.transitions;
  const states = Object.keys(moves);
  return [
    ...[...patchableIn, ...Object.values(d.actions).flatMap(({ allowedIn = [] }) => allowedIn)]
      .filter((state) => !states.includes(state))
      .map((state) => `there is no state ${state}`),
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
