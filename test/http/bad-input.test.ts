import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { RecordType } from '../../src/domain/record-type.js';
import { RECORD_TYPES } from '../../src/records/registry.js';
import { newTenant } from '../support/decisions.js';
import { httpHost, type HttpHost } from '../support/http-harness.js';
import { inputFaults, textOf } from '../support/input-faults.js';
import { openStorage, STORAGES } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';
import { bodyOf, putOf } from '../support/subjects.js';
import { watched } from '../support/watched-ports.js';
import { describeBadInput } from './bad-input-suite.js';

describeBadInput(RECORD_TYPES);

/** What a rule across members refuses; no schema says it, so each type has its rows here. */
interface Row {
  readonly what: string;
  /** `create`, `put`, `patch`, or a path below the record. */
  readonly to: string;
  /** Members beside those of the example where a whole record is submitted, else the body. */
  readonly body: object;
  readonly pointer: string;
  /** What is added to the record before. */
  readonly before?: readonly (readonly [path: string, body: object])[];
}

const inAnHour = new Date(Date.now() + 3_600_000).toISOString();
const vote = { agent: 'cfo', vote: 'approve', confidence: 1 };
const conditional = { ...vote, vote: 'approve_with_conditions', conditions: [] };
const task = { task_id: 'a', status: 'running' };
const step = { step_id: 'a', status: 'completed' };

const principle = { principle_id: 'P1', name: 'Openness', statement: 'All is open.' };
const message = { message_id: 'a', sender: 'ceo', content: 'Good morning.' };
const typeOf = (name: string) => RECORD_TYPES.find(({ recordType }) => recordType === name) as RecordType;

const ROWS: Readonly<Record<string, readonly Row[]>> = {
  decision: [
    { what: 'an end of what has not ended', to: 'create', body: { completed_at: '2026-01-01T00:00:00Z' }, pointer: '/completed_at' },
    { what: 'an end before the beginning', to: 'create', body: { status: 'failed', created_at: '2026-01-02T00:00:00Z', completed_at: '2026-01-01T00:00:00Z' }, pointer: '/completed_at' },
    { what: 'two votes of one agent', to: 'create', body: { agent_votes: [vote, { ...vote, agent: 'ceo' }, vote] }, pointer: '/agent_votes/2/agent' },
    { what: 'conditions that are not said', to: 'create', body: { agent_votes: [vote, { ...conditional, agent: 'ceo' }] }, pointer: '/agent_votes/1/conditions' },
    { what: 'conditions that are not said', to: 'votes', body: conditional, pointer: '/conditions' },
    { what: 'an outcome of nothing', to: 'outcome', body: { decision: ' ', confidence: 1 }, pointer: '/decision' },
  ],
  agent_state: [
    { what: 'a task twice', to: 'create', body: { tasks: [task, { ...task, task_id: 'b' }, task] }, pointer: '/tasks/2/task_id' },
    { what: 'a task twice', to: 'put', body: { tasks: [task, task] }, pointer: '/tasks/1/task_id' },
    { what: 'a task twice', to: 'patch', body: { tasks: [1, 2].map(() => ({ ...task, started_at: '2026-01-01T00:00:00Z' })) }, pointer: '/tasks/1/task_id' },
  ],
  workflow_execution: [
    { what: 'an end before the beginning', to: 'steps', body: { ...step, started_at: '2026-01-02T00:00:00Z', completed_at: '2026-01-01T00:00:00Z' }, pointer: '/completed_at' },
    { what: 'an end before the beginning that was said before', to: 'steps', before: [['steps', { ...step, status: 'running', started_at: '2026-01-02T00:00:00Z' }]], body: { ...step, completed_at: '2026-01-01T00:00:00Z' }, pointer: '/completed_at' },
    { what: 'an end of what runs', to: 'steps', body: { ...step, status: 'running', completed_at: '2026-01-02T00:00:00Z' }, pointer: '/completed_at' },
    { what: 'a step too many', to: 'steps', before: [1, 2, 3].map((n) => ['steps', { ...step, step_id: String(n) }] as const), body: step, pointer: '/step_id' },
    { what: 'an error of what has not failed', to: 'patch', body: { error_info: { code: 'E', message: 'm', retryable: false } }, pointer: '/error_info' },
  ],
  covenant: [
    { what: 'a principle twice', to: 'create', body: { principles: [principle, { ...principle, name: 'Candour' }] }, pointer: '/principles/1/principle_id' },
    { what: 'an end before the beginning', to: 'create', body: { verification: { verified_at: '2026-01-02T00:00:00Z', expires_at: '2026-01-01T00:00:00Z' } }, pointer: '/verification/expires_at' },
    { what: 'a version that is not higher', to: 'versions', body: { ...(typeOf('covenant').example as object), version: '1.0' }, pointer: '/version' },
    { what: 'recognized in an hour', to: 'recognitions', body: { peer: 'x', recognized_at: inAnHour }, pointer: '/recognized_at' },
  ],
  conversation: [
    { what: 'a participant twice', to: 'create', body: { participants: ['ceo', 'cfo', 'ceo'] }, pointer: '/participants/2' },
    { what: 'a message twice', to: 'create', body: { messages: [message, message] }, pointer: '/messages/1/message_id' },
    { what: 'a message that is still to come', to: 'create', body: { messages: [{ ...message, timestamp: inAnHour }] }, pointer: '/messages/0/timestamp' },
    { what: 'a message that is still to come', to: 'messages', body: { ...message, timestamp: inAnHour }, pointer: '/timestamp' },
    { what: 'an edit of no message', to: 'edits', body: { message_id: 'none', sender: 'ceo', content: 'x' }, pointer: '/message_id' },
    { what: 'a reaction to no message', to: 'reactions', body: { message_id: 'none', sender: 'ceo', reaction: 'x' }, pointer: '/message_id' },
  ],
  metric: [
    { what: 'a value that is still to come', to: 'values', body: { values: [{ value: 1 }, { value: 1, timestamp: inAnHour }] }, pointer: '/values/1/timestamp' },
    { what: 'history that is still to come', to: 'create', body: { historical_values: [{ value: 1 }, { value: 1, timestamp: inAnHour }] }, pointer: '/historical_values/1/timestamp' },
  ],
}; // prettier-ignore

describe.each(STORAGES)('rules across members $name', (kind) => {
  let storage: StorageUnderTest;
  let host: HttpHost;
  const changes: string[] = [];
  beforeAll(async () => {
    storage = await openStorage(kind);
    host = httpHost(watched(storage.ports, changes));
  });
  afterAll(() => storage.close());

  it('are tried for every record type', () => {
    expect(RECORD_TYPES.filter(({ recordType }) => ROWS[recordType] === undefined)).toEqual([]);
  });

  const rows = RECORD_TYPES.flatMap((type) => (ROWS[type.recordType] ?? []).map((row) => ({ ...row, type, of: type.recordType }))); // prettier-ignore
  it.each(rows)('$of, $to: $what', async ({ type, to, body, pointer, before = [] }) => {
    const tenant = newTenant();
    const { collection } = type;
    const made = await host.post(`/${collection}`, bodyOf(type), { tenant });
    const at = `/${collection}/${made.envelope.id}`;
    for (const [path, addition] of before) expect((await host.post(`${at}/${path}`, addition, { tenant })).status).toBe(200); // prettier-ignore
    changes.length = 0;
    const { method, path, sent } = requestOf(type, at, to, body);
    const reply = await host.request(method, path, { body: sent, tenant, ...(to === 'patch' ? { ifMatch: made.etag } : {}) }); // prettier-ignore
    expect([reply.status, reply.code], reply.text).toEqual([422, 'record-invalid']);
    expect([reply.pointers, changes]).toEqual([[pointer], []]);
    const { items } = (await host.get(`/${collection}`, { tenant })).page;
    expect(items.map(({ id, revision }) => [id, revision])).toEqual([[made.envelope.id, 1]]);
  });
});

function requestOf(type: RecordType, at: string, to: string, body: object) {
  const { collection } = type;
  if (to === 'create') return { method: 'POST', path: `/${collection}`, sent: { ...bodyOf(type), ...body } };
  if (to === 'patch') return { method: 'PATCH', path: at, sent: body };
  if (to !== 'put') return { method: 'POST', path: `${at}/${to}`, sent: body };
  const put = putOf(type, 'name');
  return { method: 'PUT', path: `/${collection}${put.path}`, sent: { ...put.body, ...body } };
}

describe('the generator of bad input', () => {
  const schema = z.strictObject({ text: z.string(), list: z.array(z.enum(['a', 'b'])).min(1).optional(), share: z.number().max(1), free: z.record(z.string(), z.unknown()).default({}) }); // prettier-ignore
  const faults = inputFaults(schema, { text: 'x', share: 0.5 });
  const accepted = faults.filter(({ body }) => schema.safeParse(JSON.parse(textOf(body))).success);

  it('tells what a careless schema takes', () => {
    const taken = accepted.map(({ what, pointer }) => `${what} ${pointer}`);
    expect(taken).toEqual(expect.arrayContaining(['too long /text', 'too many items /list', 'not finite /free/free'])); // prettier-ignore
  });

  it('tries every member, those of lists and those that the example leaves out', () => {
    const said = faults.map(({ what, pointer }) => `${what} ${pointer}`);
    expect(said).toEqual(
      expect.arrayContaining(['missing /text', 'of another type /text', 'null /list', 'too few items /list', 'an unknown value /list/0', 'above its maximum /share', 'not finite /share', 'an unknown member /no_such_member', 'a reserved member /free/$commitment', 'null ']), // prettier-ignore
    );
    expect(textOf(faults.find(({ what }) => what === 'not finite')?.body)).toMatch(/:1e999[,}]/);
  });
});
