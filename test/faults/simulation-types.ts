import { isAppError, type ErrorCode } from '../../src/domain/errors.js';
import type { RecordData, RecordType } from '../../src/domain/record-type.js';
import { decisionType } from '../../src/records/decision.js';
import { RECORD_TYPES } from '../../src/records/registry.js';
import { fingerprintOf, scopeOf } from '../../src/storage/idempotency.js';
import type { CallContext } from '../../src/storage/manager-types.js';
import { add, additionsOf, bodyOf, patchOf, putOf, type Addition } from '../support/subjects.js';
import type { Choose } from './simulation-clients.js';
import { Lost, type SimulatedHost } from './simulation-host.js';
import type { Random } from './simulation-random.js';
import type { KnownOfType, ToldOfType, TypeAct, TypeFacts } from './simulation-type-facts.js';
import type { World } from './simulation-world.js';

/** Every type but decisions, which `simulation-acts.ts` does more with than their declaration tells. */
export const SIMULATED_TYPES: readonly RecordType[] = RECORD_TYPES.filter((type) => type !== decisionType);

const KEY_KEPT_MS = 4 * 24 * 3_600_000 - 60_000;
const UNCERTAIN: readonly ErrorCode[] = ['storage-unavailable', 'idempotency-in-progress'];
/** What the state of a record may refuse; a create is never refused. */
const REFUSALS: readonly ErrorCode[] = ['version-conflict', 'transition-not-allowed', 'record-immutable', 'record-invalid', 'record-exists']; // prettier-ignore

/** How an act is sent, once. */
type Send = (host: SimulatedHost, call: CallContext) => Promise<Answer>;

interface Answer {
  readonly told: readonly ToldOfType[];
  readonly operation?: string;
}

/** A client that does to every type whatever its declaration says can be done, and reads what it was told of. */
export async function typeClient(world: World, random: Random, tenants: readonly string[], choose: Choose) {
  for (let left = random.between(4, 8), number = 1; left > 0; left -= 1, number += 1) {
    await world.timeline.sleep(random.below(random.pick([5, 500, 60_000])));
    const { act, send } = drawn(world, random, random.pick(tenants), `t${String(number)}`);
    await perform(world, random, act, send, choose);
    if (random.chance(0.5)) await readSomething(world, random, choose());
  }
}

function drawn(world: World, random: Random, tenant: string, name: string): { act: TypeAct; send: Send } {
  const type = random.pick(SIMULATED_TYPES);
  const known = world.facts.types.recordsOf(type, tenant);
  const target = known.length === 0 ? undefined : random.pick(known.slice(-3));
  const base = { name, type, tenant, beganMs: world.timeline.nowMs, exactly: true };
  const ways = target === undefined ? [] : additionsOf(type);
  const acts: (() => { act: Omit<TypeAct, 'state' | 'told' | 'operation'>; send: Send })[] = [
    () => creating(base),
    () => batching(base),
    () => promising(base),
    ...(type.named === undefined ? [] : [() => putting(base, random.pick(['one', 'other']))]),
    ...(target === undefined ? [] : [() => patching(base, target.id)]),
    ...ways.flatMap((way) => Array(isWaitedFor(way, ways) ? 10 : 2).fill(() => adding(base, target?.id ?? '', way)) as (() => ReturnType<typeof adding>)[]), // prettier-ignore
  ];
  const due = dueOf(world.facts.types, known, ways);
  const next = due.length > 0 && random.chance(0.6) ? random.pick(due) : undefined;
  const { act, send } = next === undefined ? random.pick(acts)() : adding(base, next.id, next.way);
  const keyed = act.kind !== 'put' && act.kind !== 'patch' && random.chance(0.7);
  return {
    act: world.facts.types.begin({ ...act, keyed, state: 'unknown', told: [], operation: undefined }),
    send,
  };
}

/** What another way comes after is done by others, now and then: it is tried more often. */
const isWaitedFor = (way: Addition, ways: readonly Addition[]): boolean =>
  ways.some(({ after }) => after.some(({ path }) => path === way.path));

/** Ways to add to known records that come after others, which were done, and were not done themselves. */
function dueOf(types: TypeFacts, known: readonly KnownOfType[], ways: readonly Addition[]) {
  return ways
    .filter(({ after }) => after.length > 0)
    .flatMap((way) => known.map(({ id }) => ({ way, id })))
    .filter(({ way, id }) => !types.wasDone(id, way.path) && way.after.every(({ path }) => types.wasDone(id, path))); // prettier-ignore
}

type Base = Pick<TypeAct, 'name' | 'type' | 'tenant' | 'beganMs' | 'exactly'>;
type Drawn = { readonly act: Omit<TypeAct, 'state' | 'told' | 'operation'>; readonly send: Send };

function creating(base: Base): Drawn {
  const body = bodyOf(base.type, base.name);
  const act = { ...base, kind: 'create', events: 1, body, target: undefined, keyed: false };
  return {
    act,
    send: async ({ platform }, call) => toldOf(await platform.manager.create(base.type, body, call)),
  };
}

function batching(base: Base): Drawn {
  const body = [1, 2, 3].map((at) => bodyOf(base.type, `${base.name}.${String(at)}`));
  const act = { ...base, kind: 'batch', events: body.length, body, target: undefined, keyed: false };
  const send: Send = async ({ platform }, call) => {
    const { items } = await platform.manager.createBatch(base.type, body, call);
    return { told: items.map(({ id, revision, checksum }) => ({ id, revision, checksum })) };
  };
  return { act, send };
}

function promising(base: Base): Drawn {
  const body = bodyOf(base.type, base.name);
  const act = { ...base, kind: 'inbox', events: 0, body, target: undefined, keyed: false };
  const send: Send = async ({ platform }, call) => {
    const { operation } = await platform.inbox.accept(base.type, body, call);
    return { told: [], operation: operation.operation_id };
  };
  return { act, send };
}

function putting(base: Base, name: string): Drawn {
  const { at, body } = putOf(base.type, name);
  const act = { ...base, kind: 'put', events: 1, body, target: undefined, keyed: false };
  return {
    act,
    send: async ({ platform }, call) => toldOf(await platform.manager.put(base.type, at, body, {}, call)),
  };
}

function patching(base: Base, id: string): Drawn {
  const act = { ...base, kind: 'patch', events: 1, body: {}, target: id, keyed: false };
  const send: Send = async ({ platform, clock }, call) => {
    const { envelope, etag } = await platform.manager.get(base.type, id, { ...call, fresh: true });
    const patch = patchOf(
      base.type,
      envelope.data,
      Math.max(clock.now(), Date.parse(envelope.stored_at) + 1),
    );
    return toldOf(await platform.manager.patch(base.type, id, patch ?? {}, etag, call));
  };
  return { act, send };
}

function adding(base: Base, id: string, way: Addition): Drawn {
  const { type, name } = base;
  const member = type.parts?.path === way.path ? type.parts.nameMember : undefined;
  const body: unknown =
    member === undefined ? way.example : { ...(way.example as RecordData), [member]: name };
  // Another way to add to parts may find that what it asks for is so already.
  const exactly = way.of === 'action' || type.parts?.path === way.path;
  const act = { ...base, kind: way.path, events: 1, body, target: id, keyed: false, exactly };
  const send: Send = async ({ platform }, call) => {
    const { envelope } = await add(platform.manager, type, id, { ...way, example: body, after: [] }, call);
    return { told: [{ id: envelope.id, revision: envelope.revision, checksum: undefined }] };
  };
  return { act, send };
}

function toldOf({ envelope }: { readonly envelope: { readonly id: string; readonly revision: number; readonly checksum: string } }): Answer {
  const { id, revision, checksum } = envelope;
  return { told: [{ id, revision, checksum }] };
} // prettier-ignore

function callOf({ name, type, tenant, target, kind, body, keyed }: TypeAct): CallContext {
  const call = { tenant, actor: 'ada', correlationId: name, maySeeSensitive: true };
  if (!keyed) return call;
  const path = `/api/${type.collection}/${target ?? ''}/${kind}`;
  return { ...call, idempotency: { key: `key-${name}`, scope: scopeOf('ada', path), fingerprint: fingerprintOf(body) } }; // prettier-ignore
}

/** Repeats with the key until the outcome is known, on whatever process answers; without a key there is one try. */
async function perform(world: World, random: Random, act: TypeAct, send: Send, choose: Choose) {
  const { facts, timeline } = world;
  for (let left = random.pick([1, 3, 6]); left > 0 && timeline.nowMs - act.beganMs < KEY_KEPT_MS; left -= 1) {
    const host = choose();
    try {
      const { told, operation } = await world.ask(host, () => send(host, callOf(act)));
      facts.types.answered(act, told, operation);
      world.counters.add(`act: ${act.type.recordType} ${act.kind}`);
      return;
    } catch (error) {
      const made = ['create', 'batch', 'inbox', 'put'].includes(act.kind);
      if (!made && isAppError(error, ...REFUSALS)) {
        act.state = 'refused';
        return;
      }
      facts.judge(`${act.name} (${act.kind} of ${act.type.recordType})`, error, UNCERTAIN);
      if (!act.keyed) return;
      const waitS = isAppError(error) ? (error.retryAfterS ?? 1) : random.pick([1, 5, 30, 70]);
      await timeline.sleep((error instanceof Lost ? waitS : random.pick([waitS, 61])) * 1000);
    }
  }
}

/** What was acknowledged before a read begins is seen by it, in whatever process. */
async function readSomething(world: World, random: Random, host: SimulatedHost): Promise<void> {
  const { types } = world.facts;
  const known = types.all();
  if (known.length === 0) return;
  const record = random.pick(known.slice(-4));
  const { id, type, tenant, revision, parts } = record;
  const call = { tenant, actor: 'reader', correlationId: 'read', maySeeSensitive: true, fresh: true };
  const { manager } = host.platform;
  try {
    await world.ask(host, async () => {
      const { envelope } = await manager.get(type, id, call);
      if (envelope.revision < revision)
        world.facts.violate(`a read of ${id} shows revision ${envelope.revision}, ${revision} was acknowledged`);
      if (type.parts !== undefined) {
        const entries = await manager.listParts(type, id, type.parts.path, { limit: 100 }, call);
        if (entries.items.length < parts)
          world.facts.violate(`${id} lists ${entries.items.length} parts, ${parts} were acknowledged`);
      }
      // Rows of lists that are not in the record's partition follow its commit.
      if (!['member', 'month-of-creation'].includes(type.partition.kind)) return;
      const missing = await missingFromList(world, host, type, tenant);
      if (missing.length > 0) world.facts.violate(`a list of ${type.collection} lacks ${missing.join(', ')}`);
    });
  } catch (error) {
    world.facts.judge(`a read of ${id}`, error, ['storage-unavailable']);
  }
} // prettier-ignore

async function missingFromList(world: World, host: SimulatedHost, type: RecordType, tenant: string) {
  const expected = world.facts.types.recordsOf(type, tenant).map(({ id }) => id);
  const call = { tenant, actor: 'reader', correlationId: 'read', maySeeSensitive: true, fresh: true };
  const listed: string[] = [];
  for (let cursor: string | null | undefined = undefined; cursor !== null;) {
    const page: Awaited<ReturnType<typeof host.platform.manager.list>> = await host.platform.manager.list(type, { filters: {}, limit: 5, cursor }, call); // prettier-ignore
    listed.push(...page.items.map(({ id }) => String(id)));
    cursor = page.nextCursor;
  }
  return expected.filter((id) => !listed.includes(id));
}

/** After recovery: whatever was told of is read and listed. */
export async function readAllOfTypes(world: World, host: SimulatedHost): Promise<void> {
  for (const { id, type, tenant, revision } of world.facts.types.all()) {
    const call = { tenant, actor: 'reader', correlationId: 'read', maySeeSensitive: true, fresh: true };
    const { envelope } = await host.platform.manager.get(type, id, call);
    if (envelope.revision < revision) world.facts.violate(`${id} is at revision ${envelope.revision}, ${revision} was acknowledged`); // prettier-ignore
    const missing = await missingFromList(world, host, type, tenant);
    if (missing.length > 0) world.facts.violate(`in the end a list of ${type.collection} lacks ${missing.join(', ')}`); // prettier-ignore
  }
}
