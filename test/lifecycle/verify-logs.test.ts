import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { storageNames } from '../../src/platform.js';
import { StorageFault, type Row, type StoragePorts } from '../../src/storage/ports.js';
import { createLog, type Log } from '../../src/telemetry/log.js';
import { countingPorts } from '../support/counting-ports.js';
import { created } from '../support/decisions.js';
import { httpHost, type HttpHost } from '../support/http-harness.js';
import { memoryPorts } from '../support/memory-ports.js';
import { openStorage, STORAGES } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';
import { realClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';
import { diesAt, HOUR, QuickClock } from './support.js';

const JOB = 'verify-logs';
const TENANTS = ['acme', 'globex', 'initech'];

interface Line {
  readonly level: number;
  readonly msg: string;
  readonly tenant?: string;
  readonly code?: string;
  readonly evidence?: Readonly<Record<string, string>>;
}

/** A log whose alerts can be read. */
function alerts(): { readonly log: Log; taken(): readonly Line[] } {
  const lines: Line[] = [];
  const log = createLog('info', { write: (line) => void lines.push(JSON.parse(line) as Line) });
  return { log, taken: () => lines.splice(0).filter(({ level }) => level >= 50) };
}

async function write(host: HttpHost, tenant: string, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) await created(host, {}, { tenant });
  await host.platform.sealer.sealTenant(tenant);
}

/** Turns a bit of the log's only bundle. */
async function damage({ blobs }: StoragePorts, tenant: string, name = 'entries/000'): Promise<void> {
  const { names } = await blobs.list('ledger', `${tenant}/tile/${name}`);
  // The last one is the widest: there are fewer than ten leaves.
  const at = names.at(-1) ?? '';
  const bytes = Buffer.from((await blobs.find('ledger', at))?.bytes ?? []);
  bytes[20] = (bytes[20] as number) ^ 1;
  await blobs.delete('ledger', at);
  await blobs.putOnce('ledger', at, bytes, 'application/octet-stream');
}

const jobOf = async (host: HttpHost): Promise<unknown> =>
  ((await host.get('/jobs')).json['items'] as { name: string }[]).find(({ name }) => name === JOB);

describe.each(STORAGES)('the job verify-logs $name', (kind) => {
  let storage: StorageUnderTest;
  beforeEach(async () => {
    storage = await openStorage(kind);
  });
  afterEach(() => storage.close());

  it('finds nothing in logs that nobody touched, and rests for an hour', async () => {
    const { log, taken } = alerts();
    const host = httpHost(storage.ports, { log });
    for (const tenant of TENANTS) await write(host, tenant, 3);
    const counts = { logs: 3, bundles: 3, events: 9, rows: 3 * (2 * 3 + 3), rolls: 3, mismatches: 0 };
    expect(await host.platform.jobs.run(JOB)).toEqual({ outcome: 'done', counts });
    expect(await host.platform.jobs.run(JOB)).toEqual({ outcome: 'resting', counts: {} });
    await write(host, 'acme', 2);
    expect(await host.platform.jobs.start(JOB)).toMatchObject({ counts: { events: 11, mismatches: 0 } });
    expect(taken()).toEqual([]);
    expect(await jobOf(host)).toMatchObject({ state: 'resting', counts: { logs: 3, mismatches: 0 }, error: null }); // prettier-ignore
  });

  it('tells what does not hold, once a run, and goes on with the others', async () => {
    const { log, taken } = alerts();
    const host = httpHost(storage.ports, { log });
    for (const tenant of TENANTS) await write(host, tenant, 4);
    expect((await host.platform.jobs.start(JOB)).counts).toMatchObject({ logs: 3, mismatches: 0 });
    await damage(storage.ports, 'globex');
    for (let run = 0; run < 2; run += 1) {
      const { outcome, counts } = await host.platform.jobs.start(JOB);
      expect([outcome, counts]).toEqual(['done', expect.objectContaining({ logs: 3, events: 12, rolls: 3, mismatches: 1 })]); // prettier-ignore
      expect(taken()).toEqual([
        expect.objectContaining({
          code: 'integrity-failure',
          tenant: 'globex',
          functionName: JOB,
          evidence: {
            tenant: 'globex',
            finding: 'log.entry',
            where: 'leaf 0',
            detail: 'in ledger/globex/tile/entries/000.p/4',
          },
        }),
      ]);
    }
    expect(await jobOf(host)).toMatchObject({ state: 'resting', counts: { mismatches: 1 } });
    // Nothing stops: the log is written to, and has the alert, which is audited once in an hour.
    for (const tenant of TENANTS) await created(host, {}, { tenant });
    await expect(host.platform.sealer.sealTenant('globex')).rejects.toMatchObject({
      code: 'integrity-failure',
    });
    await host.platform.sealer.sealTenant('acme');
    const { rows } = await storage.ports.tables.range('auditevents', `globex:${new Date().toISOString().slice(0, 10)}`, { from: 'o:', to: 'o;', limit: 100 }); // prettier-ignore
    const events = rows.map(({ properties }) => JSON.parse(String(properties['event'])) as Record<string, unknown>); // prettier-ignore
    expect(events.filter(({ event_type: type }) => type === 'integrity.failed')).toEqual([
      expect.objectContaining({
        severity: 'critical',
        resource_type: 'audit_log',
        resource_id: 'globex',
        details: { revision: 0, what: 'log.entry leaf 0: in ledger/globex/tile/entries/000.p/4' },
      }),
    ]);
  });

  it('tells of a log that was cut or forgotten by what it remembers of it, until somebody accepts it', async () => {
    const { log, taken } = alerts();
    const host = httpHost(storage.ports, { log });
    const { blobs, tables } = storage.ports;
    await write(host, 'acme', 2);
    const older = Buffer.from((await blobs.find('ledger', 'acme/checkpoint'))?.bytes ?? []);
    await write(host, 'acme', 2);
    await host.platform.jobs.start(JOB);
    const found = async (): Promise<readonly string[]> => {
      await host.platform.jobs.start(JOB);
      return taken().map(({ evidence }) => evidence?.['finding'] ?? '');
    };
    for (const name of ['checkpoint', 'head']) await blobs.delete('ledger', `acme/${name}`);
    expect(await found()).toEqual(['checkpoint.missing']);
    await blobs.putOnce('ledger', 'acme/checkpoint', older, 'text/plain');
    expect(await found()).toEqual(['head.missing', 'checkpoint.shorter']);
    expect(await found()).toEqual(['head.missing', 'checkpoint.shorter']);
    await tables.commit('jobs', `_system:${JOB}`, [{ kind: 'delete', rowKey: 'acme', etag: '*' }]);
    expect(await found()).toEqual(['head.missing']);
  });

  it('costs fifteen reads and no write where a small log has not grown', async () => {
    const counting = countingPorts(storage.ports);
    const host = httpHost(counting.ports);
    await write(host, 'acme', 5);
    await host.platform.jobs.tryOut(JOB, {});
    counting.reset();
    await host.platform.jobs.tryOut(JOB, {});
    const own = ({ args }: { readonly args: readonly unknown[] }): boolean => args[1] !== '_system:jobs';
    expect(counting.counts(own)).toEqual({
      // The tenant and that there is no other; own rows of events, and rows of the list of all.
      'tables.range': 4,
      // What is remembered, whether the last round is finished; three rows of other lists.
      'tables.find': 5,
      // Head, checkpoint, tile, bundle, stream.
      'blobs.find': 5,
      'blobs.list': 1,
    });
  });
});

describe('the job verify-logs', () => {
  async function world(each = 3) {
    const clock = new QuickClock();
    const ports = memoryPorts({ clock, names: storageNames() });
    const host = httpHost(ports, { clock });
    for (const tenant of TENANTS) await write(host, tenant, each);
    return { clock, ports };
  }

  it('goes on where it was when its process dies, whenever that is', async () => {
    const { clock, ports } = await world();
    await damage(ports, 'initech');
    for (let calls = 0, died = true; died; calls += 1) {
      died = false;
      let made = 0;
      const dying = httpHost(wrapPorts(ports, diesAt(() => (made += 1) > calls)), { clock }); // prettier-ignore
      await dying.platform.jobs.run(JOB).catch(() => (died = true));
      clock.pass(3 * 60_000);
      const { log, taken } = alerts();
      const next = httpHost(ports, { clock, log });
      const { outcome, counts } = await next.platform.jobs.start(JOB);
      // What was not written down is done again, and what was not, is not: of each log at least one turn is counted.
      expect([outcome, counts['logs'], counts['mismatches']]).toEqual(['done', 3, 1]);
      const told = taken().map(({ evidence }) => evidence?.['finding']);
      expect(told).toEqual(['log.entry']);
      clock.pass(HOUR);
    }
  });

  it('leaves to the next run what it has no time for, tenant by tenant', async () => {
    const { clock, ports } = await world();
    // Each look at a head takes a minute.
    const slow = wrapPorts(ports, (call, run) => {
      if (call.method === 'find' && String(call.args[1]).endsWith('/head')) clock.pass(60_000);
      return run();
    });
    const host = httpHost(slow, { clock });
    const runs = [];
    do runs.push(await host.platform.jobs.run(JOB));
    while (runs.at(-1)?.outcome === 'paused');
    expect(runs.map(({ counts }) => [counts['logs'], counts['events']])).toEqual([[1, 3], [2, 6], [3, 9], [3, 9]]); // prettier-ignore
  });

  it('goes on with the others when what is stored of a log cannot be read at all', async () => {
    const { clock, ports } = await world();
    const away = wrapPorts(ports, (call, run) =>
      String(call.args[1]).startsWith('acme/tile/')
        ? Promise.reject(new StorageFault('archived', 'it is in the archive'))
        : run(),
    );
    const { counts } = await httpHost(away, { clock }).platform.jobs.start(JOB);
    expect(counts).toMatchObject({ logs: 3, unread: 1, events: 6, mismatches: 0 });
  });

  it('breaks off while storage does not answer, and that is nobody’s damage', async () => {
    const { clock, ports } = await world();
    const { log, taken } = alerts();
    const silent = wrapPorts(ports, (call, run) =>
      String(call.args[1]).startsWith('globex/')
        ? Promise.reject(new StorageFault('unavailable', 'no answer'))
        : run(),
    );
    const host = httpHost(silent, { clock, log });
    await expect(host.platform.jobs.start(JOB)).rejects.toMatchObject({ code: 'storage-unavailable' });
    expect((await httpHost(ports, { clock, log }).platform.jobs.start(JOB)).counts).toMatchObject({ logs: 3, mismatches: 0 }); // prettier-ignore
    expect(taken()).toEqual([]);
  });

  it('tells when what it remembers was changed, and remembers anew', async () => {
    const { clock, ports } = await world();
    const { log, taken } = alerts();
    const host = httpHost(ports, { clock, log });
    await host.platform.jobs.start(JOB);
    const row = await ports.tables.find('jobs', `_system:${JOB}`, 'acme');
    const properties: Row['properties'] = { ...row?.properties, note: '{"bundle":0,"until":0}' };
    await ports.tables.commit('jobs', `_system:${JOB}`, [{ kind: 'upsert', rowKey: 'acme', properties }]);
    expect((await host.platform.jobs.start(JOB)).counts).toMatchObject({ logs: 3, mismatches: 1 });
    expect(taken().map(({ evidence }) => evidence?.['finding'])).toEqual(['state.altered']);
    expect((await host.platform.jobs.start(JOB)).counts).toMatchObject({ mismatches: 0 });
    expect((await ports.tables.find('jobs', `_system:${JOB}`, 'acme'))?.properties).toEqual(row?.properties);
  });

  it('is at work in two hosts at once without harm', async () => {
    const { ports } = await world();
    const hosts = [1, 2].map(() => httpHost(ports, { clock: realClock }));
    const ran = await Promise.all(hosts.map(({ platform }) => platform.jobs.tryOut(JOB, {})));
    for (const { outcome, counts } of ran) expect([outcome, counts]).toEqual(['done', expect.objectContaining({ logs: 3, mismatches: 0 })]); // prettier-ignore
  });
});
