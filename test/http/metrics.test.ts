import { describe, expect, it } from 'vitest';
import { checksumOf, type Json } from '../../src/domain/canonical-json.js';
import { metricType } from '../../src/records/metric.js';
import { StorageFault } from '../../src/storage/ports.js';
import { countingPorts } from '../support/counting-ports.js';
import { newTenant, walk } from '../support/decisions.js';
import { httpHost, type Reply, type RequestOptions } from '../support/http-harness.js';
import { STORAGES } from '../support/platform.js';
import { wrapPorts } from '../support/wrap-ports.js';
import { useHttpHost } from '../support/use-http-host.js';

const METRIC = { name: 'Orders', metric_type: 'counter', unit: 'orders', current_value: 7, timestamp: '2026-01-01T00:00:00Z' }; // prettier-ignore
const time = (ms: number): string => new Date(ms).toISOString();
const JAN = Date.UTC(2026, 0, 1);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

interface Value {
  readonly timestamp: string;
  readonly value: number;
}
type Item = Readonly<Record<string, unknown>>;

/** REQ-DATA-003: metrics, whose values are a series. */
describe.each(STORAGES)('/metrics $name', (kind) => {
  const { storage, host } = useHttpHost(kind);

  const made = async (body: object, options: RequestOptions, on = host): Promise<Reply> => {
    const reply = await on.post('/metrics', { ...METRIC, ...body }, options);
    expect(reply.status, reply.text).toBe(201);
    return reply;
  };
  const path = (metric: Reply): string => `/metrics/${metric.envelope.id}`;
  const add = async (metric: Reply, values: readonly object[], options: RequestOptions, on = host): Promise<Reply> => on.post(`${path(metric)}/values`, { values }, options); // prettier-ignore
  const all = async (metric: Reply, query: string, options: RequestOptions, on = host): Promise<Item[]> => {
    const items: Item[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const page = await on.get(`${path(metric)}/values?${query}${cursor === '' ? '' : `&cursor=${cursor}`}`, options); // prettier-ignore
      expect(page.status, page.text).toBe(200);
      items.push(...(page.page.items as readonly Item[]));
      cursor = page.page.next_cursor;
    }
    return items;
  };

  /** What rollups should say, computed from all the values at once. */
  const rolled = (values: readonly Value[], unit: number): Item[] => {
    const periods = new Map<number, number[]>();
    for (const { timestamp, value } of [...values].sort((a, b) => (a.timestamp < b.timestamp ? -1 : 1))) {
      const start = Math.floor(Date.parse(timestamp) / unit) * unit;
      periods.set(start, [...(periods.get(start) ?? []), value]);
    }
    return [...periods].map(([start, own]) => ({ timestamp: time(start), count: own.length, sum: own.reduce((a, b) => a + b, 0), min: Math.min(...own), max: Math.max(...own), last: own.at(-1) })); // prettier-ignore
  };

  it('has a current value that follows its values, whatever the order they come in', async () => {
    const options = { tenant: newTenant() };
    const metric = await made({ target_value: 100, historical_values: [{ value: 3, timestamp: '2025-12-01T00:00:00Z' }] }, options); // prettier-ignore
    expect(metric.envelope.data).toMatchObject({ metric_id: metric.envelope.id, current_value: 7, target_value: 100 }); // prettier-ignore
    const late = await add(metric, [{ value: 9, timestamp: '2026-01-03T00:00:00Z' }, { value: 8, timestamp: '2026-01-02T00:00:00Z' }], options); // prettier-ignore
    expect([late.status, late.envelope.revision]).toEqual([200, 1]);
    expect(late.envelope.data).toMatchObject({ current_value: 9, timestamp: '2026-01-03T00:00:00.000Z' });
    const old = await add(metric, [{ value: 1, timestamp: '2025-06-01T00:00:00Z' }], options);
    expect(old.envelope.data['current_value']).toBe(9);
    const same = await add(metric, [{ value: 10, timestamp: '2026-01-03T00:00:00Z' }], options);
    expect(same.envelope.data['current_value']).toBe(10);
    const read = await httpHost(storage.ports).get(path(metric), options);
    expect([read.json, read.etag]).toEqual([same.json, same.etag]);
    expect(read.envelope.checksum).toBe(checksumOf(read.envelope.data as Json));
    expect((await all(metric, 'limit=2', options)).map(({ value }) => value)).toEqual([1, 3, 7, 8, 9, 10]);
    await host.platform.sealer.sealTenant(options.tenant);
    const events = (await host.get(`/audit-events?resource_id=${metric.envelope.id}`, options)).page.items;
    expect(events.map(({ action }) => action)).toEqual(['values', 'values', 'values', 'create']);
  });

  it('answers at every resolution the same, digested or not, by whoever and however often', async () => {
    const options = { tenant: newTenant() };
    const metric = await made({ current_value: 0.5 }, options);
    const values: Value[] = [{ timestamp: time(JAN), value: 0.5 }];
    const check = async (): Promise<void> => {
      const sorted = [...values].sort((a, b) => (a.timestamp < b.timestamp ? -1 : 1));
      for (const limit of [7, 1000]) {
        const raw = await all(metric, `limit=${limit}`, options);
        expect(raw.map(({ timestamp, value }) => [timestamp, value])).toEqual(sorted.map(({ timestamp, value }) => [timestamp, value])); // prettier-ignore
        expect(await all(metric, `resolution=hour&limit=${limit}`, options)).toEqual(rolled(values, HOUR));
        expect(await all(metric, `resolution=day&limit=${limit}`, options)).toEqual(rolled(values, DAY));
      }
      const period = `from=${time(JAN + 26 * HOUR)}&to=${time(JAN + 40 * DAY)}`;
      const within = sorted.filter(({ timestamp }) => timestamp >= time(JAN + 26 * HOUR) && timestamp < time(JAN + 40 * DAY)); // prettier-ignore
      expect((await all(metric, period, options)).map(({ timestamp }) => timestamp)).toEqual(within.map(({ timestamp }) => timestamp)); // prettier-ignore
    };
    let next = 12345;
    const draw = (below: number): number => (next = (next * 1103515245 + 12345) % 2147483648) % below;
    for (let round = 0; round < 4; round += 1) {
      for (let request = 0; request < 5; request += 1) {
        const some = Array.from({ length: 1 + draw(8) }, () => ({ timestamp: time(JAN + draw(400) * 5 * HOUR + draw(3) * MINUTE + values.length), value: draw(1000) / 4 })); // prettier-ignore
        values.push(...some);
        expect((await add(metric, some, options)).status).toBe(200);
      }
      await check();
      const { manager } = httpHost(storage.ports).platform;
      const digests = [host.platform.manager, manager].map((one) => one.digestParts(metricType, options.tenant, metric.envelope.id)); // prettier-ignore
      await Promise.all(digests);
      await check();
      expect(await manager.digestParts(metricType, options.tenant, metric.envelope.id)).toBe(0);
    }
  });

  it('counts nothing twice and leaves nothing out when digests die on the way, wherever', async () => {
    const options = { tenant: newTenant() };
    const metric = await made({ current_value: 1 }, options);
    const values: Value[] = [{ timestamp: time(JAN), value: 1 }];
    for (let round = 0; round < 12; round += 1) {
      const some = Array.from({ length: 3 }, (_, n) => ({ timestamp: time(JAN + n * 20 * MINUTE + round), value: round })); // prettier-ignore
      values.push(...some);
      expect((await add(metric, some, options)).status).toBe(200);
      let writes = 0;
      const dying = httpHost(
        wrapPorts(storage.ports, async (call, run) => {
          if (call.method !== 'commit') return run();
          writes += 1;
          if (writes > round % 6) throw new StorageFault('refused', 'dead');
          return run();
        }),
      );
      await dying.platform.manager.digestParts(metricType, options.tenant, metric.envelope.id).catch(() => 0); // prettier-ignore
      expect(await all(metric, 'resolution=day', options)).toEqual(rolled(values, DAY));
    }
    await host.platform.jobs.run('roll-up-series');
    expect(await all(metric, 'resolution=hour', options)).toEqual(rolled(values, HOUR));
    expect(await all(metric, 'resolution=day', options)).toEqual(rolled(values, DAY));
  });

  it('adds values once for a key, and from two hosts at once all of them', async () => {
    const options = { tenant: newTenant() };
    const metric = await made({}, options);
    const keyed = { ...options, key: 'k' };
    const first = await add(metric, [{ value: 1, timestamp: '2026-02-01T00:00:00Z' }], keyed);
    await add(metric, [{ value: 2, timestamp: '2026-02-02T00:00:00Z' }], options);
    const again = await add(metric, [{ value: 1, timestamp: '2026-02-01T00:00:00Z' }], keyed, httpHost(storage.ports)); // prettier-ignore
    expect([again.text, again.headers['idempotency-replayed']]).toEqual([first.text, 'true']);
    const other = httpHost(storage.ports);
    const replies = await Promise.all(Array.from({ length: 10 }, (_, n) => add(metric, [{ value: n }], options, n % 2 === 0 ? host : other))); // prettier-ignore
    expect(replies.map(({ status }) => status)).toEqual(Array(10).fill(200));
    expect(await all(metric, 'limit=4', options)).toHaveLength(13);
  });

  it('refuses what no metric and no value can be, says where, and stores nothing', async () => {
    const options = { tenant: newTenant() };
    const metrics: readonly (readonly [object, string])[] = [
      [{ metric_type: 'speed' }, '/metric_type'],
      [{ current_value: '7' }, '/current_value'],
      [{ unit: ' ' }, '/unit'],
      [{ metric_id: 'x' }, '/metric_id'],
      [{ historical_values: Array(1001).fill({ value: 1 }) }, '/historical_values'],
      [{ historical_values: [{ value: 1, timestamp: 'yesterday' }] }, '/historical_values/0/timestamp'],
    ];
    for (const [body, pointer] of metrics) {
      const reply = await host.post('/metrics', { ...METRIC, ...body }, options);
      expect([reply.status, reply.pointers], reply.text).toEqual([422, [pointer]]);
    }
    expect((await host.post('/metrics', undefined, { ...options, raw: '{"name":"a","metric_type":"gauge","unit":"b","current_value":1e999}' })).status).toBe(422); // prettier-ignore
    const metric = await made({}, options);
    const values: readonly (readonly [unknown, string])[] = [
      [{}, '/values'],
      [{ values: [] }, '/values'],
      [{ values: Array(1001).fill({ value: 1 }) }, '/values'],
      [{ values: [{ value: 1 }, { value: null }] }, '/values/1/value'],
      [{ values: [{ value: 1, timestamp: time(Date.now() + HOUR) }] }, '/values/0/timestamp'],
      [{ values: [{ value: 1, unit: 's' }] }, '/values/0/unit'],
    ];
    for (const [body, pointer] of values) {
      const reply = await host.post(`${path(metric)}/values`, body, options);
      expect([reply.status, reply.pointers], reply.text).toEqual([422, [pointer]]);
    }
    expect(await all(metric, '', options)).toHaveLength(1);
    for (const query of ['resolution=week', 'from=x', 'limit=0', 'cursor=x', 'status=a'])
      expect((await host.get(`${path(metric)}/values?${query}`, options)).status, query).toBe(400);
    const nobody = '/metrics/met_019b0000-0000-7000-8000-000000000000/values';
    expect((await host.get(nobody, options)).status).toBe(404);
    expect((await host.post(nobody, { values: [{ value: 1 }] }, options)).status).toBe(404);
    expect((await host.patch(path(metric), { current_value: 1 }, metric.etag, options)).code).toBe('record-immutable'); // prettier-ignore
    const patched = await host.patch(path(metric), { target_value: 12, name: 'Sales' }, metric.etag, options);
    expect(patched.envelope).toMatchObject({ revision: 2, data: { target_value: 12, name: 'Sales' } });
  });

  it('lists by type and name', async () => {
    const options = { tenant: newTenant() };
    const gauge = await made({ metric_type: 'gauge', name: 'a', timestamp: '2026-01-02T00:00:00Z' }, options);
    const counter = await made({ name: 'a' }, options);
    const other = await made({ name: 'b', timestamp: '2026-01-03T00:00:00Z' }, options);
    const ids = async (query: string): Promise<string[]> => (await walk(host, `/metrics?${query}`, options)).ids; // prettier-ignore
    expect(await ids('limit=1')).toEqual([other, gauge, counter].map(({ envelope }) => envelope.id));
    expect(await ids('metric_type=counter')).toEqual([other, counter].map(({ envelope }) => envelope.id));
    expect(await ids('name=a')).toEqual([gauge, counter].map(({ envelope }) => envelope.id));
    expect(await ids('name=a&metric_type=gauge')).toEqual([gauge.envelope.id]);
    const shown = async (): Promise<unknown[]> => (await host.get('/metrics?metric_type=gauge', options)).page.items.map((item) => [item['current_value'], item['name'], item['revision']]); // prettier-ignore
    expect(await shown()).toEqual([[7, 'a', 1]]);
    await add(gauge, [{ value: 99 }], options);
    await host.platform.manager.digestParts(metricType, options.tenant, gauge.envelope.id);
    expect(await shown()).toEqual([[99, 'a', 1]]);
    expect((await host.get(path(gauge), options)).envelope.data['current_value']).toBe(99);
    await host.patch(path(gauge), { name: 'c' }, gauge.etag, options);
    expect(await shown()).toEqual([[99, 'c', 2]]);
  });

  it('answers for a year by the day with a handful of reads', { timeout: 120_000 }, async () => {
    // Minutes of a month, or less on Azurite, then a value a day: what is read is the same.
    const days = kind.realTime ? 2 : 30;
    const options = { tenant: newTenant() };
    const metric = await made({ timestamp: time(JAN - 365 * DAY), current_value: 0 }, options);
    const { manager } = host.platform;
    const costs = new Set<string>();
    const counting = countingPorts(storage.ports);
    const writer = httpHost(counting.ports);
    for (let minute = 0; minute < days * 1440; minute += 720) {
      const values = Array.from({ length: 720 }, (_, n) => ({ value: 1, timestamp: time(JAN - 365 * DAY + (minute + n) * MINUTE) })); // prettier-ignore
      counting.reset();
      expect((await add(metric, values, options, writer)).status).toBe(200);
      if (minute > 0) costs.add(JSON.stringify(counting.counts()));
    }
    // The first announces partition and actor; all others cost the same.
    expect([...costs]).toEqual([JSON.stringify({ 'tables.find': 2, 'tables.commit': 1 })]);
    const rest = Array.from({ length: 365 - days }, (_, n) => ({ value: 1, timestamp: time(JAN - (n + 1) * DAY) })); // prettier-ignore
    expect((await add(metric, rest, options)).status).toBe(200);
    await manager.digestParts(metricType, options.tenant, metric.envelope.id);
    counting.reset();
    const reply = await writer.get(`${path(metric)}/values?resolution=day&limit=1000`, options);
    const { 'tables.find': finds = 0, 'tables.range': ranges = 0 } = counting.counts();
    expect(finds + ranges).toBeLessThanOrEqual(6);
    const items = reply.page.items as readonly Item[];
    // The metric's own first value is one more.
    expect(items.map(({ count }) => count)).toEqual([1441, ...Array<number>(days - 1).fill(1440), ...Array<number>(365 - days).fill(1)]); // prettier-ignore
  });
});
