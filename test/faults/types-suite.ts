import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { Migration, RecordData, RecordType } from '../../src/domain/record-type.js';
import type { Platform } from '../../src/platform.js';
import { QUEUES } from '../../src/storage/keys.js';
import type { CallContext } from '../../src/storage/manager-types.js';
import { StorageFault } from '../../src/storage/ports.js';
import { deliver } from '../support/courier.js';
import { inTime } from '../support/in-time.js';
import { memoryPorts } from '../support/memory-ports.js';
import { caller, testPlatform } from '../support/platform.js';
import { add, additionsOf, bodyOf, patchOf, putOf } from '../support/subjects.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts, type Intercept } from '../support/wrap-ports.js';

const WAYS = ['never happened', 'happened but reported failure', 'stopped right after'] as const;
type Way = (typeof WAYS)[number];

interface Subject {
  readonly type: RecordType;
  readonly platform: Platform;
  readonly stage: Stage;
  readonly call: CallContext;
  /** The record that was there before. */
  readonly id: string;
}

/** What a client was told: the record, and as much of its envelope as the answer had. */
type Told = object & { readonly id: string };

interface Write {
  readonly name: string;
  /** Revisions and entries that it makes of what was there before, and records besides it. */
  readonly makes: { readonly revisions?: number; readonly parts?: number; readonly records?: number };
  /** Whether the record that was there before is one of the schema version before. */
  readonly older?: boolean;
  /** Brings the record that was there to where the write can be done. */
  readonly before?: (subject: Subject) => Promise<unknown>;
  readonly run: (subject: Subject) => Promise<Told>;
}

const plain = caller({ fresh: true });
const keyed = caller({ idempotency: { key: 'k', scope: 's', fingerprint: 'f' } });

/** Every way to write that a type has; each can be repeated by who does not know what became of it. */
function writesOf(type: RecordType): readonly Write[] {
  return [
    {
      name: 'create',
      makes: { records: 1 },
      run: async ({ platform, call }) =>
        (await platform.manager.create(type, bodyOf(type, 'second'), call)).envelope,
    },
    {
      name: 'batch',
      makes: { records: 2 },
      run: async ({ platform, call }) => {
        const bodies = [bodyOf(type, 'second'), bodyOf(type, 'third')];
        const { items } = await platform.manager.createBatch(type, bodies, call);
        return items[1] as Told;
      },
    },
    { name: 'inbox and its delivery', makes: { records: 1 }, run: promised },
    ...(type.immutable.length === membersOf(type).length ? [] : [PATCH]),
    ...(type.named === undefined ? [] : PUTS),
    ...(type.migrations.length === 0 ? [] : [MIGRATION]),
    ...additionsOf(type).map((way): Write => ({
      name: way.path,
      makes: way.of === 'action' ? { revisions: 1 } : { parts: 1 },
      before: async ({ platform, id }) => {
        for (const first of way.after) await add(platform.manager, type, id, first, plain);
      },
      run: async ({ platform, id, call }) =>
        (await add(platform.manager, type, id, { ...way, after: [] }, call)).envelope,
    })),
  ];
}

const membersOf = (type: RecordType): readonly string[] => Object.keys((type.schema as unknown as { shape: object }).shape); // prettier-ignore

/** Neither PATCH nor PUT has a key: that it was done is told by its condition. */
const PATCH: Write = {
  name: 'patch',
  makes: { revisions: 1 },
  run: async ({ platform, type, id }) => {
    const current = await platform.manager.get(type, id, plain);
    if (current.envelope.revision > 1) return current.envelope;
    const patch = patchOf(type, current.envelope.data, Date.parse(current.envelope.stored_at) + 1);
    return (await platform.manager.patch(type, id, patch, current.etag, plain)).envelope;
  },
};

const MIGRATION: Write = {
  name: 'migration',
  makes: { revisions: 1 },
  older: true,
  run: async ({ platform, type, id }) => {
    await platform.manager.migrate(type, id, false, plain);
    return (await platform.manager.get(type, id, plain)).envelope;
  },
};

/** A type as the release before had it, which takes and stores data of its version as it comes. */
function releaseBefore(type: RecordType): RecordType {
  const { check: _check, settle: _settle, ...same } = type;
  const { from, schema, example } = type.migrations.at(-1) as Migration;
  return {
    ...same,
    schemaVersion: from,
    migrations: [],
    schema,
    createSchema: schema,
    create: (input, { id }) => ({ ...(input as RecordData), ...(type.idField === undefined ? {} : { [type.idField]: id }) }), // prettier-ignore
    example,
  };
}

const PUTS: readonly Write[] = [
  {
    name: 'put over',
    makes: { revisions: 1 },
    run: async ({ platform, type, id }) => {
      const current = await platform.manager.get(type, id, plain);
      if (current.envelope.revision > 1) return current.envelope;
      const { at, body } = putOf(type, 'first');
      return (await platform.manager.put(type, at, body, { ifMatch: current.etag }, plain)).envelope;
    },
  },
  {
    name: 'put under a new name',
    makes: { records: 1 },
    run: async ({ platform, type }) => {
      const { at, body } = putOf(type, 'second');
      const there = await platform.manager.getNamed(type, at, plain).catch(() => undefined);
      if (there !== undefined) return there.envelope;
      return (await platform.manager.put(type, at, body, { onlyNew: true }, plain)).envelope;
    },
  },
];

/** Promises a record, delivers what is in the queue, and reads what came of it. */
async function promised({ platform, stage, type, call }: Subject): Promise<Told> {
  const { operation } = await platform.inbox.accept(type, bodyOf(type, 'second'), call);
  for (const message of await stage.ports.queues.receive(QUEUES.inbox, { limit: 32, hiddenS: 30 })) {
    await deliver(platform, message);
    await stage.ports.queues.remove(QUEUES.inbox, message);
  }
  const { status, record_id: id } = await platform.inbox.getOperation(operation.operation_id, call);
  expect(status).toBe('succeeded');
  return (await platform.manager.get(type, id ?? '', plain)).envelope;
}

class Stage {
  readonly clock = new VirtualClock(Date.UTC(2026, 5, 1));
  readonly ports = memoryPorts({ clock: this.clock });
  calls = 0;

  constructor(private readonly types: readonly RecordType[]) {}

  host(intercept?: Intercept, types = this.types): Platform {
    const ports = intercept === undefined ? this.ports : wrapPorts(this.ports, intercept);
    return testPlatform(ports, { clock: this.clock, types });
  }

  /** Counts the calls of a host, and interferes with one. */
  troubled(fault: { readonly call: number; readonly way: Way } | undefined): Platform {
    let dead = false;
    return this.host(async (_, run) => {
      if (dead) return new Promise(() => undefined);
      this.calls += 1;
      if (this.calls !== fault?.call) return run();
      if (fault.way === 'never happened') throw new StorageFault('unavailable', 'no answer');
      await run();
      if (fault.way === 'happened but reported failure') throw new StorageFault('unavailable', 'no answer');
      dead = true;
      return new Promise(() => undefined);
    });
  }
}

interface Fault {
  readonly call: number;
  readonly way: Way;
}

/** A storage with a record that the write can be done to. */
async function prepared(type: RecordType, write: Write): Promise<Subject> {
  const stage = new Stage([type]);
  const then = write.older === true ? releaseBefore(type) : type;
  const { id } = (await stage.host(undefined, [then]).manager.create(then, bodyOf(then, 'first'), plain))
    .envelope;
  const platform = stage.host();
  const subject = { type, stage, platform, call: keyed, id };
  await write.before?.(subject);
  return subject;
}

async function outcomeOf(type: RecordType, write: Write, fault: Fault | undefined) {
  const { stage, ...subject } = await prepared(type, write);
  const platform = stage.troubled(fault);
  const first = write.run({ ...subject, stage, platform }).catch((error: unknown) => error);
  if (fault?.way === 'stopped right after') await stage.clock.advance(90_000);
  else await inTime(stage.clock, first);
  await stage.clock.advance(90_000);
  const { calls } = stage;
  // The client repeats with its key, and another host answers.
  const answer = await inTime(stage.clock, write.run({ ...subject, stage, platform: stage.host() }));
  const stored = await stage.host().manager.get(type, answer.id, plain);
  const told = Object.entries(answer).map(([name, value]) => [name, value, (stored.envelope as unknown as Record<string, unknown>)[name]] as const); // prettier-ignore
  return {
    calls,
    differs: told.filter(([, said, is]) => !isDeepStrictEqual(said, is)),
    there: await lookAt(stage, type, subject.id),
  };
}

/** How much there is of everything, as another host sees it. */
async function lookAt(stage: Stage, type: RecordType, id: string) {
  const host = stage.host();
  const list = await host.manager.list(type, { filters: {}, limit: 100 }, plain);
  const revisions = await host.manager.listRevisions(type, id, { limit: 100 }, plain);
  // Whatever follows from parts changes nothing of them; those that came with the record are no additions.
  if (type.parts !== undefined) await inTime(stage.clock, host.manager.digestParts(type, 'default', id));
  const all = type.parts === undefined ? [] : (await host.manager.listParts(type, id, type.parts.path, { limit: 100 }, plain)).items; // prettier-ignore
  const parts = all.filter(({ seq }) => seq > 0);
  await inTime(stage.clock, host.sealer.sealTenant('default'));
  const events = await host.auditReader.list({ filters: {}, limit: 100 }, plain);
  return {
    records: list.items.length,
    revisions: revisions.items.length,
    parts: parts.length,
    events: events.items.length,
  };
}

/**
 * The ways to write that a type has, each storage call of each of them interfered with in three ways, from a recorded
 * run: a new type, action or kind of parts is covered without being told.
 */
export function describeTypeFaults(types: readonly RecordType[]): void {
  describe.each(types.map((type) => [type.recordType, type] as const))(
    '%s, whatever becomes of a call',
    (_, type) => {
      for (const write of writesOf(type))
        it(`${write.name} is done once, with its event`, { timeout: 60_000 }, async () => {
          const { stage, id } = await prepared(type, write);
          const before = await lookAt(stage, type, id);
          const { records = 0, revisions = 0, parts = 0 } = write.makes;
          const there = {
            records: before.records + records,
            revisions: before.revisions + revisions,
            parts: before.parts + parts,
            events: before.events + records + revisions + parts,
          };
          const right = { differs: [], there };
          const { calls, ...calm } = await outcomeOf(type, write, undefined);
          expect(calm).toEqual(right);
          expect(calls).toBeGreaterThan(2);
          for (let call = 1; call <= calls; call += 1)
            for (const way of WAYS) {
              const { calls: __, ...outcome } = await outcomeOf(type, write, { call, way });
              expect({ call, way, ...outcome }).toEqual({ call, way, ...right });
            }
        });
    },
  );
}
