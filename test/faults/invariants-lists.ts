import { decisionType } from '../../src/records/decision.js';
import type { Platform } from '../../src/platform.js';
import type { Survey, SurveyedRecord } from './invariants-survey.js';

type Filters = Readonly<Record<string, string>>;

const FILTERS = ['status', 'decision_type', 'created_by'] as const;

/** Lists by every filter, and by every two of them, show what a model of them shows; so does the list of events. */
export async function listViolations(platform: Platform, survey: Survey): Promise<string[]> {
  const found: string[] = [];
  const records = [...survey.records.values()].filter(
    ({ table, revisions }) => table === 'decisions' && revisions.length > 0,
  );
  for (const tenant of new Set(records.map((record) => record.tenant))) {
    const own = records.filter((record) => record.tenant === tenant);
    for (const filters of filtersOf(own)) {
      const expected = own.filter((record) => fits(record, filters)).sort(newestFirst);
      const ids = await walk((cursor) =>
        platform.manager.list(decisionType, { filters, limit: 5, cursor }, callOf(tenant)),
      );
      if (ids.join() !== expected.map(({ id }) => id).join())
        found.push(
          `the list of ${tenant} by ${JSON.stringify(filters)} shows ${ids.join()}, not ${expected.map(({ id }) => id).join()}`,
        );
    }
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

function filtersOf(records: readonly SurveyedRecord[]): readonly Filters[] {
  const single = FILTERS.flatMap((name) =>
    [...new Set(records.map((record) => currentOf(record, name)))].map((value): Filters => ({
      [name]: value,
    })),
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

/** By time of creation, the newest first; of equals, by id. */
function newestFirst(a: SurveyedRecord, b: SurveyedRecord): number {
  const [one, other] = [a, b].map((record) => Date.parse(currentOf(record, 'created_at'))) as [
    number,
    number,
  ];
  return other - one || (a.id < b.id ? -1 : 1);
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
