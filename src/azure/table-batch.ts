import { randomUUID } from 'node:crypto';
import type { RowOperation } from '../storage/ports.js';
import type { AzureAnswer } from './faults.js';
import { encodeRow, rowPath } from './table-row.js';
import { errorCode, rootOf, type WireRequest } from './wire.js';

/**
 * Entity-group transactions on the wire. The SDK's `submitTransaction` cannot delete under an ETag (it always sends
 * `If-Match: *`) and makes a client per transaction, so the multipart body is written and read here.
 */
const CRLF = '\r\n';
const METHOD = { insert: 'POST', replace: 'PUT', merge: 'PATCH', upsert: 'PUT', delete: 'DELETE' } as const;

/** One answer of the service inside the answer to a transaction. */
export interface SubAnswer extends AzureAnswer {
  readonly etag: string;
}

/** The request of a transaction; `endpoint` is the table service's URL, perhaps with a SAS. */
export function batchRequest(
  endpoint: string,
  table: string,
  partitionKey: string,
  operations: readonly RowOperation[],
): WireRequest {
  const root = rootOf(endpoint);
  const batch = `batch_${randomUUID()}`;
  const changeset = `changeset_${randomUUID()}`;
  const body = [
    `--${batch}`,
    `Content-Type: multipart/mixed; boundary=${changeset}`,
    '',
    '',
    ...operations.flatMap((operation) => subRequest(root, table, partitionKey, operation, changeset)),
    `--${changeset}--`,
    `--${batch}--`,
    '',
  ].join(CRLF);
  return {
    method: 'POST',
    path: '$batch',
    headers: {
      accept: 'application/json',
      'accept-charset': 'UTF-8',
      'x-ms-version': '2019-02-02',
      dataserviceversion: '3.0;',
      maxdataserviceversion: '3.0;NetFx',
      'content-type': `multipart/mixed; boundary=${batch}`,
    },
    body,
  };
}

function subRequest(
  root: string,
  table: string,
  partitionKey: string,
  operation: RowOperation,
  changeset: string,
): string[] {
  const { kind, rowKey } = operation;
  const path = kind === 'insert' ? table : rowPath(table, partitionKey, rowKey);
  return [
    `--${changeset}`,
    'Content-Type: application/http',
    'Content-Transfer-Encoding: binary',
    '',
    `${METHOD[kind]} ${root}/${path} HTTP/1.1`,
    'Accept: application/json;odata=minimalmetadata',
    'DataServiceVersion: 3.0',
    ...(kind === 'insert' ? ['Prefer: return-no-content'] : []),
    ...('etag' in operation ? [`If-Match: ${operation.etag}`] : []),
    ...(kind === 'delete' ? [] : ['Content-Type: application/json;odata=nometadata']),
    '',
    '',
    kind === 'delete' ? '' : json(encodeRow(partitionKey, rowKey, operation.properties)),
  ];
}

/** One line of JSON; the two characters that are line ends for some parsers are escaped. */
function json(value: unknown): string {
  return JSON.stringify(value).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');
}

/** The answers in a multipart answer, in order: one per operation, or a single failure. */
export function subAnswers(body: string): readonly SubAnswer[] {
  const parts = body.split('--changesetresponse_').slice(1);
  return parts.flatMap((part) => {
    const status = /HTTP\/1\.1 (\d{3})/.exec(part)?.[1];
    if (status === undefined) return [];
    const etag = /^ETag: (.*?)\r?$/im.exec(part)?.[1] ?? '';
    return [{ status: Number(status), code: errorCode(part), etag }];
  });
}
