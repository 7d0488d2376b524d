import { isAppError, type ErrorCode } from '../../src/domain/errors.js';
import { ERASURE_TYPE } from '../../src/domain/erasure.js';
import { isTiered } from '../../src/domain/tiering.js';
import { decisionType } from '../../src/records/decision.js';
import type { CallContext } from '../../src/storage/manager-types.js';
import { START_MS, type SimulatedHost } from './simulation-host.js';
import type { Random } from './simulation-random.js';
import type { World } from './simulation-world.js';
import { callOf, DAY, lastTold, type Kept } from './years-facts.js';
import { PEOPLE, TENANTS } from './years-past.js';
import type { YearsWatch } from './years-watch.js';

/** What everybody in a schedule of years has in common. */
export interface Scene {
  readonly world: World;
  readonly watch: YearsWatch;
  readonly random: Random;
  readonly choose: () => SimulatedHost;
  /** Holds that somebody was told of, and nobody has been told that they are released. */
  readonly holds: Map<string, string>;
  /** Erasures that somebody was told of. */
  readonly erasures: Map<string, { readonly tenant: string; readonly person: string }>;
}

const BUSY: readonly ErrorCode[] = ['storage-unavailable', 'idempotency-in-progress'];
const MAY_BE_ARCHIVED_DAYS = 90;
/** Of a type that is cached, what another process has changed may be shown for so long. */
const CACHED_MS = 60_000;

type Act = (scene: Scene, name: string) => Promise<unknown>;

/** Asks for something once; what is refused for a reason that is allowed, or not answered, resolves to undefined. */
async function once<T>({ world }: Scene, what: string, host: SimulatedHost, work: () => Promise<T>, allowed: readonly ErrorCode[] = []): Promise<T | undefined> {
  try {
    return await world.ask(host, work);
  } catch (error) {
    world.facts.judge(what, error, [...BUSY, ...allowed]);
    return undefined;
  }
} // prettier-ignore

const keyed = (call: CallContext, name: string): CallContext => ({ ...call, idempotency: { key: name, scope: name, fingerprint: name } }); // prettier-ignore

/** A record is shown as it was told of, until it is disposed of, and then never again; archived only once it is due. */
async function read(scene: Scene, kept: Kept, host: SimulatedHost): Promise<void> {
  const { world, watch } = scene;
  const { id, type, tenant, told } = kept;
  const beganMs = world.timeline.nowMs;
  const least = lastTold(kept);
  try {
    const { envelope } = await world.ask(host, () => host.platform.manager.get(type, id, callOf(tenant, 'reader', 'read'))); // prettier-ignore
    const gone = watch.gone.get(id);
    if (gone !== undefined && gone.atMs + (type.cache === undefined ? 0 : CACHED_MS) < beganMs) watch.violate(`${id} is shown after it was disposed of`); // prettier-ignore
    if (envelope.revision < least && type.cache === undefined) watch.violate(`${id} is shown as of revision ${String(envelope.revision)}`); // prettier-ignore
    const known = told.get(envelope.revision);
    // What entries bring to a record is not in its checksum.
    if (known !== undefined && known !== envelope.checksum && type.parts === undefined) watch.violate(`${id} is shown otherwise than it was told of`); // prettier-ignore
  } catch (error) {
    if (isAppError(error, 'record-erased') && watch.gone.has(id)) return;
    const ageMs = START_MS + world.timeline.nowMs - (kept.sinceMs ?? START_MS);
    if (isAppError(error, 'record-archived') && isTiered(type) && ageMs >= MAY_BE_ARCHIVED_DAYS * DAY) return;
    world.facts.judge(`a read of ${id}`, error, BUSY);
  }
}

const reads: Act = (scene) => read(scene, scene.random.pick([...scene.watch.records.values()]), scene.choose()); // prettier-ignore

/** Somebody votes on a decision that nobody's erasure is about, while it is moved and disposed of. */
const votes: Act = async (scene, name) => {
  const { watch, random } = scene;
  const kept = random.pick([...watch.records.values()].filter(({ type, people }) => type === decisionType && people.length === 0)); // prettier-ignore
  const host = scene.choose();
  const vote = { agent: random.pick(['planner', 'auditor']), vote: 'approve', confidence: 1 };
  const call = keyed(callOf(kept.tenant, 'ada', name), name);
  const work = () => host.platform.manager.act(decisionType, kept.id, 'votes', vote, undefined, call);
  const gone: ErrorCode[] = watch.records.size > 0 ? ['record-erased', 'record-archived', 'transition-not-allowed'] : []; // prettier-ignore
  const done = await once(scene, `the vote ${name}`, host, work, gone);
  if (done !== undefined) kept.told.set(done.envelope.revision, done.envelope.checksum);
};

/** Somebody has a record, everything about a person or a collection kept. */
const places: Act = async (scene, name) => {
  const { random, watch, holds } = scene;
  const kept = random.pick([...watch.records.values()].filter(({ tenant }) => tenant === TENANTS[0]));
  const scope = random.pick([
    { record: { collection: kept.type.collection, id: kept.id } },
    { subject: random.pick(PEOPLE) },
    { query: { collection: random.pick(['decisions', 'conversations', 'agents']), all: true } },
  ]);
  const host = scene.choose();
  const call = keyed(callOf(TENANTS[0], 'olga', name), name);
  const work = () => host.platform.holds.place({ scope, reason: 'A case.' }, call);
  // There is nothing to hold of a record that is gone.
  const done = await once(scene, `the hold ${name}`, host, work, ['record-erased', 'record-not-found']);
  if (done !== undefined) holds.set(done.hold.hold_id, TENANTS[0]);
};

export async function release(scene: Scene, id: string, name: string, host = scene.choose()): Promise<void> {
  const tenant = scene.holds.get(id) ?? '';
  const work = () => host.platform.holds.release(id, { reason: 'Over.' }, callOf(tenant, 'olga', name));
  if ((await once(scene, `the release ${name}`, host, work, ['transition-not-allowed'])) !== undefined) scene.holds.delete(id); // prettier-ignore
}

const releases: Act = async (scene, name) => {
  const [id] = [...scene.holds.keys()];
  if (id !== undefined) await release(scene, id, name);
};

const erases: Act = async (scene, name) => {
  const person = scene.random.pick(PEOPLE);
  const host = scene.choose();
  const call = keyed(callOf(TENANTS[0], 'olga', name), name);
  const work = () =>
    host.platform.erasures.request({ subject: person, reason: 'A request.' }, undefined, call);
  const done = await once(scene, `the ${ERASURE_TYPE} ${name}`, host, work, ['record-on-hold']);
  if (done !== undefined) scene.erasures.set(done.erasure.erasure_id, { tenant: TENANTS[0], person });
};

const bringsBack: Act = async (scene, name) => {
  const { watch, random } = scene;
  const kept = random.pick([...watch.records.values()].filter(({ type }) => type === decisionType));
  const host = scene.choose();
  const work = () => host.platform.rehydrator.request(kept.type, kept.id, random.pick(['standard', 'high']), callOf(kept.tenant, 'ada', name)); // prettier-ignore
  await once(scene, `bringing ${kept.id} back`, host, work, ['transition-not-allowed', 'record-erased']);
};

const ACTS: readonly Act[] = [reads, reads, reads, votes, votes, places, releases, erases, bringsBack, bringsBack]; // prettier-ignore

/** Somebody who does so many things within a time. */
export async function client(scene: Scene, name: string, acts: number, withinMs: number): Promise<void> {
  for (let act = 1; act <= acts; act += 1) {
    await scene.world.timeline.sleep(scene.random.below(withinMs / acts));
    await scene.random.pick(ACTS)(scene, `${name}${String(act)}`);
  }
}

export { read };
