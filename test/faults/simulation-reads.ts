import { isDeepStrictEqual } from 'node:util';
import { isAppError } from '../../src/domain/errors.js';
import { decisionType } from '../../src/records/decision.js';
import { toldOf } from './simulation-acts.js';
import type { KnownRecord } from './simulation-facts.js';
import type { SimulatedHost } from './simulation-host.js';
import type { CallContext } from '../../src/storage/manager-types.js';
import type { World } from './simulation-world.js';

type Read = (world: World, host: SimulatedHost, record: KnownRecord) => Promise<void>;

const callOf = (record: KnownRecord): CallContext => ({
  tenant: record.tenant,
  actor: 'reader',
  correlationId: 'read',
  maySeeSensitive: true,
});

/** What was acknowledged before a read begins is seen by it, in whatever process. */
const current: Read = async (world, host, record) => {
  const least = record.last.revision;
  const [told] = toldOf(await host.platform.manager.get(decisionType, record.id, callOf(record))).told;
  if (told === undefined || told.revision < least)
    world.facts.violate(`a read of ${record.id} shows revision ${told?.revision}, ${least} was acknowledged`);
  else world.facts.told(record.tenant, told);
};

/** A revision that may be on its way is either there or not. */
const nextRevision: Read = async (world, host, record) => {
  try {
    const found = await host.platform.manager.getRevision(
      decisionType,
      record.id,
      record.last.revision + 1,
      callOf(record),
    );
    for (const told of toldOf(found).told) world.facts.told(record.tenant, told);
  } catch (error) {
    if (!isAppError(error, 'record-not-found')) throw error;
  }
};

const asOf: Read = async (world, host, record) => {
  const { revision, storedAt } = record.last;
  const [told] = toldOf(
    await host.platform.manager.getAsOf(decisionType, record.id, storedAt, callOf(record)),
  ).told;
  if (told?.revision !== revision)
    world.facts.violate(`${record.id} as of revision ${revision} is revision ${told?.revision}`);
};

const revisions: Read = async (world, host, record) => {
  const least = record.last.revision;
  let seen = 0;
  for (let cursor: string | null | undefined = undefined; cursor !== null;) {
    const page: Awaited<ReturnType<SimulatedHost['platform']['manager']['listRevisions']>> =
      await host.platform.manager.listRevisions(
        decisionType,
        record.id,
        { limit: 2, ...(cursor === undefined ? {} : { cursor }) },
        callOf(record),
      );
    seen += page.items.length;
    for (const { id, revision, checksum, stored_at } of page.items)
      world.facts.told(record.tenant, {
        id,
        revision,
        checksum,
        storedAt: stored_at,
        etag: undefined,
        data: undefined,
      });
    cursor = page.nextCursor;
  }
  if (seen < least) world.facts.violate(`${record.id} lists ${seen} revisions, ${least} were acknowledged`);
};

/** The list of all records shows each that was acknowledged before it was begun, once. */
const list: Read = async (world, host, record) => {
  const expected = [...world.facts.records.values()]
    .filter(({ tenant }) => tenant === record.tenant)
    .map(({ id }) => id);
  const ids: string[] = [];
  for (let cursor: string | null | undefined = undefined; cursor !== null;) {
    const page: Awaited<ReturnType<SimulatedHost['platform']['manager']['list']>> =
      await host.platform.manager.list(decisionType, { filters: {}, limit: 4, cursor }, callOf(record));
    ids.push(...page.items.map(({ id }) => String(id)));
    cursor = page.nextCursor;
  }
  const missing = expected.filter((id) => !ids.includes(id));
  if (missing.length > 0) world.facts.violate(`a list lacks ${missing.join(', ')}`);
  if (new Set(ids).size < ids.length) world.facts.violate('a list shows a record twice');
};

/** Events are shown at the place in the log that they keep. */
const events: Read = async (_, host, record) => {
  await host.platform.auditReader.list({ filters: { resource_id: record.id }, limit: 5 }, callOf(record));
};

const READS: readonly Read[] = [
  current,
  current,
  current,
  nextRevision,
  nextRevision,
  asOf,
  revisions,
  list,
  events,
];

/** Whatever anybody was told of is read as they were told, and each record is at least as far as that. */
export async function readAll(world: World, host: SimulatedHost): Promise<void> {
  for (const record of world.facts.records.values()) await current(world, host, record);
  for (const told of [...world.facts.revisions.values()]) {
    const tenant = world.facts.records.get(told.id)?.tenant ?? '';
    const call = { tenant, actor: 'reader', correlationId: 'read', maySeeSensitive: true };
    const found = await host.platform.manager.getRevision(decisionType, told.id, told.revision, call);
    const [now] = toldOf(found).told;
    if (now !== undefined) world.facts.told(tenant, now);
    if (told.data !== undefined && !isDeepStrictEqual(now?.data, told.data))
      world.facts.violate(`${told.id} revision ${told.revision} reads differently than it was told`);
  }
}

/** Reads something of a record that somebody was told of. */
export async function readSomething(world: World, host: SimulatedHost): Promise<void> {
  const known = [...world.facts.records.values()];
  if (known.length === 0) return;
  const record = world.random.pick(known.slice(-4));
  const read = world.random.pick(READS);
  try {
    await world.ask(host, () => read(world, host, record));
  } catch (error) {
    world.facts.judge(`a read of ${record.id}`, error, ['storage-unavailable']);
  }
}
