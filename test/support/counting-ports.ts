import type { StoragePorts } from '../../src/storage/ports.js';
import { wrapPorts, type PortCall } from './wrap-ports.js';

export interface CountingPorts {
  readonly ports: StoragePorts;
  /** Every call since the last reset, in the order they began. */
  readonly calls: PortCall[];
  reset(): void;
  /** Number of calls by `port.method`, such as `tables.commit`; of those that `only` lets through. */
  counts(only?: (call: PortCall) => boolean): Record<string, number>;
}

/** Records every call of any ports, so that a test can assert what an operation costs. */
export function countingPorts(ports: StoragePorts): CountingPorts {
  const calls: PortCall[] = [];
  return {
    ports: wrapPorts(ports, (call, run) => {
      calls.push(call);
      return run();
    }),
    calls,
    reset: () => void calls.splice(0),
    counts(only = () => true) {
      const counts: Record<string, number> = {};
      for (const { port, method } of calls.filter(only))
        counts[`${port}.${method}`] = (counts[`${port}.${method}`] ?? 0) + 1;
      return counts;
    },
  };
}
