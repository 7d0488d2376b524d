import { isDeepStrictEqual } from 'node:util';
import { decisionType } from '../../src/records/decision.js';
import { revisionEtag } from '../../src/storage/etag.js';
import { QUEUES, SYSTEM_TENANT } from '../../src/storage/keys.js';
import { BEFORE } from './simulation-names.js';
import type { Survey, SurveyedRevision } from './invariants-survey.js';
import type { Act, Told } from './simulation-acts.js';
import type { ActState, Facts } from './simulation-facts.js';

const KEY_KEPT_MS = 4 * 24 * 3_600_000;

type Data = Readonly<Record<string, unknown>>;

/** Holds everything that clients were told against what storage holds in the end. */
export function verdictOf(facts: Facts, survey: Survey): string[] {
  const done = new Map<string, SurveyedRevision[]>();
  const found: string[] = [];
  for (const record of survey.records.values()) {
    if (record.table !== decisionType.table) continue;
    let before: SurveyedRevision | undefined;
    for (const revision of record.revisions) {
      const name = doerOf(revision);
      done.set(name, [...(done.get(name) ?? []), revision]);
      found.push(...contentViolations(facts, name, record.tenant, revision, before));
      before = revision;
    }
  }
  for (const state of facts.acts.values()) found.push(...actViolations(state, done, survey));
  for (const told of facts.revisions.values()) found.push(...toldViolations(told, survey));
  return [...found, ...eventViolations(facts, survey)];
}

/** Which act made a revision, by the mark it left in the content. Items of a batch are `<act>.<position>`. */
function doerOf({ action, data }: SurveyedRevision): string {
  const votes = (data?.['agent_votes'] ?? []) as readonly { readonly reasoning?: string }[];
  const outcome = data?.['outcome'] as { readonly decision?: string } | undefined;
  const metadata = data?.['metadata'] as { readonly by?: string } | undefined;
  if (action === 'vote') return votes.at(-1)?.reasoning ?? '';
  return (action === 'outcome' ? outcome?.decision : metadata?.by) ?? '';
}

const actOf = (name: string): string => name.split('.')[0] ?? '';

/** The content of a revision is what its act makes of the one before, by a model that knows nothing of the product. */
function contentViolations(
  facts: Facts,
  name: string,
  tenant: string,
  revision: SurveyedRevision,
  before: SurveyedRevision | undefined,
): string[] {
  const act = facts.acts.get(actOf(name))?.act;
  const place = `${revision.id} revision ${revision.revision}`;
  if (act === undefined) return [`${place} was made by nobody`];
  if (act.tenant !== tenant) return [`${place} of ${act.tenant} lies with ${tenant}`];
  const expected = modelOf(act, name, revision, before);
  const found: string[] = [];
  if (!isDeepStrictEqual(revision.data, expected))
    found.push(`${place} is ${JSON.stringify(revision.data)}, not ${JSON.stringify(expected)}`);
  if (
    act.ifMatch !== undefined &&
    (before === undefined || revisionEtag(before.revision, before.eventId) !== act.ifMatch)
  )
    found.push(`${name} was done to another revision than it named`);
  return found;
}

function modelOf(
  act: Act,
  name: string,
  { id, data }: SurveyedRevision,
  before: SurveyedRevision | undefined,
): Data | undefined {
  const body = act.body as Data;
  switch (act.kind) {
    case 'create':
    case 'inbox':
    case 'message':
    case 'batch': {
      const own = act.kind === 'batch' ? ((act.body as Data[])[Number(name.split('.')[1])] as Data) : body;
      // The id carries the time of creation unless the body states it.
      const created =
        own['created_at'] ??
        new Date(Number.parseInt(id.slice(4).replace('-', '').slice(0, 12), 16)).toISOString();
      return {
        status: 'queued',
        inputs: {},
        agent_votes: [],
        created_by: act.actor,
        ...own,
        created_at: created,
        decision_id: id,
      };
    }
    case 'vote': {
      const votes = (before?.data?.['agent_votes'] ?? []) as readonly Data[];
      const stamp = ((data?.['agent_votes'] as readonly Data[] | undefined)?.at(-1) ?? {})['timestamp'];
      const others = votes.filter(({ agent }) => agent !== body['agent']);
      return { ...before?.data, agent_votes: [...others, { conditions: [], ...body, timestamp: stamp }] };
    }
    case 'outcome':
      return { ...before?.data, outcome: { action_items: [], impact_assessment: {}, ...body } };
    case 'patch': {
      const metadata = { ...(before?.data?.['metadata'] as Data), ...(body['metadata'] as Data) };
      const final = ['completed', 'failed'].includes(String(body['status'] ?? before?.data?.['status']));
      const completed = final
        ? { completed_at: before?.data?.['completed_at'] ?? data?.['completed_at'] }
        : {};
      return { ...before?.data, ...body, metadata, ...completed };
    }
    default:
      return undefined;
  }
}

function actViolations(
  facts: ActState,
  done: ReadonlyMap<string, readonly SurveyedRevision[]>,
  survey: Survey,
): string[] {
  const { act, state, answer, code } = facts;
  const names = act.kind === 'batch' ? (act.body as Data[]).map((_, at) => `${act.name}.${at}`) : [act.name];
  const made = names.map((name) => done.get(name) ?? []);
  const found: string[] = [];
  if (made.some((revisions) => revisions.length > 1) && !redeliveredLate(act, made.flat()))
    found.push(
      `${act.name} (${act.kind}) was done ${Math.max(...made.map((revisions) => revisions.length))} times`,
    );
  if (state === 'refused' && made.flat().length > 0)
    found.push(`${act.name} (${act.kind}) was refused with ${code} and stored`);
  if (state === 'done')
    answer?.told.forEach((told, at) => {
      const revision = made[at]?.[0];
      if (revision?.id !== told.id || revision.revision !== told.revision)
        found.push(
          `${act.name} (${act.kind}) was told of ${told.id} revision ${told.revision}, which it did not make`,
        );
    });
  if (act.kind === 'inbox' || act.kind === 'message' || act.kind === 'bad-message')
    found.push(...promiseViolations(facts, made.flat(), survey));
  return found;
}

/** A message without an operation is told from its double by its key, for as long as keys are kept. */
function redeliveredLate(act: Act, made: readonly SurveyedRevision[]): boolean {
  const times = made.map(({ storedAt }) => Date.parse(storedAt)).sort((a, b) => a - b);
  return (
    act.kind === 'message' &&
    times.every((time, at) => at === 0 || time - (times[at - 1] as number) > KEY_KEPT_MS)
  );
}

/** A promised write is stored, or set aside because storage failed too often; a bad message is set aside. */
function promiseViolations(
  { act, state, answer }: ActState,
  made: readonly SurveyedRevision[],
  survey: Survey,
): string[] {
  if (state !== 'done') return [];
  const poisoned = survey.contents.messages.filter(
    ({ queue, text }) => queue === QUEUES.inboxPoison && text.includes(`"${act.name}"`),
  );
  if (act.kind === 'bad-message') return poisoned.length > 0 ? [] : [`${act.name} is nowhere`];
  if (act.kind === 'message')
    return made.length > 0 || poisoned.length > 0 ? [] : [`${act.name} was taken and lost`];
  const row = survey.rows('operations', `r:${answer?.operation ?? ''}`)[0];
  const status = row?.properties['status'];
  if (row === undefined) return [`the operation of ${act.name} is gone`];
  if (status === 'succeeded' && made[0]?.id === row.properties['record_id']) return [];
  // Ten deliveries in a row that storage failed; it may have stored the record in one of them.
  if (status === 'failed' && String(row.properties['problem']).includes('storage-unavailable')) return [];
  return [`the operation of ${act.name} ended as ${String(status)} with ${made.length} records`];
}

/** Whatever anybody was told of a revision is so. */
function toldViolations(told: Told, survey: Survey): string[] {
  const revision = survey.records.get(told.id)?.revisions[told.revision - 1];
  const place = `${told.id} revision ${told.revision}`;
  if (revision === undefined) return [`${place} was acknowledged and is lost`];
  const found: string[] = [];
  if (revision.checksum !== told.checksum || revision.storedAt !== told.storedAt)
    found.push(`${place} is not what was acknowledged`);
  if (told.data !== undefined && !isDeepStrictEqual(told.data, revision.data))
    found.push(`${place} has another content than was acknowledged`);
  if (told.etag !== undefined && told.etag !== revisionEtag(revision.revision, revision.eventId))
    found.push(`${place} has another ETag`);
  return found;
}

/** Events without a change: those that were taken are in the log once, and no others but what is foreseen. */
function eventViolations(facts: Facts, survey: Survey): string[] {
  const found: string[] = [];
  const notes = new Map<string, number>();
  const poisoned = new Map<string, number>();
  for (const [tenant, lines] of survey.log)
    for (const { event } of lines) {
      // That configurations and holds are true is an invariant of its own; additions to parts make no revision, and
      // simulation-type-facts.ts holds them to their acts.
      if (event.revision !== undefined || ['configuration.changed', 'hold.placed', 'hold.released', 'record.action'].includes(event.event_type)) continue; // prettier-ignore
      if (event.correlation_id === BEFORE) continue;
      if (event.event_type === 'external') {
        if (facts.acts.get(event.resource_id)?.act.tenant !== tenant)
          found.push(`the log of ${tenant} tells of ${event.resource_id}`);
        notes.set(event.resource_id, (notes.get(event.resource_id) ?? 0) + 1);
      } else if (event.event_type === 'message.poisoned')
        poisoned.set(event.resource_id, (poisoned.get(event.resource_id) ?? 0) + 1);
      // Checkpoints of tenants are entries of the platform's own log (test/audit/anchors holds them to what they say).
      else if (event.event_type === 'checkpoint.logged' && tenant === SYSTEM_TENANT) continue;
      // What is archived reads as before, which is an invariant of its own.
      else if (
        event.event_type === 'record.archived' &&
        survey.records.get(event.resource_id)?.tenant === tenant
      )
        continue; // prettier-ignore
      else if (event.event_type !== 'integrity.failed' || !facts.damaged)
        found.push(`a false ${event.event_type} is in the log`);
    }
  for (const { act, state } of facts.acts.values()) {
    const count = notes.get(act.name) ?? 0;
    if (act.kind === 'event' && (count > 1 || (state === 'done' && count !== 1)))
      found.push(`${act.name} is in the log ${count} times`);
  }
  for (const { text } of survey.contents.messages.filter(({ queue }) => queue === QUEUES.inboxPoison)) {
    const { message_id } = JSON.parse(text) as { message_id: string };
    if (poisoned.get(message_id) !== 1)
      found.push(`message ${message_id} was set aside with ${poisoned.get(message_id) ?? 0} events`);
  }
  return found;
}
