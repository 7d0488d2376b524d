import type { BlobStore, RecordTable, StoragePorts, WorkQueue } from '../../src/storage/ports.js';

/** One call of a port, as a test sees it. */
export interface PortCall {
  readonly port: keyof StoragePorts;
  readonly method: string;
  readonly args: readonly unknown[];
}

/** Stands around every call of a port: may run it, fail before or after it, delay it, or never return. */
export type Intercept = (call: PortCall, run: () => Promise<unknown>) => Promise<unknown>;

type Method = (...args: readonly unknown[]) => Promise<unknown>;

function wrapPort<P extends RecordTable | BlobStore | WorkQueue>(
  port: keyof StoragePorts,
  target: P,
  intercept: Intercept,
): P {
  return new Proxy(target, {
    get(object, name) {
      const member: unknown = Reflect.get(object, name);
      if (typeof member !== 'function' || typeof name !== 'string') return member;
      const method = member as Method;
      return (...args: readonly unknown[]) =>
        intercept({ port, method: name, args }, () => method.apply(object, args as unknown[]));
    },
  });
}

/** The same ports with every call going through `intercept`; wrap one storage several times for several hosts. */
export function wrapPorts(ports: StoragePorts, intercept: Intercept): StoragePorts {
  return {
    tables: wrapPort('tables', ports.tables, intercept),
    blobs: wrapPort('blobs', ports.blobs, intercept),
    queues: wrapPort('queues', ports.queues, intercept),
  };
}
