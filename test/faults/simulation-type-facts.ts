import type { RecordType } from '../../src/domain/record-type.js';
import type { Survey, SurveyedLine } from './invariants-survey.js';

/** A revision as an answer told of it; the checksum of one that shows parts is not that of what is stored. */
export interface ToldOfType {
  readonly id: string;
  readonly revision: number;
  readonly checksum: string | undefined;
}

/** Something that a client wants done once to a record type. Every event of it carries its name. */
export interface TypeAct {
  readonly name: string;
  readonly type: RecordType;
  readonly tenant: string;
  /** `create`, `batch`, `inbox`, `put`, `patch`, or the path of an addition. */
  readonly kind: string;
  readonly target: string | undefined;
  readonly body: unknown;
  readonly keyed: boolean;
  readonly beganMs: number;
  /** Events that it makes when it is done: exactly so many, or at most. */
  readonly events: number;
  readonly exactly: boolean;
  state: 'unknown' | 'done' | 'refused';
  told: readonly ToldOfType[];
  operation: string | undefined;
}

/** A record as its clients know it. */
export interface KnownOfType {
  readonly id: string;
  readonly type: RecordType;
  readonly tenant: string;
  revision: number;
  /** Entries that were acknowledged. */
  parts: number;
}

/** What clients were told of every type but decisions, and what that obliges the platform to. */
export class TypeFacts {
  readonly #acts: TypeAct[] = [];
  readonly #records = new Map<string, KnownOfType>();

  begin(act: TypeAct): TypeAct {
    this.#acts.push(act);
    return act;
  }

  answered(act: TypeAct, told: readonly ToldOfType[], operation: string | undefined): void {
    act.state = 'done';
    act.told = told;
    act.operation = operation;
    const { type, tenant } = act;
    for (const { id, revision } of told) {
      const known = this.#records.get(id) ?? { id, type, tenant, revision, parts: 0 };
      this.#records.set(id, known);
      known.revision = Math.max(known.revision, revision);
      if (act.kind === type.parts?.path) known.parts += 1;
    }
  }

  all(): readonly KnownOfType[] {
    return [...this.#records.values()];
  }

  /** Whether an addition to a record was acknowledged. */
  wasDone(id: string, kind: string): boolean {
    return this.#acts.some((act) => act.state === 'done' && act.target === id && act.kind === kind);
  }

  recordsOf(type: RecordType, tenant: string): readonly KnownOfType[] {
    return this.all().filter((known) => known.type === type && known.tenant === tenant);
  }

  /** Holds what was told against storage in the end, by the events, which name the act that made each. */
  violations(survey: Survey): readonly string[] {
    const events = new Map<string, SurveyedLine['event'][]>();
    const found: string[] = [];
    for (const [tenant, lines] of survey.log)
      for (const { event } of lines) {
        if (!this.#isOfTypes(event)) continue;
        events.set(event.correlation_id, [...(events.get(event.correlation_id) ?? []), event]);
        const by = this.#acts.find(({ name, operation }) => [name, operation].includes(event.correlation_id));
        if (by !== undefined && by.tenant !== tenant) found.push(`${event.event_id} of ${by.tenant} is in the log of ${tenant}`); // prettier-ignore
      }
    return [...found, ...this.#acts.flatMap((act) => violationsOf(act, events, survey))];
  }

  #isOfTypes({ resource_id: id }: SurveyedLine['event']): boolean {
    return this.#acts.some(({ type }) => id.startsWith(`${type.idPrefix}_`));
  }
}

function violationsOf(
  act: TypeAct,
  events: ReadonlyMap<string, readonly SurveyedLine['event'][]>,
  survey: Survey,
): readonly string[] {
  const what = `${act.name} (${act.kind} of ${act.type.recordType})`;
  const made = events.get(act.name)?.length ?? 0;
  if (act.kind === 'inbox') return promiseViolations(act, what, events, survey);
  const found: string[] = [];
  if (made > act.events) found.push(`${what} was done ${made} times`);
  if (act.state === 'refused' && made > 0) found.push(`${what} was refused and stored`);
  if (act.state === 'done' && act.exactly && made !== act.events)
    found.push(`${what} was acknowledged and made ${made} of ${act.events} events`);
  for (const { id, revision, checksum } of act.told) {
    const stored = survey.records.get(id)?.revisions[revision - 1];
    if (stored === undefined) found.push(`${what}: ${id} revision ${revision} was acknowledged and is lost`);
    else if (act.type.parts === undefined && checksum !== undefined && stored.checksum !== checksum)
      found.push(`${what}: ${id} revision ${revision} is not what was acknowledged`);
  }
  return found;
}

/** A promise that was given is kept, once, or its operation says that storage failed too often. */
function promiseViolations(
  { operation, state }: TypeAct,
  what: string,
  events: ReadonlyMap<string, readonly SurveyedLine['event'][]>,
  survey: Survey,
): readonly string[] {
  if (state !== 'done') return [];
  const made = events.get(operation ?? '')?.length ?? 0;
  const row = survey.rows('operations', `r:${operation ?? ''}`)[0];
  const status = row?.properties['status'];
  if (status === 'succeeded' && made === 1 && survey.records.has(String(row?.properties['record_id']))) return []; // prettier-ignore
  if (status === 'failed' && made <= 1 && String(row?.properties['problem']).includes('storage-unavailable')) return []; // prettier-ignore
  return [`${what} was promised, ended as ${String(status)} and made ${made} records`];
}
