import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { created, newTenant, walk } from '../support/decisions.js';
import { httpHost, type HttpHost } from '../support/http-harness.js';
import { openStorage, STORAGES } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';

type Event = Readonly<Record<string, unknown>>;

const FILTERS = ['from', 'to', 'actor', 'resource_id', 'event_type', 'severity', 'outcome'] as const;
type Filter = (typeof FILTERS)[number];

/** What an event has to be for a filter, by what it is asked for. */
const FITS: Readonly<Record<Filter, (event: Event, value: string) => boolean>> = {
  from: (event, value) => String(event['timestamp']) >= value,
  to: (event, value) => String(event['timestamp']) < value,
  actor: (event, value) => event['actor'] === value,
  resource_id: (event, value) => event['resource_id'] === value,
  event_type: (event, value) => event['event_type'] === value,
  severity: (event, value) => event['severity'] === value,
  outcome: (event, value) => event['outcome'] === value,
};

/** Every set of filters up to a size. */
function combinations(most: number): readonly (readonly Filter[])[] {
  const sets = Array.from({ length: 2 ** FILTERS.length }, (_, bits) => FILTERS.filter((_name, at) => (bits >> at) % 2 === 1)); // prettier-ignore
  return sets.filter((set) => set.length <= most || set.length === FILTERS.length);
}

/** `GET /audit-events` by each of its filters and by all combinations of them (audit-ledger.md). */
describe.each(STORAGES)('filters of the audit trail $name', (kind) => {
  let storage: StorageUnderTest;
  let host: HttpHost;
  const tenant = newTenant();
  const events: Event[] = [];
  let values: Readonly<Record<Filter, readonly string[]>>;

  beforeAll(async () => {
    storage = await openStorage(kind);
    host = httpHost(storage.ports);
    // Four days, three in a row; every combination of the other members once.
    const days = ['2026-01-02', '2026-01-03', '2026-01-04', '2026-03-01'];
    let n = 0;
    for (const [at, day] of days.entries())
      for (const actor of ['ada', 'eve'])
        for (const severity of ['info', 'warning'])
          for (const outcome of ['success', 'failure']) {
            n += 1;
            const timestamp = `${day}T0${String(at)}:00:${String(n).padStart(2, '0')}.000Z`;
            const body = { event_type: 'x', action: 'a', resource_type: 't', resource_id: n % 3 === 0 ? 'r-1' : 'r-2', severity, outcome, timestamp }; // prettier-ignore
            const made = await host.post('/audit-events', body, { tenant, actor });
            expect(made.status, made.text).toBe(201);
            events.push(made.json);
          }
    for (const actor of ['ada', 'eve']) await created(host, {}, { tenant, actor });
    await host.platform.sealer.sealTenant(tenant);
    const { items } = (await host.get('/audit-events?event_type=record.created', { tenant })).page;
    expect(items).toHaveLength(2);
    events.push(...items);
    const ada = String(events[0]?.['actor']);
    values = {
      from: ['2026-01-03T00:00:00.000Z', String(events[10]?.['timestamp'])],
      to: ['2026-01-04T02:00:20.000Z', '2026-03-02T00:00:00.000Z'],
      actor: [ada],
      resource_id: ['r-1', String(items[0]?.['resource_id'])],
      event_type: ['external', 'record.created'],
      severity: ['warning', 'info'],
      outcome: ['failure', 'success'],
    };
  });
  afterAll(() => storage.close());

  // All 128 where that costs no time; else the single ones, pairs of them, and all together.
  it.each([0, 1])('alone and combined, to the end of each list, by values no. %i', async (which) => {
    let found = 0;
    for (const set of combinations(kind.realTime ? 2 - which : FILTERS.length)) {
      const asked = set.map((name) => [name, values[name][which] ?? values[name][0] ?? ''] as const);
      const expected = events.filter((event) => asked.every(([name, value]) => FITS[name](event, value)));
      const query = asked.map(([name, value]) => `&${name}=${encodeURIComponent(value)}`).join('');
      const { ids } = await walk(host, `/audit-events?limit=5${query}`, { tenant });
      const times = new Map(events.map((event) => [event['event_id'], String(event['timestamp'])]));
      const newestFirst = ids.map((id) => times.get(id) ?? '');
      expect([query, [...newestFirst].sort().reverse()]).toEqual([query, newestFirst]);
      expect([query, [...ids].sort()]).toEqual([query, expected.map((event) => event['event_id']).sort()]);
      found += ids.length;
    }
    expect(found).toBeGreaterThan(100);
  });

  it('hold a cursor to the filters it was given for, whichever of them changes', async () => {
    const ada = String(events[0]?.['actor']);
    const all = [['from', '2026-01-01T00:00:00Z'], ['to', '2026-04-01T00:00:00Z'], ['actor', ada], ['event_type', 'external'], ['resource_id', 'r-2'], ['severity', 'info'], ['outcome', 'success']] as const; // prettier-ignore
    const query = (of: readonly (readonly [string, string])[]) => of.map(([name, value]) => `&${name}=${encodeURIComponent(value)}`).join(''); // prettier-ignore
    const first = await host.get(`/audit-events?limit=1${query(all)}`, { tenant });
    const cursor = `&cursor=${first.page.next_cursor ?? ''}`;
    expect(first.page.next_cursor).not.toBeNull();
    expect((await host.get(`/audit-events?limit=1${query(all)}${cursor}`, { tenant })).status).toBe(200);
    for (const [left] of all) {
      const others = all.filter(([name]) => name !== left);
      expect([left, (await host.get(`/audit-events?limit=1${query(others)}${cursor}`, { tenant })).status]).toEqual([left, 400]); // prettier-ignore
    }
  });
});
