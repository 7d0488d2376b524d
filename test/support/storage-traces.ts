import { TableClient, TableServiceClient } from '@azure/data-tables';
import { BlobServiceClient } from '@azure/storage-blob';
import { QueueServiceClient } from '@azure/storage-queue';
import type { StorageContents } from './memory-ports.js';
import type { Trace } from './secret-search.js';
import type { Intercept } from './wrap-ports.js';

/** Everything that crosses the ports on its way into storage, also what is gone from there later. */
export function writtenTraces(traces: Trace[]): Intercept {
  return (call, run) => {
    const { port, method, args } = call;
    // Also what is asked for: keys and names are stored by whoever logs requests.
    traces.push({ where: `${port}.${method} of ${String(args[0])}`, content: JSON.stringify(args.filter((arg) => !(arg instanceof Uint8Array))) }); // prettier-ignore
    for (const arg of args)
      if (arg instanceof Uint8Array)
        traces.push({ where: `${port}.${method} of ${String(args[1])}`, content: Uint8Array.from(arg) });
    return run();
  };
}

/** Everything in a storage in memory. */
export function memoryTraces({ rows, blobs, messages }: StorageContents): readonly Trace[] {
  return [
    ...rows.flatMap(({ table, row }) => [
      { where: `key in ${table}`, content: row.rowKey },
      ...Object.entries(row.properties).map(([name, value]) => ({ where: `${name} in ${table}`, content: String(value) })), // prettier-ignore
    ]),
    ...blobs.flatMap(({ container, name, bytes }) => [
      { where: `name in ${container}`, content: name },
      { where: `blob ${container}/${name}`, content: bytes },
    ]),
    ...messages.map(({ queue, text }) => ({ where: `message of ${queue}`, content: text })),
  ];
}

/** Everything in a storage account, read by clients that know nothing of ours. */
export async function accountTraces(connectionString: string): Promise<readonly Trace[]> {
  const traces: Trace[] = [];
  const options = { allowInsecureConnection: true };
  for await (const { name = '' } of TableServiceClient.fromConnectionString(
    connectionString,
    options,
  ).listTables())
    // prettier-ignore
    for await (const entity of TableClient.fromConnectionString(connectionString, name, options).listEntities()) // prettier-ignore
      for (const [property, value] of Object.entries(entity))
        traces.push({ where: `${property} in ${name}`, content: String(value) });
  const blobs = BlobServiceClient.fromConnectionString(connectionString);
  for await (const { name: container } of blobs.listContainers()) {
    const client = blobs.getContainerClient(container);
    for await (const { name, metadata } of client.listBlobsFlat({ includeMetadata: true })) {
      const content = await client.getBlobClient(name).downloadToBuffer();
      traces.push({ where: `blob ${container}/${name}`, content });
      traces.push({ where: `name in ${container}`, content: JSON.stringify([name, metadata ?? {}]) });
    }
  }
  const queues = QueueServiceClient.fromConnectionString(connectionString);
  for await (const { name } of queues.listQueues()) {
    const client = queues.getQueueClient(name);
    for (;;) {
      const { receivedMessageItems: items } = await client.receiveMessages({ numberOfMessages: 32, visibilityTimeout: 600 }); // prettier-ignore
      if (items.length === 0) break;
      for (const { messageText } of items) traces.push({ where: `message of ${name}`, content: messageText });
    }
  }
  return traces;
}
