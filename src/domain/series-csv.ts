import { canonicalJson, type Json } from './canonical-json.js';
import { formatTime, parseTime } from './clock.js';
import type { RecordData } from './record-data.js';
import type { Sample } from './series.js';

/**
 * Samples as lines of CSV (RFC 4180), which DuckDB, pandas, Spark, spreadsheets and `zcat` read alike: the time as RFC 3339
 * in UTC, the value as the shortest decimal that is this double, number and place of the entry that brought it, and the
 * context as JSON text, empty where there is none. Pure.
 */
export const CSV_HEADER = 'timestamp,value,entry,position,context\r\n';

/** One line with its end. JSON text has no line break in it, so a sample is one line whatever its context. */
export function csvLine({ ms, value, seq, at, context }: Sample): string {
  const json = Object.keys(context).length === 0 ? '' : quoted(canonicalJson(context as Json));
  return `${formatTime(ms)},${String(value)},${String(seq)},${String(at)},${json}\r\n`;
}

const LINE = /^([^,"]+),([^,"]+),(\d+),(\d+),(?:"((?:[^"]|"")*)")?$/;

/** The samples of lines as `csvLine` writes them; undefined when one of them is none. */
export function parseCsvLines(text: string): readonly Sample[] | undefined {
  const lines = text.split('\r\n');
  if (lines.pop() !== '') return undefined;
  const samples: Sample[] = [];
  for (const line of lines) {
    const sample = parsed(line);
    if (sample === undefined) return undefined;
    samples.push(sample);
  }
  return samples;
}

function parsed(line: string): Sample | undefined {
  const match = LINE.exec(line);
  if (match === null) return undefined;
  const [, time = '', value = '', seq, at, json] = match;
  const ms = parseTime(time);
  if (ms === undefined || !Number.isFinite(Number(value))) return undefined;
  const context = json === undefined ? {} : contextOf(json.replaceAll('""', '"'));
  return context && { ms, value: Number(value), context, seq: Number(seq), at: Number(at) };
}

function contextOf(json: string): RecordData | undefined {
  try {
    return JSON.parse(json) as RecordData;
  } catch {
    return undefined;
  }
}

const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
