import { beforeEach, describe, expect, it } from 'vitest';
import { AuditEmitter, type AuditDraft } from '../../src/audit/emitter.js';
import { Actors } from '../../src/audit/actors.js';
import { newId } from '../../src/domain/ids.js';
import type { PartitionRef } from '../../src/storage/directory.js';
import { partitionKey, SYSTEM_TENANT } from '../../src/storage/keys.js';
import { StorageFault, type StoragePorts } from '../../src/storage/ports.js';
import { rowIntact } from '../../src/storage/row-checksum.js';
import { countingPorts } from '../support/counting-ports.js';
import { seededEntropy } from '../support/entropy.js';
import { testKeyRing } from '../support/key-ring.js';
import { memoryPorts } from '../support/memory-ports.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';
import { assertSealed, host, rowsOf, TENANT } from './support.js';

const START = Date.UTC(2026, 0, 10, 12);
const KEY = partitionKey(TENANT, '2026-01-10');
const entropy = seededEntropy('emitter');
let clock: VirtualClock;
let ports: StoragePorts;
let hints: PartitionRef[];

beforeEach(() => {
  clock = new VirtualClock(START);
  ports = memoryPorts({ clock });
  hints = [];
});

function emitterOn(on: StoragePorts): AuditEmitter {
  const { directory } = host(on, clock);
  const ring = testKeyRing(on, { clock, entropy });
  const actors = new Actors({ tables: on.tables, clock, entropy, ...ring });
  return new AuditEmitter({
    tables: on.tables,
    directory,
    actors,
    secretBox: ring.secretBox,
    entropy,
    onCommitted: (ref) => hints.push(ref),
  });
}

function draft(atMs: number, change: Partial<AuditDraft> = {}): AuditDraft {
  return {
    eventId: newId('evt', atMs, entropy),
    timestampMs: atMs,
    tenant: TENANT,
    actorName: 'someone@example.com',
    eventType: 'access.refused',
    severity: 'warning',
    action: 'read',
    resourceType: 'decision',
    resourceId: 'dec_1',
    outcome: 'failure',
    details: { count: 3 },
    correlationId: 'c1',
    ...change,
  } as AuditDraft;
}

const drafts = (count: number): AuditDraft[] => Array.from({ length: count }, (_, n) => draft(START + n));

describe('emitting events without a change', () => {
  it('stores each as its permanent and its pending row, fifty in a transaction', async () => {
    const counted = countingPorts(ports);
    const emitter = emitterOn(counted.ports);
    await emitter.emit([draft(START)]);
    counted.reset();
    await emitter.emit(drafts(120));
    expect(counted.counts()).toEqual({ 'tables.commit': 3 });
    expect(await rowsOf(ports.tables, 'auditevents', KEY, 'r:')).toHaveLength(121);
    expect(await rowsOf(ports.tables, 'auditevents', KEY, 'o:')).toHaveLength(121);
    expect(hints.at(-1)).toEqual({ tenant: TENANT, table: 'auditevents', partition: '2026-01-10' });
  });

  it('announces the partition before the first row is there', async () => {
    const calls = countingPorts(ports);
    await emitterOn(calls.ports).emit([draft(START)]);
    const tables = calls.calls.filter(({ method }) => method === 'commit').map(({ args }) => args[0]);
    expect(tables.at(-1)).toBe('auditevents');
    expect(tables.filter((table) => table === 'system').length).toBeGreaterThan(0);
  });

  it('is sealed like any other event, its permanent row completed in place', async () => {
    const all = drafts(130);
    await emitterOn(ports).emit(all);
    const app = host(ports, clock);
    const counted = countingPorts(ports);
    const sealing = host(counted.ports, clock);
    expect(await app.sealer.sealTenant(TENANT)).toEqual({ sealed: 130, busy: false });
    await assertSealed(
      ports,
      all.map(({ eventId }) => eventId),
      [],
    );
    const more = Array.from({ length: 130 }, (_, n) => draft(START + 5000 + n));
    await emitterOn(ports).emit(more);
    counted.reset();
    await sealing.sealer.sealTenant(TENANT);
    // Six rows an event and one transaction for all of an event: sixteen events at a time, and three for the directory.
    expect(counted.counts()['tables.commit']).toBe(Math.ceil(130 / 16) + 2);
  });

  it('names the actor by pseudonym and carries address and session only as commitments', async () => {
    await emitterOn(ports).emit([draft(START, { ipAddress: '192.0.2.7', sessionId: 'session-1' })]);
    const [row] = await rowsOf(ports.tables, 'auditevents', KEY, 'o:');
    const text = String(row?.properties['event']);
    expect(text).not.toMatch(/192\.0\.2\.7|session-1|someone/);
    expect(JSON.parse(text)).toMatchObject({ actor: expect.stringMatching(/^act_/) as string });
    const eventId = (JSON.parse(text) as { event_id: string }).event_id;
    const context = { tenant: TENANT, type: 'audit_event', id: eventId, revision: 0 };
    const opened = await testKeyRing(ports, { clock }).secretBox.open(
      context,
      JSON.parse(String(row?.properties['sealed'])) as Record<string, string>,
    );
    expect(opened).toMatchObject({
      '/ip_address': { value: '192.0.2.7' },
      '/session_id': { value: 'session-1' },
    });
    await host(ports, clock).sealer.sealTenant(TENANT);
    const [kept] = await rowsOf(ports.tables, 'auditevents', KEY, 'r:');
    expect(kept?.properties['sealed']).toBe(row?.properties['sealed']);
    expect(kept !== undefined && rowIntact(kept)).toBe(true);
  });

  it('takes a pseudonym as it is', async () => {
    await emitterOn(ports).emit([draft(START, { actorName: undefined, actor: 'act_known' })]);
    const [row] = await rowsOf(ports.tables, 'auditevents', KEY, 'o:');
    expect(String(row?.properties['event'])).toContain('"actor":"act_known"');
  });

  it('leaves an event alone that is there already, sealed or not, and stores the others', async () => {
    const emitter = emitterOn(ports);
    const [first, second, ...rest] = drafts(70);
    await emitter.emit([first as AuditDraft]);
    await host(ports, clock).sealer.sealTenant(TENANT);
    await emitter.emit([second as AuditDraft]);
    const all = [first, second, second, ...rest] as AuditDraft[];
    await emitter.emit(all);
    await emitter.emit(all);
    expect(await rowsOf(ports.tables, 'auditevents', KEY, 'o:')).toHaveLength(69);
    await host(ports, clock).sealer.sealTenant(TENANT);
    await assertSealed(ports, [...new Set(all.map(({ eventId }) => eventId))], []);
  });

  it('stores the others also where the last one is there already, and seals nothing where nothing is hidden', async () => {
    const all = drafts(5);
    await emitterOn(ports).emit(all.slice(-1));
    await emitterOn(ports).emit(all);
    const rows = await rowsOf(ports.tables, 'auditevents', KEY, 'o:');
    expect(rows).toHaveLength(5);
    for (const { properties } of rows) expect('sealed' in properties).toBe(false);
  });

  it('may be repeated after an answer was lost', async () => {
    let lost = 0;
    const losing = wrapPorts(ports, async (call, run) => {
      const result = await run();
      if (call.args[0] === 'auditevents' && (lost += 1) === 2)
        throw new StorageFault('unavailable', 'no answer');
      return result;
    });
    const emitter = emitterOn(losing);
    const all = drafts(120);
    await expect(emitter.emit(all)).rejects.toMatchObject({ code: 'storage-unavailable' });
    await emitter.emit(all);
    await host(ports, clock).sealer.sealTenant(TENANT);
    await assertSealed(
      ports,
      all.map(({ eventId }) => eventId),
      [],
    );
  });

  it('keeps events that belong to no tenant under the reserved one', async () => {
    await emitterOn(ports).emit([draft(START, { tenant: SYSTEM_TENANT, eventType: 'message.poisoned' })]);
    expect(await host(ports, clock).sealer.sealTenant(SYSTEM_TENANT)).toEqual({ sealed: 1, busy: false });
  });

  it('refuses an event above 32 KiB before anything is written', async () => {
    const large = draft(START, { details: { note: 'x'.repeat(33_000) } });
    await expect(emitterOn(ports).emit([draft(START), large])).rejects.toMatchObject({
      code: 'internal-error',
    });
    expect(await rowsOf(ports.tables, 'auditevents', KEY, 'r:')).toEqual([]);
  });

  it('seals an event whose permanent row was lost, and puts the row back', async () => {
    const all = drafts(40);
    await emitterOn(ports).emit(all);
    const rowKey = `r:${all[20]?.eventId ?? ''}`;
    await ports.tables.commit('auditevents', KEY, [{ kind: 'delete', rowKey, etag: '*' }]);
    await host(ports, clock).sealer.sealTenant(TENANT);
    await assertSealed(
      ports,
      all.map(({ eventId }) => eventId),
      [],
    );
  });
});
