import { gunzipSync } from 'node:zlib';
import type { Platform } from '../../src/platform.js';
import { metricType } from '../../src/records/metric.js';
import { parseYearRow, type YearRow } from '../../src/storage/year-rows.js';
import type { Counts } from '../../src/lifecycle/job.js';
import { caller } from '../support/platform.js';
import { ArchiveWorld } from './archive-world.js';
import { DAY } from './support.js';

export const CALL = caller();
const METRIC = { name: 'Orders', metric_type: 'counter', unit: 'orders', current_value: 7 } as const;

export interface Value {
  readonly timestamp: string;
  readonly value: number;
  readonly context?: Record<string, unknown>;
}
type Item = Readonly<Record<string, unknown>>;
type Resolution = 'raw' | 'hour' | 'day';

/** Series on a storage in memory on which years pass. */
export class SeriesWorld extends ArchiveWorld {
  /** A metric whose own value is of `at`. */
  async metric(at: string, values: readonly Value[] = []): Promise<string> {
    const { manager } = this.host();
    const body = { ...METRIC, timestamp: at, historical_values: values };
    const { envelope } = await manager.create(metricType, body, CALL);
    return envelope.id;
  }

  async add(id: string, values: readonly Value[], on = this.host()): Promise<void> {
    for (let from = 0; from < values.length; from += 1000)
      await on.manager.recordMetricValues(id, values.slice(from, from + 1000), CALL);
  }

  /** Everything there is, by pages of `limit`. */
  async values(id: string, resolution: Resolution = 'raw', limit = 1000, on = this.host(), period = {}): Promise<readonly Item[]> {
    const items: Item[] = [];
    for (let cursor: string | null | undefined; cursor !== null;) {
      const page = await on.manager.listValues(metricType, id, 'values', { resolution, limit, cursor, ...period }, CALL); // prettier-ignore
      items.push(...page.items);
      cursor = page.nextCursor;
    }
    return items;
  } // prettier-ignore

  /** Digested and then a whole round of the job. */
  async round(platform: Platform = this.host()): Promise<Counts> {
    await this.archive(this.host(), 'roll-up-series');
    return this.archive(platform, 'archive-series');
  }

  /** The clock shows so many days after a time. */
  until(time: string, days = 0): void {
    const ms = Date.parse(time) + days * DAY - this.clock.now();
    if (ms < 0) throw new Error(`${time} is over`);
    this.clock.pass(ms);
  }

  /** Another storage with the same rows and blobs in it, at the same time. */
  async copied(): Promise<SeriesWorld> {
    const world = new SeriesWorld();
    world.clock.pass(this.clock.now() - world.clock.now());
    const { rows, blobs } = this.storage.contents();
    for (const { table, row } of rows)
      await world.ports.tables.commit(table, row.partitionKey, [{ kind: 'insert', rowKey: row.rowKey, properties: row.properties }]); // prettier-ignore
    for (const { container, name, kind, bytes, tier } of blobs) {
      if (kind === 'append') await world.ports.blobs.createAppend(container, name);
      else await world.ports.blobs.putOnce(container, name, bytes, 'application/octet-stream');
      if (kind === 'append' && bytes.length > 0) await world.ports.blobs.append(container, name, bytes, 0);
      if (tier !== 'hot') await world.ports.blobs.setTier(container, name, tier);
    }
    return world;
  }

  samples(id: string): readonly string[] {
    return this.rows('s:', 'metricvalues').filter(({ partitionKey }) => partitionKey.includes(id)).map(({ rowKey }) => rowKey); // prettier-ignore
  }

  years(id: string): readonly YearRow[] {
    const rows = this.rows('y:', 'metricvalues').filter(({ partitionKey }) => partitionKey.includes(id));
    return rows.map((row) => parseYearRow(row, id));
  }

  files(id: string) {
    return this.blobs().filter(({ name }) => name.includes(`/${id}/values/`));
  }

  /** The lines of a file as `zcat` shows them. */
  lines(name: string): readonly string[] {
    const file = this.blobs().find((one) => one.name === name);
    return gunzipSync(file?.bytes ?? new Uint8Array()).toString('utf8').split('\r\n'); // prettier-ignore
  }
}

/** `count` values from a time on, so many milliseconds apart. */
export function every(
  from: string,
  stepMs: number,
  count: number,
  value = (at: number) => at,
): readonly Value[] {
  const start = Date.parse(from);
  return Array.from({ length: count }, (_, at) => ({
    timestamp: new Date(start + at * stepMs).toISOString(),
    value: value(at),
  }));
}
