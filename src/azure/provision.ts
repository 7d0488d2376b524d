import pLimit from 'p-limit';
import { isFault } from '../storage/ports.js';
import type { AzureClients } from './clients.js';
import { attempt } from './faults.js';

/** The tables, containers and queues an application needs. */
export interface StorageNames {
  readonly tables: readonly string[];
  readonly containers: readonly string[];
  readonly queues: readonly string[];
}

const CONCURRENCY = 8;

/** Storage that is about to start, or busy, may not answer at first. */
const TRIES = 3;

/** Creates what is missing. Idempotent, and safe to run from several processes at once. Throws StorageFault. */
export async function provision(clients: AzureClients, names: StorageNames): Promise<void> {
  const limit = pLimit(CONCURRENCY);
  const make = (what: string, create: (abortSignal: AbortSignal) => Promise<unknown>): Promise<void> =>
    limit(async () => {
      for (let tries = 1; ; tries += 1)
        try {
          await attempt(what, clients.tryMs, create);
          return;
        } catch (error) {
          if (isFault(error, 'exists')) return;
          if (!isFault(error, 'unavailable') || tries === TRIES) throw error;
        }
    });
  await Promise.all([
    ...names.tables.map((name) =>
      make(`table ${name}`, (abortSignal) => clients.tables.createTable(name, { abortSignal })),
    ),
    ...names.containers.map((name) =>
      make(`container ${name}`, (abortSignal) =>
        clients.blobs.getContainerClient(name).create({ abortSignal }),
      ),
    ),
    ...names.queues.map((name) =>
      make(`queue ${name}`, (abortSignal) => clients.queues.getQueueClient(name).create({ abortSignal })),
    ),
  ]);
}
