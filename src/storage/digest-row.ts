import type { Properties, Row } from './ports.js';
import { broken } from './record-row.js';
import { rowIntact, withRowChecksum } from './row-checksum.js';
import { digestKey } from './series-rows.js';

/** What is left to do about a year that was filed, or tried to be. */
export interface DueYear {
  /** The UUID of the latest file of it that has an event; empty where there is none. */
  readonly told: string;
  /** Values of it have come, or are left as they are, since it was last gone through. */
  readonly late: boolean;
}

/** The row `w:<id>` beside the entries of a series: how far samples and rollups have come, and which years lie in files. */
export interface Digested {
  /** Entries up to this one are in them; -1: not even what came with the record. */
  readonly upTo: number;
  /** Times of the first and the last value in them, milliseconds. */
  readonly bounds: readonly [firstMs: number, lastMs: number] | undefined;
  /** No year up to this one is to be filed but for those that are due; undefined: none was looked at. */
  readonly filedThrough: number | undefined;
  /** Files of years up to this one are in the archive tier. */
  readonly archivedThrough: number | undefined;
  /** Years of which values may lie in rows that belong into a file, or are in one already. */
  readonly due: ReadonlyMap<number, DueYear>;
  readonly etag: string | undefined;
}

/** Where nothing was digested yet. */
export const NOT_DIGESTED: Digested = {
  upTo: -1,
  bounds: undefined,
  filedThrough: undefined,
  archivedThrough: undefined,
  due: new Map(),
  etag: undefined,
};

const PREFIX = digestKey('').length;

/** Reads the row. Throws `integrity-failure` when it is not what was written. */
export function parseDigestRow(row: Row): Digested {
  if (!rowIntact(row)) throw broken(row.rowKey.slice(PREFIX), 0, 'digest row');
  const { up_to: upTo, first_ms: first, last_ms: last, filed_through: filed, archived_through: archived, filed_due: due } = row.properties; // prettier-ignore
  return {
    upTo: Number(upTo),
    bounds: [Number(first), Number(last)],
    filedThrough: filed === undefined ? undefined : Number(filed),
    archivedThrough: archived === undefined ? undefined : Number(archived),
    due: parseDue(typeof due === 'string' ? due : ''),
    etag: row.etag,
  };
}

/** Columns of the row, with its checksum; there are bounds once something was digested. */
export function digestRow(
  partitionKey: string,
  id: string,
  digested: Omit<Digested, 'etag'>,
): { readonly rowKey: string; readonly properties: Properties } {
  const rowKey = digestKey(id);
  const { upTo, bounds = [0, 0], filedThrough, archivedThrough, due } = digested;
  const columns = {
    schema_version: '1.0',
    up_to: upTo,
    first_ms: bounds[0],
    last_ms: bounds[1],
    ...(filedThrough === undefined ? {} : { filed_through: filedThrough }),
    ...(archivedThrough === undefined ? {} : { archived_through: archivedThrough }),
    ...(due.size === 0 ? {} : { filed_due: dueText(due) }),
  };
  return { rowKey, properties: withRowChecksum(partitionKey, rowKey, columns) };
}

/** `<year>:<uuid>`, with a `+` where it is late, divided by spaces. */
function dueText(due: ReadonlyMap<number, DueYear>): string {
  const years = [...due].sort(([a], [b]) => a - b);
  return years.map(([year, { told, late }]) => `${String(year)}:${told}${late ? '+' : ''}`).join(' ');
}

function parseDue(text: string): ReadonlyMap<number, DueYear> {
  return new Map(
    text.split(' ').filter((one) => one !== '').map((one) => {
      const [year = '', told = ''] = one.split(':');
      return [Number(year), { told: told.replace('+', ''), late: told.endsWith('+') }] as const;
    }),
  ); // prettier-ignore
}
