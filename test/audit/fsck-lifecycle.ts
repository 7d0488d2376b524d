import type { Clock } from '../../src/domain/clock.js';
import type { Platform } from '../../src/platform.js';
import { agentStateType } from '../../src/records/agent-state.js';
import { conversationType } from '../../src/records/conversation.js';
import { decisionType } from '../../src/records/decision.js';
import type { StoragePorts } from '../../src/storage/ports.js';
import { caller, testPlatform } from '../support/platform.js';
import { bodyOf } from '../support/subjects.js';

const DAY = 24 * 3_600_000;
const YEAR = 366 * DAY;
/** Three decisions of that much are a pack. */
const HUGE = 'At length. '.repeat(4000);
/** Whose erasure is provisional, complete, of nobody, and asked for. */
const PERSONS = ['p-1', 'p-2', 'p-3', 'p-4'] as const;

/** A clock that is off by so much. */
const shifted = (ms: number): Clock => ({
  now: () => Date.now() + ms,
  monotonic: () => performance.now(),
  sleep: (forMs) => new Promise((resolve) => setTimeout(resolve, forMs)),
});

/**
 * What years leave: a tombstone that is cleared and one that is not yet, a history that was cut off, a pack in the cool tier,
 * and an erasure in each state that stays, besides one that is open.
 */
export async function lifecycleIn(platform: Platform, ports: StoragePorts): Promise<void> {
  const call = caller();
  const { manager, sealer, jobs, erasures } = platform;
  const at = (ms: number): Platform => testPlatform(ports, { clock: shifted(ms) });
  const long = at(-9 * YEAR).manager;
  await long.create(decisionType, { decision_type: 'strategic', title: 'Long ago' }, call);
  const talk = await long.create(conversationType, bodyOf(conversationType), call);
  await long.addPart(conversationType, talk.envelope.id, 'messages', { sender: 'cfo', content: 'Long ago' }, undefined, call); // prettier-ignore
  // In a partition behind that of the others.
  const body = { ...bodyOf(agentStateType), role: 'zz-retired' };
  const agent = await long.create(agentStateType, body, call);
  await at(-8 * YEAR).manager.patch(agentStateType, agent.envelope.id, { current_load: 0 }, agent.etag, call);
  for (let n = 0; n < 3; n += 1)
    await at(-60 * DAY + n).manager.create(decisionType, { decision_type: 'strategic', title: 'Old', inputs: { context: HUGE } }, call); // prettier-ignore
  for (const person of PERSONS.slice(0, 2))
    await manager.create(decisionType, { decision_type: 'strategic', title: 'About', metadata: { subject_id: person } }, call); // prettier-ignore
  await sealer.sealTenant(call.tenant);
  for (const name of ['index-subjects', 'dispose', 'archive']) await through(jobs, name);
  const asked = [];
  for (const subject of [PERSONS[1], PERSONS[0], PERSONS[2]]) {
    const { erasure } = await erasures.request({ subject, reason: 'A request.' }, undefined, call);
    asked.push(erasure.erasure_id);
    await jobs.start('erase');
    if (asked.length === 1) await at(60 * DAY).jobs.start('erase');
  }
  await erasures.request({ subject: PERSONS[3], reason: 'A request.' }, undefined, call);
  const states = await Promise.all(asked.map(async (id) => (await erasures.get(id, call)).state));
  if (states.join() !== 'complete,provisional,unknown-subject') throw new Error(`erasures are ${states.join()}`); // prettier-ignore
}

async function through(jobs: Platform['jobs'], name: string): Promise<void> {
  while ((await jobs.start(name)).outcome === 'paused');
}
