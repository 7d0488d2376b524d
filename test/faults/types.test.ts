import { describe, expect, it } from 'vitest';
import type { Migration, RecordData, RecordType } from '../../src/domain/record-type.js';
import type { Platform } from '../../src/platform.js';
import { RECORD_TYPES } from '../../src/records/registry.js';
import type { CallContext, WrittenRecord } from '../../src/storage/manager-types.js';
import { StorageFault } from '../../src/storage/ports.js';
import { inTime } from '../support/in-time.js';
import { memoryPorts } from '../support/memory-ports.js';
import { caller, testPlatform } from '../support/platform.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts, type Intercept } from '../support/wrap-ports.js';

/**
 * The ways to write that every declared type has, each storage call of each of them interfered with in three ways, from
 * a recorded run: a new type is covered without being told. `matrix.test.ts` does the same to everything decisions do.
 */
const WAYS = ['never happened', 'happened but reported failure', 'stopped right after'] as const;
type Way = (typeof WAYS)[number];

interface Subject {
  readonly type: RecordType;
  readonly platform: Platform;
  readonly call: CallContext;
  /** The record that was there before. */
  readonly id: string;
}

interface Write {
  readonly name: string;
  readonly of: (type: RecordType) => boolean;
  readonly run: (subject: Subject) => Promise<WrittenRecord>;
  /** Whether the record that was there before is one of the schema version before. */
  readonly older?: boolean;
  /** Revisions and entries that it makes of what was there before, and records besides it. */
  readonly makes: { readonly revisions: number; readonly parts: number; readonly records: number };
}

const keyed = caller({ idempotency: { key: 'k', scope: 's', fingerprint: 'f' } });
const plain = caller();

/** The example under another name, where records have names. */
function bodyOf(type: RecordType, name: string): RecordData {
  const example = type.example as RecordData;
  return type.named === undefined ? example : { ...example, [type.named.member]: name };
}

function putBody({ partition, named, example }: RecordType): {
  at: { partition: string; name: string };
  body: RecordData;
} {
  // prettier-ignore
  const members = example as RecordData;
  const member = partition.kind === 'member' ? partition.member : '';
  const own = [member, named?.member];
  const body = Object.fromEntries(Object.entries(members).filter(([name]) => !own.includes(name)));
  return { at: { partition: String(members[member]), name: 'first' }, body };
}

const WRITES: readonly Write[] = [
  {
    name: 'create',
    of: () => true,
    run: ({ platform, type, call }) => platform.manager.create(type, bodyOf(type, 'second'), call),
    makes: { revisions: 0, parts: 0, records: 1 },
  },
  {
    name: 'put over',
    of: (type) => type.named !== undefined,
    // A PUT has no key: that it is repeated is told by its condition.
    run: async ({ platform, type, call, id }) => {
      const { at, body } = putBody(type);
      const current = await platform.manager.get(type, id, { ...call, fresh: true });
      if (current.envelope.revision > 1) return { ...current, replayed: true };
      return platform.manager.put(type, at, body, { ifMatch: current.etag }, { ...call, idempotency: undefined }); // prettier-ignore
    },
    makes: { revisions: 1, parts: 0, records: 0 },
  },
  {
    name: 'addition to parts',
    of: (type) => type.parts !== undefined,
    run: ({ platform, type, call, id }) =>
      platform.manager.addPart(type, id, type.parts?.path ?? '', type.parts?.example, undefined, call),
    makes: { revisions: 0, parts: 1, records: 0 },
  },
  {
    name: 'migration',
    of: (type) => type.migrations.length > 0,
    older: true,
    run: async ({ platform, type, call, id }) => {
      await platform.manager.migrate(type, id, false, { ...call, idempotency: undefined });
      return { ...(await platform.manager.get(type, id, call)), replayed: false };
    },
    makes: { revisions: 1, parts: 0, records: 0 },
  },
];

/** The ways to add to the parts of a type besides the one that all have. */
function further(type: RecordType): readonly Write[] {
  return Object.entries(type.parts?.more ?? {}).map(([path, { example }]) => ({
    name: `addition to ${path}`,
    of: () => true,
    run: ({ platform, call, id }) => platform.manager.addPart(type, id, path, example, undefined, call),
    makes: { revisions: 0, parts: 1, records: 0 },
  }));
}

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

class Stage {
  readonly clock = new VirtualClock(Date.UTC(2026, 5, 1));
  readonly ports = memoryPorts({ clock: this.clock });
  calls = 0;

  host(intercept?: Intercept, types: readonly RecordType[] = RECORD_TYPES): Platform {
    return testPlatform(intercept === undefined ? this.ports : wrapPorts(this.ports, intercept), { clock: this.clock, types }); // prettier-ignore
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

async function outcomeOf(
  type: RecordType,
  write: Write,
  fault: { readonly call: number; readonly way: Way } | undefined,
) {
  // prettier-ignore
  const stage = new Stage();
  const then = write.older === true ? releaseBefore(type) : type;
  const calm = stage.host(undefined, [then]);
  const before = await calm.manager.create(then, bodyOf(then, 'first'), plain);
  const { id } = before.envelope;
  const platform = stage.troubled(fault);
  const subject = { type, platform, call: keyed, id };
  const first = write.run(subject).catch((error: unknown) => error);
  if (fault?.way === 'stopped right after') await stage.clock.advance(90_000);
  else await inTime(stage.clock, first);
  await stage.clock.advance(90_000);
  // The client repeats with its key, and another host answers.
  const repeat = { ...subject, platform: stage.host() };
  const answer = await inTime(stage.clock, write.run(repeat));
  const calls = stage.calls;

  const other = stage.host();
  const list = await other.manager.list(type, { filters: {}, limit: 100 }, plain);
  const stored = await other.manager.get(type, answer.envelope.id, plain);
  const revisions = await other.manager.listRevisions(type, id, { limit: 100 }, plain);
  // Whatever follows from parts changes nothing of them; those that came with the record are no additions.
  if (type.parts !== undefined) await inTime(stage.clock, other.manager.digestParts(type, 'default', id));
  const all = type.parts === undefined ? [] : (await other.manager.listParts(type, id, type.parts.path, { limit: 100 }, plain)).items; // prettier-ignore
  const parts = all.filter(({ seq }) => seq > 0);
  await inTime(stage.clock, other.sealer.sealTenant('default'));
  const events = await other.auditReader.list({ filters: {}, limit: 100 }, plain);
  return {
    calls,
    same: JSON.stringify(stored.envelope) === JSON.stringify(answer.envelope),
    found: {
      records: list.items.length,
      revisions: revisions.items.length,
      parts: parts.length,
      events: events.items.length,
    },
  };
}

describe.each(RECORD_TYPES.map((type) => [type.recordType, type] as const))(
  '%s, whatever becomes of a call',
  (_, type) => {
    // prettier-ignore
    for (const write of [...WRITES, ...further(type)].filter(({ of }) => of(type)))
    it(`${write.name} is done once, with its event`, { timeout: 60_000 }, async () => {
      const { calls } = await outcomeOf(type, write, undefined);
      const { records, revisions, parts } = write.makes;
      const found = { records: 1 + records, revisions: 1 + revisions, parts, events: 1 + records + revisions + parts }; // prettier-ignore
      expect(calls).toBeGreaterThan(2);
      for (let call = 1; call <= calls; call += 1)
        for (const way of WAYS) {
          const outcome = await outcomeOf(type, write, { call, way });
          expect({ call, way, same: outcome.same, found: outcome.found }).toEqual({ call, way, same: true, found }); // prettier-ignore
        }
    });
  },
);
