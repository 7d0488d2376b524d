import type { RecordType } from '../../src/domain/record-type.js';
import { RECORD_TYPES } from '../../src/records/registry.js';
import { rowIntact } from '../../src/storage/row-checksum.js';
import { isDisposed, revisionOf, type Survey, type SurveyedRecord } from './invariants-survey.js';

/** Records hold together: every revision is there, in order, with its blob, and the record row is the last of them. */
export function recordViolations(survey: Survey): string[] {
  return [...survey.records.values()].flatMap(oneRecord);
}

function oneRecord(record: SurveyedRecord): string[] {
  const { id, row, revisions } = record;
  const found: string[] = [];
  const last = revisions.at(-1);
  if (row === undefined) return [`${id} has revisions and no record row`];
  // A void row fences an id off for a create that never came, a tombstone for ever.
  if (last === undefined)
    return isVoid(record) || isDisposed(row, 1) ? [] : [`${id} has a record row and no revision`];
  if (!rowIntact(row)) found.push(`the record row of ${id} is not what was written`);
  const same = [
    'revision',
    'checksum',
    'previous_checksum',
    'event_id',
    'action',
    'blob',
    'offset',
    'length',
  ];
  for (const member of same)
    if (row.properties[member] !== last.row.properties[member])
      found.push(`${id}: row and last revision differ in ${member}`);
  const first = Number(row.properties['history_from'] ?? 1);
  revisions.forEach((revision, at) => {
    const name = `${id} revision ${revision.revision}`;
    const before = revisions[at - 1];
    if (revision.revision !== at + first) found.push(`${name} stands in place ${at + first}`);
    if (revision.data === undefined) found.push(`${name} has no blob that fits its row`);
    if ((at > 0 || first === 1) && revision.previousChecksum !== before?.checksum)
      found.push(`${name} does not follow from the one before`);
    if (before !== undefined && revision.storedAt <= before.storedAt)
      found.push(`${name} is not later than the one before`);
  });
  return found;
}

function isVoid({ row }: SurveyedRecord): boolean {
  return row?.properties['void'] === true && rowIntact(row);
}

/** A value inside a row key, as docs/storage-layout.md has it; none here is long enough to be cut. */
function encoded(value: unknown): string {
  return String(value).replaceAll(/[^A-Za-z0-9._-]/gu, (character) =>
    [...Buffer.from(character)]
      .map((byte) => `=${byte.toString(16).toUpperCase().padStart(2, '0')}`)
      .join(''),
  );
}

/** What docs/storage-layout.md makes of a declaration: the index rows of a record, and what stands in them. */
function indexRowsOf(type: RecordType, record: SurveyedRecord): readonly (readonly [string, Record<string, unknown>])[] {
  const last = record.revisions.at(-1);
  if (last?.data === undefined) return [];
  const { data, id, revision, checksum, storedAt } = last;
  const written = Number.parseInt(id.slice(id.indexOf('_') + 1).replace('-', '').slice(0, 12), 16);
  const ms = type.orderedBy === undefined ? written : Date.parse(String(data[type.orderedBy]));
  const listedIn = listedInOf(type);
  const partition = listedIn === undefined ? record.partitionKey : `${record.tenant}:${listedIn}`;
  const shown = type.summary.map((member) => [member, valueAt(data, type.summaryFrom?.[member] ?? `/${member}`)]);
  const summary = Object.fromEntries(shown.filter(([, value]) => value !== undefined)) as Record<string, unknown>;
  const columns = { ...summary, id, revision, checksum, created_at: new Date(ms).toISOString(), updated_at: storedAt };
  // Of sensitive members rows have hashes, which nobody without the key can compute; the lists by them are checked.
  const hashes = Object.fromEntries(type.blindMembers.map((member) => [`blind_${member}`, record.row?.properties[`blind_${member}`]]));
  // What parts bring to a summary follows them by seconds.
  const kept = { ...(type.parts === undefined ? columns : { id, revision }), ...hashes };
  const keyed = (field: string): unknown => (type.blindMembers.includes(field) ? hashes[`blind_${field}`] : summary[field]);
  const indexes = type.allIndexes.filter(({ fields }) => fields.every((field) => typeof keyed(field) === 'string'));
  return indexes.map(({ name, fields }) => {
    const value = fields.map((field) => encoded(keyed(field))).join('=00');
    return [`${partition} i:${name}:${value}:${String(9_999_999_999_999 - ms).padStart(13, '0')}:${id}`, kept];
  });
} // prettier-ignore

/** The partition of index rows that do not lie with their records. */
const listedInOf = ({ partition }: RecordType): string | undefined => partition.kind === 'own' ? partition.listedIn : undefined; // prettier-ignore

function valueAt(data: unknown, pointer: string): unknown {
  return pointer.split('/').slice(1).reduce((value, member) => (value as Record<string, unknown> | undefined)?.[member], data); // prettier-ignore
}

/**
 * Index rows are exactly those of the records' current revisions; those of another partition only once everything has
 * come to rest, and until then what their own row says of them.
 */
export function indexViolations(survey: Survey, options: { readonly atRest: boolean }): string[] {
  return RECORD_TYPES.flatMap((type) => [
    ...(listedInOf(type) === undefined || options.atRest ? currentViolations(survey, type) : []),
    ...(listedInOf(type) === undefined ? [] : listedViolations(survey, type)),
  ]);
}

function currentViolations(survey: Survey, type: RecordType): readonly string[] {
  const found: string[] = [];
  const records = [...survey.records.values()].filter(({ table }) => table === type.table);
  const expected = new Map(records.flatMap((record) => indexRowsOf(type, record)));
  for (const row of survey.rows(type.table, 'i:')) {
    const key = `${row.partitionKey} ${row.rowKey}`;
    const columns = expected.get(key);
    if (columns === undefined) found.push(`index row ${key} belongs to nothing`);
    else if (!rowIntact(row)) found.push(`index row ${key} is not what was written`);
    else
      for (const [member, value] of Object.entries(columns))
        if (row.properties[member] !== value) found.push(`index row ${key} differs in ${member}`);
    expected.delete(key);
  }
  return [...found, ...[...expected.keys()].map((key) => `index row ${key} is missing`)];
}

/** Index rows of another partition are those that the record's row there names, all of one revision that is stored. */
function listedViolations(survey: Survey, type: RecordType): string[] {
  const { table } = type;
  const listedIn = listedInOf(type) ?? '';
  const found: string[] = [];
  const named = new Map<string, number>();
  for (const row of survey.rows(table, 's:')) {
    const revision = Number(row.properties['revision']);
    const id = row.rowKey.slice(2);
    if (!rowIntact(row)) found.push(`list row ${row.rowKey} is not what was written`);
    if (!row.partitionKey.endsWith(`:${listedIn}`))
      found.push(`list row ${row.rowKey} is not in ${listedIn}`);
    if (survey.records.get(id)?.revisions[revision - 1] === undefined)
      found.push(`list row ${row.rowKey} names revision ${revision}, which is not there`);
    for (const rowKey of JSON.parse(String(row.properties['index_keys'])) as string[])
      named.set(`${row.partitionKey} ${rowKey}`, revision);
  }
  for (const row of survey.rows(table, 'i:')) {
    const key = `${row.partitionKey} ${row.rowKey}`;
    if (named.get(key) !== row.properties['revision']) found.push(`index row ${key} is named by no list row`);
    named.delete(key);
  }
  return [...found, ...[...named.keys()].map((key) => `index row ${key} is named and missing`)];
}

/** Every detail blob is named by a row, and everything of a tenant lies with that tenant. */
export function blobViolations(survey: Survey, options: { readonly collected: boolean }): string[] {
  const named = new Set<string>();
  const found: string[] = [];
  for (const record of survey.records.values())
    for (const { row } of record.revisions) {
      const blob = String(row.properties['blob']);
      named.add(blob);
      if (!blob.startsWith(`${record.tenant}/`))
        found.push(`${record.id} keeps its content with another tenant`);
    }
  if (!options.collected) return found;
  const orphans = survey.contents.blobs.filter(
    ({ container, name }) => container === 'records' && !named.has(name) && !isKept(survey, name),
  );
  return [...found, ...orphans.map(({ name }) => `no row names the blob ${name}`)];
}

/** A poisoned message waits for an operator; data of the inbox waits for its message, or with it. */
function isKept(survey: Survey, name: string): boolean {
  if (/^[^/]+\/_poison\//.test(name)) return true;
  // What was brought back from the archive stays for its time.
  if (name.includes('/_rehydrated/')) return true;
  // Streams of parts belong to a record and stay as long as it does.
  const ofParts = /\/([a-z]+_[^/]+)\/([a-z-]+)\/\d{4}\.jsonl$/.exec(name);
  if (ofParts !== null) return (survey.records.get(ofParts[1] as string)?.revisions.length ?? 0) > 0;
  const operation = /^[^/]+\/_inbox\/(.*)\.json$/.exec(name)?.[1];
  const status = survey.rows('operations', `r:${operation ?? ''}`)[0]?.properties['status'];
  return operation !== undefined && status !== undefined && status !== 'succeeded';
}

/** How far something derived has come, which nobody looks for in the directory. */
const isDerived = ({ rowKey }: { readonly rowKey: string }): boolean => rowKey.startsWith('w:');

/** Tables of records and of their parts: where events are pending. */
const SEALED_TABLES: ReadonlySet<string> = new Set(RECORD_TYPES.flatMap(({ table, parts }) => [table, parts?.table ?? table])); // prettier-ignore

/** Whatever names a record of the directory's partitions can be found from it. */
export function directoryViolations(survey: Survey): string[] {
  const known = new Set(
    survey.rows('system', '').flatMap(({ partitionKey, properties }) => {
      const tenant = /^_system:partitions\.(.*)$/.exec(partitionKey)?.[1];
      return tenant === undefined
        ? []
        : [`${String(properties['table'])} ${tenant}:${String(properties['partition'])}`];
    }),
  );
  const places = new Set(
    survey.contents.rows
      .filter(
        ({ table, row }) =>
          (SEALED_TABLES.has(table) || table === 'auditevents') &&
          row.properties['void'] !== true &&
          !isDerived(row),
      )
      .map(({ table, row }) => `${table} ${row.partitionKey}`),
  );
  return [...places]
    .filter((place) => !known.has(place))
    .map((place) => `the directory does not know ${place}`);
}

/** What tells of a revision tells of one that is there: rows of keys, and operations that succeeded. */
export function promiseViolations(survey: Survey): string[] {
  const isThere = ({ id, revision }: { readonly id: string; readonly revision: number }): boolean =>
    isDisposed(survey.records.get(id)?.row, revision) || revisionOf(survey, id, revision) !== undefined;
  const keyRows = [...SEALED_TABLES].flatMap((table) => survey.rows(table, 'k:'));
  const keys = keyRows.flatMap((row) => {
    const named = JSON.parse(String(row.properties['revisions'])) as { id: string; revision: number }[];
    if (!rowIntact(row)) return [`the key ${row.rowKey} is not what was written`];
    return named.every(isThere) ? [] : [`the key ${row.rowKey} names a revision that is not there`];
  });
  const operations = survey
    .rows('operations', 'r:')
    .filter(({ properties }) => properties['status'] === 'succeeded')
    .filter(({ properties }) => !isThere({ id: String(properties['record_id']), revision: 1 }));
  return [...keys, ...operations.map(({ rowKey }) => `${rowKey} succeeded and its record is not there`)];
}

/** Nothing is left half done: no pending row, no dirty row. */
export function restViolations(survey: Survey): string[] {
  return survey.contents.rows.flatMap(({ table, row }) => {
    if (row.rowKey.startsWith('o:'))
      return [`${row.rowKey} is still pending in ${table} ${row.partitionKey}`];
    if (table === 'system' && row.partitionKey.startsWith('_system:dirty-'))
      return [`${row.rowKey} is still dirty`];
    return [];
  });
}
