import { canonicalJson, type Json } from '../domain/canonical-json.js';
import type { PartsDeclaration, SeriesValue } from '../domain/parts.js';
import type { RecordData } from '../domain/record-type.js';
import { sumOf, type Rollup, type Sample } from '../domain/series.js';
import { monthOf } from './keys.js';
import { textColumns, textOf } from './text-columns.js';
import type { Properties, Row } from './ports.js';
import { broken } from './record-row.js';
import { rowIntact, withRowChecksum } from './row-checksum.js';

/** Version of the shape of samples and rollups. */
const SCHEMA_VERSION = '1.0';

/** Samples of a month, and rollups of a year, each a partition of its own. */
export const samplesPartition = (id: string, ms: number): string => `${id}.${monthOf(ms)}`;
export const rollupsPartition = (id: string, ms: number): string => `${id}.${monthOf(ms).slice(0, 4)}`;

/** Row of the entry up to which samples and rollups have everything. */
export const digestKey = (id: string): string => `w:${id}`;

/** By time, then by arrival. */
export function sampleKey({ ms, seq, at }: Pick<Sample, 'ms' | 'seq' | 'at'>): string {
  return `s:${digits(ms, 13)}:${digits(seq, 10)}:${digits(at, 4)}`;
}

/** `h:2026-01-31T12` or `d:2026-01-31`. */
export function rollupKey(resolution: 'hour' | 'day', period: string): string {
  return `${resolution === 'hour' ? 'h' : 'd'}:${period}`;
}

const digits = (value: number, count: number): string => String(value).padStart(count, '0');

/** The samples of an entry by its declaration; `seq` 0 is the record and what came with it. */
export function samplesOfEntry(
  { series }: PartsDeclaration,
  entry: RecordData,
  seq: number,
): readonly Sample[] {
  if (series === undefined) return [];
  const values: readonly SeriesValue[] = seq === 0 ? series.samplesOfRecord(entry) : series.samplesOf(entry);
  return values.map(({ value, timestamp, context }, at) => ({ ms: Date.parse(timestamp), value, context, seq, at })); // prettier-ignore
}

interface NewRow {
  readonly rowKey: string;
  readonly properties: Properties;
}

export function sampleRow(partition: string, sample: Sample): NewRow {
  const rowKey = sampleKey(sample);
  const plain = Object.keys(sample.context).length === 0;
  const context = plain ? {} : textColumns('context', canonicalJson(sample.context as Json));
  const columns = { schema_version: SCHEMA_VERSION, value: sample.value, ...context };
  return { rowKey, properties: withRowChecksum(partition, rowKey, columns) };
}

/** Throws `integrity-failure` for a row that is not what was written. */
export function parseSample(row: Row, id: string): Sample {
  const [, ms, seq, at] = row.rowKey.split(':').map(Number) as [number, number, number, number];
  if (!rowIntact(row)) throw broken(id, seq, 'sample row');
  const context = textOf('context', row.properties);
  return {
    ms,
    seq,
    at,
    value: Number(row.properties['value']),
    context: context === '' ? {} : (JSON.parse(context) as RecordData),
  };
}

export function rollupRow(partition: string, rowKey: string, rollup: Rollup): NewRow {
  const columns = {
    schema_version: SCHEMA_VERSION,
    count: rollup.count,
    sum: sumOf(rollup),
    min: rollup.min,
    max: rollup.max,
    last: rollup.last.value,
    // What it takes to add to it; the members above are what it says.
    state: JSON.stringify({ partials: rollup.partials, last: rollup.last, upTo: rollup.upTo }),
  };
  return { rowKey, properties: withRowChecksum(partition, rowKey, columns) };
}

/** Throws `integrity-failure` for a row that is not what was written. */
export function parseRollup(row: Row, id: string): Rollup {
  if (!rowIntact(row)) throw broken(id, 0, 'rollup row');
  const state = JSON.parse(String(row.properties['state'])) as Pick<Rollup, 'partials' | 'last' | 'upTo'>;
  return {
    ...state,
    count: Number(row.properties['count']),
    min: Number(row.properties['min']),
    max: Number(row.properties['max']),
  };
}
