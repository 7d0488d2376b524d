import type { StoragePorts } from '../storage/ports.js';
import { AzureBlobStore } from './blob.js';
import { makeClients, type AzureStorageOptions } from './clients.js';
import { provision, type StorageNames } from './provision.js';
import { AzureWorkQueue } from './queue.js';
import { AzureRecordTable } from './table.js';

export { KeyVaultWrapper, parseVaultKey, type KeyVaultOptions } from './key-vault.js';
export type { AzureStorageOptions } from './clients.js';
export type { StorageNames } from './provision.js';

export interface AzureStorage {
  readonly ports: StoragePorts;
  /** Creates the tables, containers and queues that are missing. */
  provision(names: StorageNames): Promise<void>;
  /** Closes connections; the ports are not to be used afterwards. */
  close(): void;
}

/** The three ports on one Azure storage account (or an emulator). Nothing is sent until a port is called. */
export function openAzureStorage(options: AzureStorageOptions): AzureStorage {
  const clients = makeClients(options);
  return {
    ports: {
      tables: new AzureRecordTable(clients),
      blobs: new AzureBlobStore(clients),
      queues: new AzureWorkQueue(clients),
    },
    provision: (names) => provision(clients, names),
    close: () => clients.close(),
  };
}
