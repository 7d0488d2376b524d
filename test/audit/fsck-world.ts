import { DEFAULT_CONFIGURATION } from '../../src/domain/tenant-configuration.js';
import { fsckTenant, type FsckResult } from '../../src/audit/fsck/fsck.js';
import type { Finding } from '../../src/audit/fsck/findings.js';
import { newId } from '../../src/domain/ids.js';
import { systemEntropy } from '../../src/system.js';
import type { Clock } from '../../src/domain/clock.js';
import { storageNames, type Platform } from '../../src/platform.js';
import { agentStateType } from '../../src/records/agent-state.js';
import { conversationType } from '../../src/records/conversation.js';
import { covenantType } from '../../src/records/covenant.js';
import { decisionType } from '../../src/records/decision.js';
import { RECORD_TYPES } from '../../src/records/registry.js';
import type { Row, StoragePorts } from '../../src/storage/ports.js';
import { readRange } from '../../src/storage/range.js';
import { PassingClock } from '../support/passing-clock.js';
import { caller, testPlatform, type STORAGES } from '../support/platform.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { add, additionsOf, bodyOf } from '../support/subjects.js';
import { lifecycleIn } from './fsck-lifecycle.js';

export { PassingClock };
export const TENANT = 'default';

export type Told = Finding & { readonly repaired: boolean };

export interface FsckWorld {
  readonly ports: StoragePorts;
  readonly platform: Platform;
  readonly close: () => void;
}

/** What fsck finds in a storage, as somebody who comes by with a process of their own. */
export async function fsckOf(
  ports: StoragePorts,
  asked: { readonly repair?: boolean; readonly open?: boolean; readonly tenant?: string; readonly clock?: Clock } = {},
): Promise<{ readonly result: FsckResult; readonly told: readonly Told[]; readonly progress: readonly string[] }> {
  const { repair = false, open = false, tenant = TENANT, clock = new PassingClock() } = asked;
  const told: Told[] = [];
  const progress: string[] = [];
  const platform = testPlatform(ports, { clock });
  const result = await fsckTenant({ ...platform.fsck, open }, tenant, {
    repair,
    report: (finding) => void told.push(finding),
    progress: (said) => void progress.push(said),
  });
  return { result, told, progress };
} // prettier-ignore

const HOUR = 3_600_000;
const MEMORY_BEGINS_MS = new VirtualClock().now();
const call = caller({ ipAddress: '10.0.0.1', sessionId: 'session' });

/**
 * A storage with something of everything: records of every type with everything that can be added to them, more than a tile
 * of events, a stream of messages that have moved, packs, what years leave (`lifecycleIn`), a configuration, legal holds, and
 * one event that waits.
 */
export async function fsckWorld(kind: (typeof STORAGES)[number], events = 270): Promise<FsckWorld> {
  const storage = await kind.open(storageNames());
  // The service's clock is that of everybody, and what was written now is an hour old to it.
  if (!kind.realTime) await storage.wait(Date.now() - HOUR - MEMORY_BEGINS_MS);
  const platform = testPlatform(storage.ports);
  const { manager, sealer, jobs } = platform;
  for (const type of RECORD_TYPES) {
    const made = await manager.create(type, bodyOf(type), call);
    await Promise.all(
      additionsOf(type)
        .slice(0, 2)
        .map(async (addition) => {
          const one = await manager.create(type, bodyOf(type), call);
          await add(manager, type, one.envelope.id, addition, call);
        }),
    );
    await Promise.resolve(made);
  }
  const conversation = await manager.create(conversationType, bodyOf(conversationType), call);
  const message = additionsOf(conversationType).find(({ path }) => path === 'messages');
  for (let n = 0; n < 3 && message !== undefined; n += 1)
    await add(manager, conversationType, conversation.envelope.id, { ...message, example: { ...(message.example as object), message_id: `m-${n}` } }, call); // prettier-ignore
  await jobs.run('move-parts');
  await jobs.run('roll-up-series');
  await lifecycleIn(platform, storage.ports);
  await sealer.sealTenant(TENANT);
  const derived = await manager.create(decisionType, { decision_type: 'strategic', title: 'First' }, call);
  await manager.act(decisionType, derived.envelope.id, 'votes', { agent: 'cfo', vote: 'approve', confidence: 1 }, undefined, call); // prettier-ignore
  await manager.create(
    decisionType,
    { decision_type: 'strategic', title: 'Follows', metadata: { derived_from: [derived.envelope.id] } },
    call,
  );
  await emitted(platform, events);
  await sealer.sealTenant(TENANT);
  await platform.configurations.put(DEFAULT_CONFIGURATION, {}, call);
  await sealer.sealTenant(TENANT);
  const placed = [{ query: { collection: 'decisions', all: true } }, { subject: 'ada' }, { record: { collection: 'decisions', id: derived.envelope.id } }]; // prettier-ignore
  const holds = [];
  for (const scope of placed)
    holds.push((await platform.holds.place({ scope, reason: 'A case.' }, call)).hold.hold_id);
  await platform.holds.release(holds[1] ?? '', { reason: 'Over.' }, call);
  await sealer.sealTenant(TENANT);
  await platform.inbox.accept(decisionType, { decision_type: 'strategic', title: 'Later' }, call);
  const keyed = { ...call, idempotency: { key: 'once', scope: '/api/decisions', fingerprint: 'f' } };
  await manager.create(decisionType, { decision_type: 'strategic', title: 'It waits' }, keyed);
  return { ports: storage.ports, platform, close: () => storage.close() };
}

/** Events that are of no record. */
async function emitted({ emitter }: Platform, count: number): Promise<void> {
  for (let done = 0; done < count; done += 90) {
    const atMs = Date.now();
    await emitter.emit(
      Array.from({ length: Math.min(90, count - done) }, () => ({
        eventId: newId('evt', atMs, systemEntropy),
        timestampMs: atMs,
        tenant: TENANT,
        actorName: 'ada',
        eventType: 'external',
        severity: 'info',
        action: 'note',
        resourceType: 'thing',
        resourceId: 'thing-1',
        outcome: 'success',
        details: {},
        correlationId: 'test',
        ipAddress: undefined,
        sessionId: undefined,
      })),
    );
  }
}

export const TYPES = { decisionType, covenantType, agentStateType, conversationType };

/** Every row of a table whose key begins so, over all partitions of the tenant. */
export async function rowsIn(world: FsckWorld, table: string, prefix: string): Promise<Row[]> {
  const found: Row[] = [];
  for (const partition of await world.platform.directory.partitions(TENANT, table)) {
    const key = `${TENANT}:${partition}`;
    found.push(...(await readRange(world.ports.tables, table, key, { from: prefix, to: `${prefix}~` })));
  }
  return found;
}

/** Partitions of a table that no directory lists, for what was written now. */
export function unlistedOf(table: string): readonly string[] {
  const day = new Date().toISOString().slice(0, 10);
  const [month, digits] = [day.slice(0, 7), [...'0123456789abcdef']];
  if (table === 'operations') return [`${TENANT}:${day}`];
  if (table === 'keys' || table === 'actors') return [`${TENANT}:${table}`];
  if (table === 'idempotency' || table === 'subjects')
    return digits.flatMap((a) => digits.map((b) => `${TENANT}:${a}${b}`));
  return table === 'lineage' ? digits.map((digit) => `${TENANT}:${month}.${digit}`) : [`${TENANT}:${month}`];
}
