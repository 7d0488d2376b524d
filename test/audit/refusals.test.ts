import { beforeEach, describe, expect, it } from 'vitest';
import { Actors } from '../../src/audit/actors.js';
import { AuditEmitter } from '../../src/audit/emitter.js';
import { Refusals, type Refusal } from '../../src/audit/refusals.js';
import type { AuditEvent } from '../../src/domain/audit-event.js';
import { partitionKey, SYSTEM_TENANT } from '../../src/storage/keys.js';
import { StorageFault, type StoragePorts } from '../../src/storage/ports.js';
import { createLog } from '../../src/telemetry/log.js';
import { countingPorts } from '../support/counting-ports.js';
import { seededEntropy } from '../support/entropy.js';
import { memoryPorts } from '../support/memory-ports.js';
import { testKeyRing } from '../support/key-ring.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';
import { assertSealed, host, rowsOf, TENANT } from './support.js';

const START = Date.UTC(2026, 0, 10, 12);
const ID = 'dec_01980000-0000-7000-8000-000000000000';
const entropy = seededEntropy('refusals');
let clock: VirtualClock;
let ports: StoragePorts;
let actors: Actors;
let down: boolean;
let refusals: Refusals;

beforeEach(() => {
  clock = new VirtualClock(START);
  down = false;
  const memory = memoryPorts({ clock });
  ports = wrapPorts(memory, async ({ args, method }, proceed) => {
    if (down && method === 'commit' && args[0] === 'auditevents')
      throw new StorageFault('unavailable', 'no answer');
    return proceed();
  });
  refusals = refusalsOn(ports);
});

function refusalsOn(on: StoragePorts): Refusals {
  const { directory } = host(on, clock);
  const ring = testKeyRing(on, { clock, entropy });
  actors = new Actors({ tables: on.tables, clock, entropy, ...ring });
  const emitter = new AuditEmitter({
    tables: on.tables,
    directory,
    actors,
    secretBox: ring.secretBox,
    entropy,
  });
  return new Refusals({ emitter, clock, backgroundClock: clock, entropy, log: createLog('silent') });
}

/** Of a caller who may not; `stranger` is of somebody who was not signed in. */
const refusal = (changes: Partial<Refusal> = {}): Refusal => ({
  code: 'forbidden',
  reason: 'role',
  actor: 'user:ada',
  tenant: TENANT,
  address: '192.0.2.7',
  action: 'GET record',
  resourceType: 'decision',
  resourceId: ID,
  correlationId: 'i1',
  ...changes,
});
const stranger = (changes: Partial<Refusal> = {}): Refusal =>
  refusal({ code: 'unauthenticated', reason: 'signature', actor: undefined, tenant: undefined, resourceId: '-', ...changes }); // prettier-ignore

async function events(tenant = TENANT): Promise<readonly AuditEvent[]> {
  const rows = await rowsOf(ports.tables, 'auditevents', partitionKey(tenant, '2026-01-10'), 'r:');
  return rows.map(({ properties }) => JSON.parse(String(properties['event'])) as AuditEvent);
}
const countsOf = async (tenant = TENANT): Promise<readonly unknown[]> =>
  (await events(tenant)).map(({ details }) => details['count']).sort();

describe('refusals', () => {
  it('of one caller that are alike are one event a minute, with their number', async () => {
    refusals.count(refusal());
    await clock.advance(20_000);
    for (let n = 0; n < 41; n += 1)
      refusals.count(refusal({ correlationId: 'later', address: `192.0.2.${String(n)}` }));
    await clock.advance(39_999);
    expect(await events()).toEqual([]);
    await clock.advance(1);
    const [event, ...more] = await events();
    expect(more).toEqual([]);
    expect(event).toEqual({
      schema_version: '1.0',
      event_id: expect.stringMatching(/^evt_/) as string,
      event_type: 'access.refused',
      severity: 'warning',
      timestamp: '2026-01-10T12:00:20.000Z',
      tenant: TENANT,
      actor: expect.stringMatching(/^act_/) as string,
      action: 'GET record',
      resource_type: 'decision',
      resource_id: ID,
      outcome: 'failure',
      details: {
        code: 'forbidden',
        reason: 'role',
        count: 42,
        from: '2026-01-10T12:00:00.000Z',
        to: '2026-01-10T12:00:20.000Z',
      },
      correlation_id: 'i1',
    });
    expect(await actors.nameOf(TENANT, event?.actor ?? '')).toBe('user:ada');
    refusals.count(refusal());
    await clock.advance(60_000);
    expect(await countsOf()).toEqual([1, 42]);
    expect(await host(ports, clock).sealer.sealTenant(TENANT)).toEqual({ sealed: 2, busy: false });
    const ids = (await events()).map(({ event_id }) => event_id);
    await assertSealed(ports, ids);
  });

  it.each<Partial<Refusal>>([
    { tenant: 'globex' },
    { actor: 'user:bob' },
    { reason: 'other-reason' },
    { code: 'unauthenticated' },
    { action: 'PATCH record' },
    { resourceType: 'agent_state' },
  ])('are not alike with %j', async (changes) => {
    refusals.count(refusal());
    refusals.count(refusal(changes));
    await refusals.flush();
    expect([...(await countsOf()), ...(await countsOf('globex'))]).toEqual([1, 1]);
  });

  it('of several records name none of them', async () => {
    refusals.count(refusal());
    refusals.count(refusal({ resourceId: ID.replace('01980000', '01990000') }));
    await refusals.flush();
    expect(await events()).toMatchObject([{ resource_id: '-', details: { count: 2 } }]);
  });

  it('of strangers are counted by address, which only a commitment tells', async () => {
    for (const address of ['192.0.2.7', '192.0.2.7', '192.0.2.8']) refusals.count(stranger({ address }));
    await refusals.flush();
    const found = await events(SYSTEM_TENANT);
    expect(await countsOf(SYSTEM_TENANT)).toEqual([1, 2]);
    for (const event of found) {
      expect(JSON.stringify(event)).not.toContain('192.0.2');
      expect(event.ip_address).toBeDefined();
      expect(await actors.nameOf(SYSTEM_TENANT, event.actor)).toBe('anonymous');
    }
  });

  it('of strangers whose tenant is proven are the tenant’s', async () => {
    refusals.count(stranger({ tenant: TENANT, reason: 'expired' }));
    await refusals.flush();
    expect([await countsOf(), await countsOf(SYSTEM_TENANT)]).toEqual([[1], []]);
  });

  it('by a crowd of strangers are bounded, lose none, and leave callers their room', async () => {
    for (let n = 0; n < 3000; n += 1)
      refusals.count(stranger({ address: `2001:db8:0:${n.toString(16)}::/64` }));
    refusals.count(refusal());
    expect(refusals.waiting).toBe(1002);
    await refusals.flush();
    const found = await events(SYSTEM_TENANT);
    expect(found.reduce((sum, { details }) => sum + Number(details['count']), 0)).toBe(3000);
    const rest = found.filter(({ details }) => details['reason'] === 'other');
    expect(rest).toMatchObject([{ action: 'other', resource_type: '-', resource_id: '-', details: { code: 'unauthenticated', count: 2000 } }]); // prettier-ignore
    expect(rest[0]).not.toHaveProperty('ip_address');
    expect(await countsOf()).toEqual([1]);
  });

  it('by a crowd of callers are bounded as well', async () => {
    for (let n = 0; n < 1500; n += 1) refusals.count(refusal({ actor: `user:${String(n)}` }));
    refusals.count(stranger());
    await refusals.flush();
    expect(await events()).toHaveLength(1000);
    expect(await countsOf(SYSTEM_TENANT)).toEqual([1, 500]);
  });

  it('are counted on while storage is down, and none is lost or told twice', async () => {
    down = true;
    for (let minute = 0; minute < 10; minute += 1) {
      for (let n = 0; n < 5; n += 1) refusals.count(refusal());
      await clock.advance(60_000);
    }
    expect([refusals.waiting <= 2, await events()]).toEqual([true, []]);
    down = false;
    await clock.advance(120_000);
    expect((await countsOf()).reduce((sum: number, count) => sum + Number(count), 0)).toBe(50);
    expect([(await events()).length, refusals.waiting]).toEqual([2, 0]);
  });

  it('are stored before the process ends, in one transaction for many', async () => {
    const counted = countingPorts(ports);
    const counting = refusalsOn(counted.ports);
    counting.count(refusal());
    counting.count(refusal({ action: 'PATCH record' }));
    expect(counted.counts()).toEqual({});
    await counting.drain(4000);
    expect(await countsOf()).toEqual([1, 1]);
    const inserts = counted.calls.filter(
      ({ method, args }) => method === 'commit' && args[0] === 'auditevents',
    );
    expect(inserts).toHaveLength(1);
  });
});
