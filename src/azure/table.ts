import type { PipelineResponse } from '@azure/core-rest-pipeline';
import type { TableClient } from '@azure/data-tables';
import {
  isFault,
  StorageFault,
  type RangePage,
  type RangeQuery,
  type RecordTable,
} from '../storage/ports.js';
import type { Row, RowOperation } from '../storage/ports.js';
import { checkKey, checkRange, checkTransaction } from '../storage/row-limits.js';
import type { AzureClients } from './clients.js';
import { attempt, faultOfAnswer } from './faults.js';
import { batchRequest, subAnswers } from './table-batch.js';
import { pageOf, rangeRequest, rowOf, rowRequest } from './table-read.js';
import { encodeRow } from './table-row.js';
import type { WireRequest } from './wire.js';

/** `RecordTable` on Azure Table Storage. */
export class AzureRecordTable implements RecordTable {
  constructor(private readonly clients: AzureClients) {}

  async find(table: string, partitionKey: string, rowKey: string): Promise<Row | undefined> {
    checkKey('partition key', partitionKey);
    checkKey('row key', rowKey);
    const request = rowRequest(table, partitionKey, rowKey);
    try {
      return await this.#attempt(table, async (send, what) => rowOf(await send(request, 200), what));
    } catch (error) {
      if (isFault(error, 'missing')) return undefined;
      throw error;
    }
  }

  async range(table: string, partitionKey: string, query: RangeQuery): Promise<RangePage> {
    checkKey('partition key', partitionKey);
    checkRange(query);
    if (query.from >= query.to) return { rows: [], more: false };
    return this.#attempt(table, async (send, what) => {
      let request = rangeRequest(table, partitionKey, query);
      // The service may answer an empty page with a continuation (a server boundary, a time limit): not an end.
      for (;;) {
        const { rows, more, continuation } = pageOf(await send(request, 200), what);
        if (rows.length > 0 || !more) return { rows, more };
        request = rangeRequest(table, partitionKey, query, continuation);
      }
    });
  }

  async commit(
    table: string,
    partitionKey: string,
    operations: readonly RowOperation[],
  ): Promise<readonly string[]> {
    checkTransaction(partitionKey, operations);
    const [only] = operations;
    return this.#attempt(table, (send, what, abortSignal) =>
      operations.length === 1 && only !== undefined
        ? single(this.clients.table(table), partitionKey, only, abortSignal)
        : this.#transaction(send, what, table, partitionKey, operations),
    );
  }

  async #transaction(
    send: Send,
    what: string,
    table: string,
    partitionKey: string,
    operations: readonly RowOperation[],
  ): Promise<readonly string[]> {
    const request = batchRequest(this.clients.tables.url, table, partitionKey, operations);
    const answers = subAnswers((await send(request, 202)).bodyAsText ?? '');
    const failed = answers.find(({ status }) => status >= 300);
    // An answer cut short: what it would have said is not known.
    const whole = failed === undefined ? answers.length === operations.length : failed.code !== undefined;
    if (failed !== undefined && whole) throw faultOfAnswer(failed, what);
    if (!whole) throw new StorageFault('unavailable', `the ${what} broke off its answer`);
    return answers.map(({ etag }, index) => (operations[index]?.kind === 'delete' ? '' : etag));
  }

  #attempt<T>(
    table: string,
    call: (send: Send, what: string, abortSignal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const what = `table ${table}`;
    return attempt(what, this.clients.tryMs, (abortSignal) => {
      const send: Send = (request, expected) =>
        this.clients.wires.tables.send(request, [expected], what, abortSignal);
      return call(send, what, abortSignal);
    });
  }
}

/** Sends a request of the call in hand. */
type Send = (request: WireRequest, expected: number) => Promise<PipelineResponse>;

/** One operation needs no transaction: a plain call of the same meaning. */
async function single(
  client: TableClient,
  partitionKey: string,
  operation: RowOperation,
  abortSignal: AbortSignal,
): Promise<readonly string[]> {
  const { rowKey } = operation;
  if (operation.kind === 'delete') {
    await client.deleteEntity(partitionKey, rowKey, { etag: operation.etag, abortSignal });
    return [''];
  }
  const encoded = encodeRow(partitionKey, rowKey, operation.properties);
  const entity = { ...encoded, partitionKey, rowKey };
  const { etag } = await write(client, operation, entity, abortSignal);
  if (etag === undefined) throw new StorageFault('unavailable', 'the table did not tell the new version');
  return [etag];
}

function write(
  client: TableClient,
  operation: Exclude<RowOperation, { kind: 'delete' }>,
  entity: { partitionKey: string; rowKey: string },
  abortSignal: AbortSignal,
): Promise<{ etag?: string }> {
  switch (operation.kind) {
    case 'insert':
      return client.createEntity(entity, { abortSignal });
    case 'upsert':
      return client.upsertEntity(entity, 'Replace', { abortSignal });
    case 'replace':
      return client.updateEntity(entity, 'Replace', { etag: operation.etag, abortSignal });
    case 'merge':
      return client.updateEntity(entity, 'Merge', { etag: operation.etag, abortSignal });
  }
}
