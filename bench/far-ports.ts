import { Worker } from 'node:worker_threads';
import { StorageFault, type StorageFaultKind, type StoragePorts } from '../src/storage/ports.js';

export interface ThreadCall {
  readonly id: number;
  /** `thread`: of the thread itself. */
  readonly port: keyof StoragePorts | 'thread';
  readonly method: string;
  readonly args: readonly unknown[];
}

export interface ThreadAnswer {
  readonly id: number;
  readonly value?: unknown;
  readonly fault?: { readonly kind: StorageFaultKind; readonly message: string };
  readonly error?: string;
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** What 100,000 records take of it, several times over. */
const HEAP_MB = 12_000;

export interface FarPorts {
  readonly ports: StoragePorts;
  /** Makes the records for a piece of work, over there. */
  prepare(work: string, tenant: string, records: number): Promise<unknown>;
  close(): Promise<unknown>;
}

/**
 * A storage in memory whose memory is not that of this thread: what the heap here holds is what the platform holds.
 * `module` is that of `memory-thread.ts`.
 */
export function farPorts(module: URL): FarPorts {
  const worker = new Worker(module, { resourceLimits: { maxOldGenerationSizeMb: HEAP_MB } });
  const waiting = new Map<number, Waiting>();
  let last = 0;
  worker.on('message', ({ id, value, fault, error }: ThreadAnswer) => {
    const who = waiting.get(id);
    waiting.delete(id);
    if (fault !== undefined) who?.reject(new StorageFault(fault.kind, fault.message));
    else if (error !== undefined) who?.reject(new Error(error));
    else who?.resolve(value);
  });
  worker.on('error', (error) => {
    for (const { reject } of waiting.values()) reject(error);
  });
  const ask = (call: Omit<ThreadCall, 'id'>): Promise<unknown> =>
    new Promise((resolve, reject) => {
      last += 1;
      waiting.set(last, { resolve, reject });
      worker.postMessage({ id: last, ...call } satisfies ThreadCall);
    });
  const far = (port: keyof StoragePorts) => {
    const get = (_: object, method: string | symbol) => (...args: readonly unknown[]) => ask({ port, method: String(method), args }); // prettier-ignore
    return new Proxy({}, { get });
  };
  const ports = { tables: far('tables'), blobs: far('blobs'), queues: far('queues') } as StoragePorts;
  return {
    ports,
    prepare: (...args) => ask({ port: 'thread', method: 'prepare', args }),
    close: () => worker.terminate(),
  };
}
