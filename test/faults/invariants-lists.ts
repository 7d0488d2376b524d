import type { RecordType } from '../../src/domain/record-type.js';
import type { Platform } from '../../src/platform.js';
import { RECORD_TYPES } from '../../src/records/registry.js';
import type { Survey, SurveyedRecord } from './invariants-survey.js';

type Filters = Readonly<Record<string, string>>;

/** Lists of every type by every filter, and by every two, show what a model of them shows; so does the list of events. */
export async function listViolations(platform: Platform, survey: Survey): Promise<string[]> {
  const found: string[] = [];
  const records = [...survey.records.values()].filter(({ revisions }) => revisions.length > 0);
  for (const type of RECORD_TYPES) {
    const ofType = await Promise.all(records.filter(({ table }) => table === type.table).map((record) => clear(platform, type, record))); // prettier-ignore
    for (const tenant of new Set(ofType.map((record) => record.tenant)))
      found.push(...(await listsOf(platform, type, tenant, ofType.filter((record) => record.tenant === tenant)))); // prettier-ignore
  }
  for (const [tenant, lines] of survey.log) {
    const events = await walk((cursor) =>
      platform.auditReader.list({ filters: {}, limit: 50, cursor }, callOf(tenant)),
    );
    const expected = lines.map(({ event }) => event.event_id);
    if (events.sort().join() !== expected.sort().join())
      found.push(`the list of events of ${tenant} is not the log`);
  }
  return found;
}

/** The record with its sensitive members that lists are filtered by: storage has them as nobody but the platform reads them. */
async function clear(platform: Platform, type: RecordType, record: SurveyedRecord): Promise<SurveyedRecord> {
  if (type.blindMembers.length === 0) return record;
  const call = { ...callOf(record.tenant), maySeeSensitive: true, fresh: true };
  const last = record.revisions.at(-1) as SurveyedRecord['revisions'][number];
  const { envelope } = await platform.manager.getRevision(type, record.id, last.revision, call);
  const members = Object.fromEntries(type.blindMembers.map((member) => [member, envelope.data[member]]));
  const data = { ...last.data, ...members };
  return { ...record, revisions: [...record.revisions.slice(0, -1), { ...last, data }] };
}

async function listsOf(
  platform: Platform,
  type: RecordType,
  tenant: string,
  records: readonly SurveyedRecord[],
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const filters of filtersOf(type, records)) {
    const fitting = records.filter((record) => fits(record, filters));
    const expected = fitting.sort((a, b) => newestFirst(type, a, b)).map(({ id }) => id);
    const ids = await walk((cursor) => platform.manager.list(type, { filters, limit: 5, cursor }, callOf(tenant))); // prettier-ignore
    if (ids.join() !== expected.join())
      found.push(`the list of ${type.collection} of ${tenant} by ${JSON.stringify(filters)} shows ${ids.join()}, not ${expected.join()}`); // prettier-ignore
  }
  return found;
}

function filtersOf(type: RecordType, records: readonly SurveyedRecord[]): readonly Filters[] {
  const values = (name: string): readonly string[] => records.map((record) => currentOf(record, name)).filter((value) => value !== 'undefined'); // prettier-ignore
  const single = type.filters.flatMap((name) =>
    [...new Set(values(name))].map((value): Filters => ({ [name]: value })),
  );
  const pairs = single.flatMap((one, at) =>
    single
      .slice(at + 1)
      .filter((other) => Object.keys(one)[0] !== Object.keys(other)[0])
      .map((other): Filters => ({ ...one, ...other })),
  );
  return [{}, ...single, ...pairs];
}

function currentOf(record: SurveyedRecord, member: string): string {
  return String(record.revisions.at(-1)?.data?.[member]);
}

function fits(record: SurveyedRecord, filters: Filters): boolean {
  return Object.entries(filters).every(([member, value]) => currentOf(record, member) === value);
}

/** By the time lists are ordered by, the newest first; of equals, by id, whose time is that of the first write. */
function newestFirst({ orderedBy }: RecordType, a: SurveyedRecord, b: SurveyedRecord): number {
  const [one, other] = [a, b].map((record) =>
    orderedBy === undefined ? timeOf(record.id) : Date.parse(currentOf(record, orderedBy)),
  ) as [number, number];
  return other - one || (a.id < b.id ? -1 : 1);
}

/** Milliseconds that a UUIDv7 carries. */
function timeOf(id: string): number {
  return Number.parseInt(id.slice(id.indexOf('_') + 1).replace('-', '').slice(0, 12), 16); // prettier-ignore
}

const callOf = (tenant: string): { tenant: string; actor: string; correlationId: string } => ({
  tenant,
  actor: 'auditor',
  correlationId: 'check',
});

interface AnyPage {
  readonly items: readonly object[];
  readonly nextCursor: string | null;
}

/** The ids of a list, read to its end. */
async function walk(read: (cursor: string | undefined) => Promise<AnyPage>): Promise<string[]> {
  const ids: string[] = [];
  for (let cursor: string | undefined; ;) {
    const page = await read(cursor);
    ids.push(...page.items.map((item) => String(Reflect.get(item, 'event_id') ?? Reflect.get(item, 'id'))));
    if (page.nextCursor === null) return ids;
    cursor = page.nextCursor;
  }
}
