import { beforeEach, describe, expect, it } from 'vitest';
import { Actors } from '../../src/audit/actors.js';
import { AuditEmitter } from '../../src/audit/emitter.js';
import { ReadAuditor, type ReadShown } from '../../src/audit/read-auditor.js';
import type { AuditEvent } from '../../src/domain/audit-event.js';
import { partitionKey } from '../../src/storage/keys.js';
import { StorageFault, type StoragePorts } from '../../src/storage/ports.js';
import type { Log } from '../../src/telemetry/log.js';
import { seededEntropy } from '../support/entropy.js';
import { memoryPorts } from '../support/memory-ports.js';
import { testKeyRing } from '../support/key-ring.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';
import { host, rowsOf, TENANT } from './support.js';

const MOST = 50;
const START = Date.UTC(2026, 0, 10, 12);
const entropy = seededEntropy('read-auditor');
const call = { tenant: TENANT, actor: 'ada.lovelace', correlationId: 'c1', ipAddress: '192.0.2.7' };
const shown = (id: string): ReadShown => ({
  action: 'read',
  resourceType: 'decision',
  resourceId: id,
  details: { revision: 1, sensitive: false },
});
let clock: VirtualClock;
let ports: StoragePorts;
let down: boolean;
let said: string[];

beforeEach(() => {
  clock = new VirtualClock(START);
  down = false;
  said = [];
  ports = wrapPorts(memoryPorts({ clock }), ({ method, args }, proceed) =>
    down && method === 'commit' && args[0] === 'auditevents'
      ? Promise.reject(new StorageFault('unavailable', 'no answer'))
      : proceed(),
  );
});

function auditor(mode: 'buffered' | 'off' = 'buffered'): ReadAuditor {
  const { directory } = host(ports, clock);
  const ring = testKeyRing(ports, { clock, entropy });
  const actors = new Actors({ tables: ports.tables, clock, entropy, ...ring });
  const emitter = new AuditEmitter({
    tables: ports.tables,
    directory,
    actors,
    secretBox: ring.secretBox,
    entropy,
  });
  const log: Log = { info: () => undefined, warn: (message) => void said.push(message), failure: () => undefined }; // prettier-ignore
  return new ReadAuditor({ emitter, clock, backgroundClock: clock, entropy, log }, mode, MOST);
}

async function stored(tenant = TENANT): Promise<readonly AuditEvent[]> {
  const rows = await rowsOf(ports.tables, 'auditevents', partitionKey(tenant, '2026-01-10'), 'r:');
  return rows.map(({ properties }) => JSON.parse(String(properties['event'])) as AuditEvent);
}
const idsOf = async (): Promise<string[]> => (await stored()).map((event) => event.resource_id).sort();

describe('events of reads', () => {
  it('are stored within a second, with the time of the read', async () => {
    const reads = auditor();
    reads.note(shown('dec_1'), call);
    await clock.advance(300);
    reads.note(shown('dec_2'), call);
    expect(await stored()).toEqual([]);
    await clock.advance(700);
    const events = await stored();
    expect(events.map((event) => [event.resource_id, Date.parse(event.timestamp) - START]).sort()).toEqual([['dec_1', 0], ['dec_2', 300]]); // prettier-ignore
    expect(JSON.stringify(events)).not.toMatch(/lovelace|192\.0/);
  });

  it('are none where reads are not audited', async () => {
    const reads = auditor('off');
    reads.note(shown('dec_1'), call);
    await reads.flush();
    await reads.drain(1000);
    expect(await stored()).toEqual([]);
  });

  it('wait while storage is down, and are stored once it is back', async () => {
    const reads = auditor();
    down = true;
    reads.note(shown('dec_1'), call);
    await clock.advance(60_000);
    expect(said).toContain('reads are not audited yet');
    reads.note(shown('dec_2'), call);
    down = false;
    await clock.advance(30_000);
    expect(await idsOf()).toEqual(['dec_1', 'dec_2']);
  });

  it('that find no room are counted, and told in one event of each tenant', async () => {
    const reads = auditor();
    down = true;
    for (let n = 0; n < MOST; n += 1) reads.note(shown(`dec_${String(n)}`), call);
    for (let n = 0; n < 7; n += 1) reads.note(shown('dec_late'), call);
    reads.note(shown('dec_late'), { ...call, tenant: 'other' });
    await clock.advance(60_000);
    reads.note(shown('dec_later'), call);
    down = false;
    await clock.advance(60_000);
    const events = await stored();
    const drops = [...events, ...(await stored('other'))].filter(({ action }) => action === 'drop');
    const counts = drops.map(({ tenant, details }) => [tenant, details['dropped']]);
    expect(events.filter(({ action }) => action === 'read')).toHaveLength(MOST);
    // The second count began after the first was an event already.
    expect(counts.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))).toEqual([[TENANT, 1], [TENANT, 7], ['other', 1]]); // prettier-ignore
    for (const drop of drops)
      expect(drop).toMatchObject({ event_type: 'record.read', severity: 'warning', outcome: 'failure', resource_type: 'audit_event', resource_id: '-' }); // prettier-ignore
    reads.note(shown('dec_again'), call);
    await clock.advance(1000);
    expect(await idsOf()).toContain('dec_again');
  });

  it('hold a bounded number whatever the number of tenants', async () => {
    const reads = auditor();
    down = true;
    for (let n = 0; n < MOST; n += 1) reads.note(shown('dec_1'), call);
    for (let n = 0; n < 1001; n += 1) reads.note(shown('dec_1'), { ...call, tenant: `t${String(n)}` });
    expect(said).toEqual(['a read was neither audited nor counted']);
  });

  it('are stored before the process ends, without the wait', async () => {
    const reads = auditor();
    reads.note(shown('dec_1'), call);
    await reads.drain(4000);
    expect(await idsOf()).toEqual(['dec_1']);
  });

  it('hold up an end no longer than they may', async () => {
    const reads = auditor();
    down = true;
    reads.note(shown('dec_1'), call);
    let ended = false;
    void reads.drain(4000).then(() => (ended = true));
    await clock.advance(3999);
    expect(ended).toBe(false);
    await clock.advance(1);
    expect(ended).toBe(true);
  });
});
