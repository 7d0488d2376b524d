import { beforeEach, describe, expect, it } from 'vitest';
import type { Erasure } from '../../src/domain/erasure.js';
import { conversationType } from '../../src/records/conversation.js';
import { decisionType } from '../../src/records/decision.js';
import { ERASURES_TABLE } from '../../src/storage/erasure-rows.js';
import type { RowOperation } from '../../src/storage/ports.js';
import { caller } from '../support/platform.js';
import type { Intercept, PortCall } from '../support/wrap-ports.js';
import { BODY, Died, World } from './support.js';

const MANY = 90;
/** Conversations that go in one step of the job; and when time is up from the beginning. */
const STEP = 40;
const LEAST = 4;
const call = caller();

let world: World;
let ids: readonly string[];
let decision: string;
let erasure: Erasure;

/** A person with many conversations of their own, named in a decision as well, who is to be erased. */
beforeEach(async () => {
  world = new World();
  const { manager, jobs, erasures } = world.host();
  const talk = { conversation_type: 'user_to_agent', participants: ['p-1'] };
  const made: string[] = [];
  for (let from = 0; from < MANY; from += 45) {
    const { items } = await manager.createBatch(conversationType, Array<unknown>(45).fill(talk), call);
    made.push(...items.map(({ id }) => id));
  }
  ids = made.sort();
  ({ id: decision } = (await manager.create(decisionType, { ...BODY, metadata: { subject_id: 'p-1' } }, call)).envelope); // prettier-ignore
  await jobs.start('index-subjects');
  ({ erasure } = await erasures.request({ subject: 'p-1', reason: 'A request.' }, undefined, call));
});

const seen = (): Promise<Erasure> => world.host().erasures.get(erasure.erasure_id, call);
const gone = (): number => world.rows('r:', 'conversations').filter(({ properties }) => properties['tombstone'] === true).length; // prettier-ignore
const isCertificate = ({ port, method, args }: PortCall): boolean =>
  port === 'tables' && method === 'commit' && args[0] === ERASURES_TABLE;

/** Lets the time of a run be up as soon as an erasure has said how far it is. */
const hurried: Intercept = async (one, run) => {
  const answer = await run();
  if (isCertificate(one)) world.clock.pass(20_000);
  return answer;
};

const erase = (intercept?: Intercept) => world.host(intercept).jobs.start('erase');

describe('the erasure of somebody with many conversations', () => {
  it('goes in steps, each of which says how far it came', async () => {
    const steps: number[] = [];
    for (let outcome = ''; outcome !== 'done';) {
      ({ outcome } = await erase(hurried));
      steps.push(gone());
    }
    // The last run looks behind the end.
    expect(steps).toEqual([LEAST, LEAST + STEP, LEAST + 2 * STEP, MANY, MANY]);
    const { state, certificate } = await seen();
    expect([state, certificate?.deleted, certificate?.records]).toEqual(['provisional', { conversations: MANY }, { conversations: MANY, decisions: 1 }]); // prettier-ignore
  });

  it('looks at nothing again that went before a host died', async () => {
    let saved = 0;
    const dying: Intercept = async (one, run) => {
      if (saved >= 2) throw new Died('the process is no more');
      const answer = await run();
      const operations = isCertificate(one) ? (one.args[2] as readonly RowOperation[]) : [];
      if (operations.some((each) => each.kind === 'replace' && each.properties['disposed'] !== undefined)) saved += 1; // prettier-ignore
      return answer;
    };
    await expect(erase(dying)).rejects.toThrow(Died);
    expect(gone()).toBe(2 * STEP);
    const read = new Set<string>();
    // The claim of the dead is over by then.
    world.clock.pass(180_000);
    const watched: Intercept = (one, run) => {
      if (one.method === 'find') read.add(String(one.args[2]));
      return run();
    };
    expect((await erase(watched)).outcome).toBe('done');
    expect(ids.filter((id) => read.has(`r:${id}`))).toEqual(ids.slice(2 * STEP));
    expect((await seen()).certificate?.deleted).toEqual({ conversations: MANY });
  });

  it('counts what went although nobody was told', async () => {
    let disposed = 0;
    const dying: Intercept = async (one, run) => {
      if (disposed >= 10) throw new Died('the process is no more');
      const answer = await run();
      const operations = one.method === 'commit' ? (one.args[2] as readonly RowOperation[]) : [];
      if (operations.some((each) => each.kind === 'replace' && each.properties['tombstone'] === true)) disposed += 1; // prettier-ignore
      return answer;
    };
    await expect(erase(dying)).rejects.toThrow(Died);
    expect(gone()).toBeGreaterThan(0);
    world.clock.pass(180_000);
    expect((await erase()).outcome).toBe('done');
    expect((await seen()).certificate?.deleted).toEqual({ conversations: MANY });
  });

  it('stops for a hold on anything about them that comes between two steps, and goes on after it', async () => {
    await erase(hurried);
    await erase(hurried);
    expect(gone()).toBe(LEAST + STEP);
    const { holds } = world.host();
    const scope = { record: { collection: 'decisions', id: decision } };
    const { hold } = await holds.place({ scope, reason: 'A case.' }, call);
    expect((await erase()).outcome).toBe('done');
    expect([gone(), await seen()]).toMatchObject([LEAST + STEP, { state: 'pending', waiting_for: 'hold' }]);
    await holds.release(hold.hold_id, { reason: 'It is over.' }, call);
    await erase();
    expect(await seen()).toMatchObject({ state: 'provisional', certificate: { deleted: { conversations: MANY } } }); // prettier-ignore
    expect(gone()).toBe(MANY);
  });
});
