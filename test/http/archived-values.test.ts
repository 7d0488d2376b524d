import { gunzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from 'vitest';
import { isFault } from '../../src/storage/ports.js';
import { newTenant } from '../support/decisions.js';
import { STORAGES } from '../support/platform.js';
import { useHttpHost } from '../support/use-http-host.js';

const HOUR = 3_600_000;
const COUNT = 150;
const TO_THIS_YEAR = new Date().getUTCFullYear();

/** Values of years that are over, by the clock of the service: those of 2020 are due for the archive at once. */
describe.each(STORAGES)('values in the archive $name', (kind) => {
  const { storage, host } = useHttpHost(kind);
  const as = { tenant: newTenant() };
  let path = '';
  let proof = '';
  const asked = async (query: string) => {
    const items: unknown[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const page = await host.get(`${path}/values?${query}${cursor === '' ? '' : `&cursor=${cursor}`}`, as);
      expect(page.status, page.text).toBe(200);
      items.push(...page.page.items);
      cursor = page.page.next_cursor;
    }
    return items;
  };
  const before: Record<string, readonly unknown[]> = {};
  const files = async () => {
    const { names } = await storage.ports.blobs.list('records', `${as.tenant}/metric/`);
    return names.filter((name) => name.endsWith('.csv.gz') && !name.includes('/_rehydrated/'));
  };

  beforeAll(async () => {
    const body = { name: 'Load', metric_type: 'gauge', unit: '1', current_value: 1, timestamp: '2020-01-31T00:00:00Z' }; // prettier-ignore
    const made = await host.post('/metrics', body, as);
    expect(made.status, made.text).toBe(201);
    path = `/metrics/${made.envelope.id}`;
    const values = Array.from({ length: COUNT }, (_, at) => ({
      timestamp: new Date(Date.UTC(2020, 1, 1) + at * 7 * HOUR).toISOString(),
      value: at / 10,
      ...(at % 10 === 0 ? { context: { region: 'Zürich, "CH"', at } } : {}),
    }));
    const late = { timestamp: new Date(Date.UTC(TO_THIS_YEAR, 0, 1)).toISOString(), value: 9 };
    expect((await host.post(`${path}/values`, { values: [...values, late] }, as)).status).toBe(200);
    await host.platform.jobs.start('roll-up-series');
    for (const resolution of ['raw', 'hour', 'day'])
      before[resolution] = await asked(`resolution=${resolution}`);
    await host.platform.sealer.sealTenant(as.tenant);
    const proved = await host.get(`${path}/proof`, as);
    expect(proved.status, proved.text).toBe(200);
    proof = proved.text;
    const { outcome, counts } = await host.platform.jobs.start('archive-series');
    expect([outcome, counts]).toEqual(['done', expect.objectContaining({ filed: 1 })]);
  });

  it('are in one archived blob, whose days and hours are answered as before', async () => {
    const [blob = '', ...others] = await files();
    expect(others).toEqual([]);
    expect(await storage.ports.blobs.blockState('records', blob)).toMatchObject({ tier: 'archive' });
    const refused = await storage.ports.blobs.find('records', blob).catch((error: unknown) => error);
    expect(isFault(refused, 'archived')).toBe(true);
    expect(await asked('resolution=day')).toEqual(before['day']);
    expect(await asked('resolution=hour')).toEqual(before['hour']);
    expect((await host.get(path, as)).status).toBe(200);
    expect((await host.get(`${path}/proof`, as)).text).toBe(proof);
  });

  it('answer 409 with the way back, but for values that are not there', async () => {
    const read = await host.get(`${path}/values`, as);
    expect([read.status, read.code, read.problem.rehydrate]).toEqual([409, 'record-archived', `/api${path}/rehydrate`]); // prettier-ignore
    expect(await asked(`from=${String(TO_THIS_YEAR)}-01-01T00:00:00Z`)).toEqual(before['raw']?.slice(-1));
    // Values come late to what is in the archive as to anything.
    const value = { timestamp: '2020-01-31T00:00:00Z', value: 2 };
    expect((await host.post(`${path}/values`, { values: [value] }, as)).status).toBe(200);
    const [day] = await asked('resolution=day');
    expect(day).toMatchObject({ count: 2, sum: 3 });
  });

  it('come back as they were, and what came late with them', async () => {
    const back = await host.post(`${path}/rehydrate`, { priority: 'high' }, as);
    expect(back.status, back.text).toBe(202);
    const polled = await host.get(String(back.headers['location']).slice('/api'.length), as);
    expect(polled.json).toMatchObject({ status: 'succeeded' });
    const [first, ...rest] = before['raw'] ?? [];
    const late = { timestamp: '2020-01-31T00:00:00.000Z', value: 2, context: {} };
    expect(await asked('limit=40')).toEqual([first, late, ...rest]);
    const [blob = ''] = await files();
    expect(await storage.ports.blobs.blockState('records', blob)).toMatchObject({ tier: 'archive' });
    const { names } = await storage.ports.blobs.list('records', `${as.tenant}/metric/_rehydrated/`);
    expect(names).toEqual([expect.stringMatching(/\/2020-[0-9a-f-]{36}\.csv\.gz$/)]);
    const copy = await storage.ports.blobs.find('records', names[0] ?? '');
    const lines = gunzipSync(copy?.bytes ?? '').toString('utf8').split('\r\n'); // prettier-ignore
    expect([lines[0], lines[1], lines.length]).toEqual(['timestamp,value,entry,position,context', '2020-01-31T00:00:00.000Z,1,0,0,', COUNT + 3]); // prettier-ignore
    expect(lines[2]).toBe('2020-02-01T00:00:00.000Z,0,1,0,"{""at"":0,""region"":""Zürich, \\""CH\\""""}"');
  });
});
