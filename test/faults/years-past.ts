import type { RecordType } from '../../src/domain/record-type.js';
import type { Platform } from '../../src/platform.js';
import { agentStateType } from '../../src/records/agent-state.js';
import { conversationType } from '../../src/records/conversation.js';
import { covenantType } from '../../src/records/covenant.js';
import { decisionType } from '../../src/records/decision.js';
import { metricType } from '../../src/records/metric.js';
import { workflowExecutionType } from '../../src/records/workflow-execution.js';
import type { WrittenRecord } from '../../src/storage/manager-types.js';
import { callOf, type Kept } from './years-facts.js';

export const TENANTS = ['acme', 'zeta'] as const;
/** People whose erasure may be asked for; both tenants know somebody of the first name. */
export const PEOPLE = ['nora quist', 'omar reyes'] as const;
/** Two decisions of that much, with a vote each, are a pack. */
const HUGE = 'At length. '.repeat(3500);
const [NORA, OMAR] = PEOPLE;

/** Something of every type from the beginning of the years, about one person, about both and about nobody. */
export async function pastOf(platform: Platform, nowMs: () => number): Promise<readonly Kept[]> {
  const { manager, sealer } = platform;
  const all: Kept[] = [];
  const made = async (type: RecordType, body: object, of: { readonly tenant?: string; readonly people?: readonly string[]; readonly whole?: boolean } = {}): Promise<Kept> => {
    const { tenant = TENANTS[0], people = [], whole = false } = of;
    const { envelope } = await manager.create(type, body, callOf(tenant, 'ada', 'past'));
    const kept = { id: envelope.id, type, tenant, people, whole, sinceMs: type === agentStateType || type === covenantType ? undefined : nowMs(), told: new Map([[1, envelope.checksum]]) };
    all.push(kept);
    return kept;
  }; // prettier-ignore
  const again = async ({ told }: Kept, change: (etag: string) => Promise<WrittenRecord>, etag: string): Promise<string> => {
    const { envelope, etag: next } = await change(etag);
    told.set(envelope.revision, envelope.checksum);
    return next;
  }; // prettier-ignore
  const etagOf = async ({ id, type, tenant }: Kept): Promise<string> => (await manager.get(type, id, callOf(tenant, 'ada', 'past'))).etag; // prettier-ignore
  const call = callOf(TENANTS[0], 'ada', 'past');
  const decision = { decision_type: 'strategic', title: 'Open a warehouse', inputs: { context: HUGE } };
  for (const people of [[NORA], [OMAR], []]) {
    // What is voted on is small, and packed with the others.
    const about = people.length === 0 ? { inputs: {} } : { metadata: { subject_id: people[0] } };
    const kept = await made(decisionType, { ...decision, ...about }, { people });
    const vote = { agent: 'planner', vote: 'approve', confidence: 1 };
    await again(kept, () => manager.act(decisionType, kept.id, 'votes', vote, undefined, call), '');
  }
  for (const [tenant, participants] of [[TENANTS[0], [NORA]], [TENANTS[0], [NORA, OMAR]], [TENANTS[1], [NORA]]] as const) {
    const body = { conversation_type: 'boardroom', participants };
    const { id } = await made(conversationType, body, { tenant, people: participants, whole: participants.length === 1 });
    const message = { sender: participants.at(-1), content: `It is me, ${String(participants.at(-1))}.` };
    await manager.addPart(conversationType, id, 'messages', message, undefined, callOf(tenant, participants[0], 'past'));
  } // prettier-ignore
  await made(decisionType, { decision_type: 'strategic', title: 'Elsewhere', metadata: { subject_id: NORA } }, { tenant: TENANTS[1], people: [NORA] }); // prettier-ignore
  const run = await made(workflowExecutionType, { workflow_name: 'review', version: '1', total_steps: 1 });
  const running = await again(run, (etag) => manager.patch(run.type, run.id, { status: 'running' }, etag, call), await etagOf(run)); // prettier-ignore
  await manager.addPart(run.type, run.id, 'steps', { step_id: 'one', status: 'completed', output: {} }, undefined, call); // prettier-ignore
  await again(run, (etag) => manager.patch(run.type, run.id, { status: 'completed' }, etag, call), running);
  const agent = await made(agentStateType, agentStateType.example as object);
  let etag = await etagOf(agent);
  for (const current_load of [0.1, 0.2])
    etag = await again(agent, (now) => manager.patch(agent.type, agent.id, { current_load }, now, call), etag); // prettier-ignore
  const metric = await made(metricType, metricType.example as object);
  await manager.addPart(metricType, metric.id, 'values', { values: [{ value: 2 }] }, undefined, call);
  await made(covenantType, covenantType.example as object);
  for (const tenant of TENANTS) await sealer.sealTenant(tenant);
  return all;
}
