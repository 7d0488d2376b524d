import type { PipelineResponse } from '@azure/core-rest-pipeline';
import { StorageFault, type RangePage, type RangeQuery, type Row } from '../storage/ports.js';
import { decodeRow, rowPath, type WireRow } from './table-row.js';
import type { WireRequest } from './wire.js';

const HEADERS = {
  accept: 'application/json;odata=minimalmetadata',
  dataserviceversion: '3.0',
  'x-ms-version': '2019-02-02',
};

/** A point read. */
export function rowRequest(table: string, partitionKey: string, rowKey: string): WireRequest {
  return { method: 'GET', path: rowPath(table, partitionKey, rowKey), headers: HEADERS };
}

/** Where the service left off in a range; an empty answer with a continuation is not the end. */
export type Continuation = Readonly<Record<string, string>>;

/** A range read, or its continuation. */
export function rangeRequest(
  table: string,
  partitionKey: string,
  { from, to, limit }: RangeQuery,
  continuation: Continuation = {},
): WireRequest {
  const filter = `PartitionKey eq ${quoted(partitionKey)} and RowKey ge ${quoted(from)} and RowKey lt ${quoted(to)}`;
  const query = { $top: String(limit), $filter: filter, ...continuation };
  return { method: 'GET', path: `${table}()`, query, headers: HEADERS };
}

export function rowOf(response: PipelineResponse, what: string): Row {
  return decodeRow(objectOf(response, what));
}

/** The rows of a range read, and where it goes on when there is more. */
export function pageOf(
  response: PipelineResponse,
  what: string,
): RangePage & { readonly continuation: Continuation } {
  const { value } = objectOf(response, what);
  if (!Array.isArray(value)) throw new Error('a page came without its rows');
  const names = ['NextPartitionKey', 'NextRowKey'];
  const found = names.map((name) => [name, response.headers.get(`x-ms-continuation-${name}`) ?? ''] as const);
  const continuation = Object.fromEntries(found.filter(([, key]) => key !== ''));
  const more = Object.keys(continuation).length > 0;
  return { rows: (value as WireRow[]).map(decodeRow), more, continuation };
}

/** The JSON object of an answer: the pipeline has parsed it, or refused what is none. */
function objectOf(response: PipelineResponse, what: string): Readonly<Record<string, unknown>> {
  const parsed: unknown = Reflect.get(response, 'parsedBody');
  if (typeof parsed === 'object' && parsed !== null) return parsed as Record<string, unknown>;
  throw new StorageFault('unavailable', `the ${what} broke off its answer`);
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
