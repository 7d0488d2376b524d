import { Worker } from 'node:worker_threads';
import { StorageFault, type StorageFaultKind, type StoragePorts } from '../src/storage/ports.js';

export interface ThreadCall {
  readonly id: number;
  readonly port: keyof StoragePorts;
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

/**
 * A storage in memory whose memory is not that of this thread: what the heap here holds is what the platform holds.
 * `module` is that of `memory-thread.ts`.
 */
export function farPorts(module: URL): { readonly ports: StoragePorts; close(): Promise<void> } {
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
  const far = (port: keyof StoragePorts) =>
    new Proxy(
      {},
      {
        get:
          (_, method) =>
          (...args: readonly unknown[]) =>
            new Promise((resolve, reject) => {
              last += 1;
              waiting.set(last, { resolve, reject });
              worker.postMessage({ id: last, port, method: String(method), args } satisfies ThreadCall);
            }),
      },
    );
  const ports = { tables: far('tables'), blobs: far('blobs'), queues: far('queues') } as StoragePorts;
  return { ports, close: async () => void (await worker.terminate()) };
}
