import { createDefaultHttpClient, type HttpClient } from '@azure/core-rest-pipeline';
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
import { batchRequest, errorCode, subAnswers } from './table-batch.js';
import { decodeRow, encodeRow, type SdkEntity } from './table-row.js';

/** `RecordTable` on Azure Table Storage. */
export class AzureRecordTable implements RecordTable {
  readonly #http: HttpClient = createDefaultHttpClient();

  constructor(private readonly clients: AzureClients) {}

  async find(table: string, partitionKey: string, rowKey: string): Promise<Row | undefined> {
    checkKey('partition key', partitionKey);
    checkKey('row key', rowKey);
    try {
      return await this.#attempt(table, async (client, abortSignal) =>
        decodeRow(await client.getEntity<SdkEntity>(partitionKey, rowKey, { abortSignal })),
      );
    } catch (error) {
      if (isFault(error, 'missing')) return undefined;
      throw error;
    }
  }

  async range(table: string, partitionKey: string, query: RangeQuery): Promise<RangePage> {
    checkKey('partition key', partitionKey);
    checkRange(query);
    if (query.from >= query.to) return { rows: [], more: false };
    return this.#attempt(table, async (client, abortSignal) => {
      const filter = `PartitionKey eq ${quoted(partitionKey)} and RowKey ge ${quoted(query.from)} and RowKey lt ${quoted(query.to)}`;
      const pages = client
        .listEntities<SdkEntity>({ queryOptions: { filter }, abortSignal })
        .byPage({ maxPageSize: query.limit });
      // The service may answer an empty page with a continuation (a server boundary, a time limit): not an end.
      for await (const page of pages) {
        const more = page.continuationToken !== undefined && page.continuationToken !== '';
        if (page.length > 0 || !more) return { rows: page.map(decodeRow), more };
      }
      return { rows: [], more: false };
    });
  }

  async commit(
    table: string,
    partitionKey: string,
    operations: readonly RowOperation[],
  ): Promise<readonly string[]> {
    checkTransaction(partitionKey, operations);
    const [only] = operations;
    return this.#attempt(table, (client, abortSignal) =>
      operations.length === 1 && only !== undefined
        ? single(client, partitionKey, only, abortSignal)
        : this.#transaction(client, table, partitionKey, operations, abortSignal),
    );
  }

  async #transaction(
    client: TableClient,
    table: string,
    partitionKey: string,
    operations: readonly RowOperation[],
    abortSignal: AbortSignal,
  ): Promise<readonly string[]> {
    const request = batchRequest(client.url, table, partitionKey, operations, abortSignal);
    const response = await client.pipeline.sendRequest(this.#http, request);
    const body = response.bodyAsText ?? '';
    const what = `table ${table}`;
    if (response.status !== 202) {
      const code = response.headers.get('x-ms-error-code') ?? errorCode(body);
      throw faultOfAnswer({ status: response.status, code }, what);
    }
    const answers = subAnswers(body);
    const failed = answers.find(({ status }) => status >= 300);
    // An answer cut short: what it would have said is not known.
    const whole = failed === undefined ? answers.length === operations.length : failed.code !== undefined;
    if (failed !== undefined && whole) throw faultOfAnswer(failed, what);
    if (!whole) throw new StorageFault('unavailable', `the ${what} broke off its answer`);
    return answers.map(({ etag }, index) => (operations[index]?.kind === 'delete' ? '' : etag));
  }

  #attempt<T>(table: string, call: (client: TableClient, signal: AbortSignal) => Promise<T>): Promise<T> {
    return attempt(`table ${table}`, this.clients.tryMs, (signal) => call(this.clients.table(table), signal));
  }
}

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

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
