import type { Clock } from '../../src/domain/clock.js';
import type { Row, StoragePorts } from '../../src/storage/ports.js';
import { MemoryBlobs, type BlobAtRest } from './memory-blobs.js';
import { MemoryQueues } from './memory-queues.js';
import { MemoryTables } from './memory-tables.js';
import { wrapPorts, type Intercept } from './wrap-ports.js';

export type { Intercept, PortCall } from './wrap-ports.js';

export interface MemoryPortsOptions {
  readonly clock: Clock;
  /** Stands around every call; see `wrapPorts`. */
  readonly intercept?: Intercept | undefined;
  /** What exists; left out, everything does. */
  readonly names?: {
    readonly tables: readonly string[];
    readonly containers: readonly string[];
    readonly queues: readonly string[];
  };
  /** Names in one page of `blobs.list`. */
  readonly listPage?: number;
  /** Makes the ids of messages, receipts and leases; random when left out. */
  readonly newId?: () => string;
  /** Whether copies from the archive tier stay pending until `endCopies`. */
  readonly copiesWait?: () => boolean;
}

/** Everything a storage holds, in no order. */
export interface StorageContents {
  readonly rows: readonly { readonly table: string; readonly row: Row }[];
  readonly blobs: readonly BlobAtRest[];
  readonly messages: readonly { readonly queue: string; readonly id: string; readonly text: string }[];
}

/** A storage in memory that can be looked into as a whole. */
export interface MemoryStorage {
  readonly ports: StoragePorts;
  contents(): StorageContents;
  messages(): StorageContents['messages'];
  /** Ends the copies that are pending. */
  endCopies(how?: 'done' | 'failed'): void;
}

export function memoryStorage(options: MemoryPortsOptions): MemoryStorage {
  const { clock, intercept, names, listPage, newId, copiesWait } = options;
  const tables = new MemoryTables(clock, names?.tables);
  const blobs = new MemoryBlobs(clock, { names: names?.containers, listPage, newId, copiesWait });
  const queues = new MemoryQueues(clock, names?.queues, newId);
  const ports: StoragePorts = { tables, blobs, queues };
  return {
    ports: intercept === undefined ? ports : wrapPorts(ports, intercept),
    messages: () => [...queues.all()],
    endCopies: (how) => blobs.endCopies(how),
    contents: () => ({ rows: [...tables.all()], blobs: [...blobs.all()], messages: [...queues.all()] }),
  };
}

/** A storage of its own in memory. */
export function memoryPorts(options: MemoryPortsOptions): StoragePorts {
  return memoryStorage(options).ports;
}
