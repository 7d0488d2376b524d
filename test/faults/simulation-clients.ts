import { isAppError, type ErrorCode } from '../../src/domain/errors.js';
import { draftOf, send, type Act, type ActKind } from './simulation-acts.js';
import type { Profile } from './simulation-chance.js';
import type { ActState, KnownRecord } from './simulation-facts.js';
import { Lost, type SimulatedHost } from './simulation-host.js';
import type { World } from './simulation-world.js';

/** Where a client finds a process to ask: any that is alive. */
export type Choose = () => SimulatedHost;

/** Refusals that an act may meet by what the record has become. Everything else is never right. */
const REFUSALS: Readonly<Record<ActKind, readonly ErrorCode[]>> = {
  create: [],
  batch: [],
  patch: ['version-conflict', 'transition-not-allowed', 'record-immutable'],
  vote: ['transition-not-allowed', 'version-conflict'],
  outcome: ['record-immutable', 'version-conflict'],
  inbox: [],
  message: [],
  'bad-message': [],
  event: [],
};
const UNCERTAIN: readonly ErrorCode[] = ['storage-unavailable', 'idempotency-in-progress'];
/** Keys are kept for at least four days; a client that comes later is another request. */
const KEY_KEPT_MS = 4 * 24 * 3_600_000 - 60_000;

/**
 * Does an act as the contract tells a client to: repeated with its key after `Retry-After` while the outcome is not
 * known, on whatever process answers; given up after `tries`. Without a key there is one try.
 */
export async function perform(world: World, act: Act, choose: Choose, tries: number): Promise<ActState> {
  const state = world.facts.begin(act, world.timeline.nowMs);
  await repeat(world, state, choose, tries);
  return state;
}

export async function repeat(world: World, state: ActState, choose: Choose, tries: number): Promise<void> {
  const { act } = state;
  const { facts, timeline } = world;
  const repeatable = act.key !== undefined || act.kind === 'event';
  for (let left = tries; left > 0 && timeline.nowMs - state.beganMs < KEY_KEPT_MS; left -= 1) {
    const host = choose();
    try {
      const answer = await world.ask(host, () => send(host, act));
      if (answer.replayed) world.counters.add('branch: an answer was given again');
      facts.answered(state, answer);
      return;
    } catch (error) {
      if (isAppError(error) && REFUSALS[act.kind].includes(error.code)) {
        world.counters.add('branch: a client was refused for what the record had become');
        facts.refused(state, error);
        return;
      }
      const uncertain = act.kind.endsWith('message') ? [] : UNCERTAIN;
      if (!act.kind.endsWith('message')) facts.judge(`${act.name} (${act.kind})`, error, uncertain);
      countUncertain(world, error);
      if (!repeatable) return;
      const waitS = isAppError(error) ? (error.retryAfterS ?? 1) : world.random.pick([1, 5, 30, 70]);
      // A reservation of a process that died is free after a minute.
      const patientS = isAppError(error, 'idempotency-in-progress')
        ? world.random.pick([waitS, 20, 61])
        : waitS;
      await timeline.sleep(patientS * 1000);
    }
  }
}

function countUncertain({ counters }: World, error: unknown): void {
  if (error instanceof Lost) counters.add('branch: a client had no answer');
  if (isAppError(error, 'storage-unavailable'))
    counters.add('branch: a client was told that storage does not answer');
  if (isAppError(error, 'idempotency-in-progress'))
    counters.add('branch: a client was told that its first request still runs');
}

/** Draws acts for a client. */
export class ActMaker {
  #count = 0;

  constructor(
    private readonly world: World,
    private readonly tenants: readonly string[],
    private readonly prefix: string,
    private readonly profile: Pick<Profile, 'hot' | 'sleepyWriters'>,
  ) {}

  next(host: SimulatedHost): Act {
    const { random } = this.world;
    const { hot, sleepyWriters } = this.profile;
    const name = `${this.prefix}${(this.#count += 1)}`;
    const tenant = hot || random.chance(0.8) ? (this.tenants[0] as string) : random.pick(this.tenants);
    const actor = random.pick(['ada', 'grace']);
    const keyed = random.chance(sleepyWriters ? 0.9 : 0.6) ? `key-${name}` : undefined;
    const base = { name, tenant, actor, key: keyed, target: undefined, ifMatch: undefined };
    const known = [...this.world.facts.records.values()].filter((record) => record.tenant === tenant);
    const kinds: readonly ActKind[] = known.length === 0 ? BLIND : hot ? HOT : sleepyWriters ? SLEEPY : AIMED;
    const kind = random.pick(kinds);
    const record = known.length === 0 ? undefined : random.pick(known.slice(hot ? -2 : -3));
    switch (kind) {
      case 'batch':
        return {
          ...base,
          kind,
          body: Array.from({ length: hot ? 8 : random.pick([2, 3, 14]) }, (_, at) =>
            this.#body(`${name}.${at}`),
          ),
        };
      case 'patch':
        return this.#patch(base, record as KnownRecord);
      case 'vote': {
        const body = {
          agent: random.pick(['planner', 'auditor']),
          vote: 'approve',
          confidence: 0.5,
          reasoning: name,
        };
        return { ...base, kind, target: record?.id, body, ifMatch: this.#maybe(record) };
      }
      case 'outcome':
        return {
          ...base,
          kind,
          target: record?.id,
          body: { decision: name, confidence: 1 },
          ifMatch: this.#maybe(record),
        };
      case 'event':
        return { ...base, key: undefined, kind, body: draftOf(name, tenant, actor, host) };
      case 'message':
      case 'bad-message':
        return { ...base, key: undefined, kind, body: this.#body(name) };
      default:
        return { ...base, kind, body: this.#body(name, kind === 'inbox') };
    }
  }

  #body(by: string, mayBeLarge = false): Record<string, unknown> {
    const { random } = this.world;
    const old = random.chance(0.15) ? { created_at: `2025-1${random.between(0, 2)}-15T10:00:00.000Z` } : {};
    const large = random.chance(mayBeLarge ? 0.3 : 0.02) ? { inputs: { minutes: 'x'.repeat(50_000) } } : {};
    return {
      decision_type: random.pick(['strategic', 'financial']),
      title: `Decision ${by}`,
      metadata: { by },
      ...old,
      ...large,
    };
  }

  #patch(base: Omit<Act, 'kind' | 'body'>, record: KnownRecord): Act {
    const { random } = this.world;
    const status = random.chance(0.5)
      ? { status: random.pick(['in_progress', 'in_progress', 'failed', 'completed']) }
      : {};
    // Only a POST takes a key.
    return {
      ...base,
      kind: 'patch',
      key: undefined,
      target: record.id,
      ifMatch: record.last.etag ?? '"0-none"',
      body: { ...status, metadata: { by: base.name } },
    };
  }

  #maybe(record: KnownRecord | undefined): string | undefined {
    return this.world.random.chance(0.2) ? record?.last.etag : undefined;
  }
}

const BLIND: readonly ActKind[] = [
  'create',
  'create',
  'create',
  'batch',
  'inbox',
  'message',
  'bad-message',
  'event',
];
const HOT: readonly ActKind[] = ['create', 'create', 'create', 'batch', 'vote', 'vote', 'vote', 'vote'];
const SLEEPY: readonly ActKind[] = ['create', 'create', 'create', 'batch', 'inbox', 'vote', 'vote', 'patch'];
const AIMED: readonly ActKind[] = [
  'create',
  'create',
  'batch',
  'inbox',
  'message',
  'bad-message',
  'event',
  ...Array<ActKind>(4).fill('patch'),
  ...Array<ActKind>(6).fill('vote'),
  'outcome',
];
