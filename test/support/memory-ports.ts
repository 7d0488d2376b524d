import type { Clock } from '../../src/domain/clock.js';
import type { StoragePorts } from '../../src/storage/ports.js';
import { MemoryBlobs } from './memory-blobs.js';
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
}

/** A storage of its own in memory. */
export function memoryPorts(options: MemoryPortsOptions): StoragePorts {
  const { clock, intercept, names, listPage } = options;
  const ports: StoragePorts = {
    tables: new MemoryTables(clock, names?.tables),
    blobs: new MemoryBlobs(clock, { names: names?.containers, listPage }),
    queues: new MemoryQueues(clock, names?.queues),
  };
  return intercept === undefined ? ports : wrapPorts(ports, intercept);
}
