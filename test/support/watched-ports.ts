import type { StoragePorts } from '../../src/storage/ports.js';
import { wrapPorts } from './wrap-ports.js';

/** Calls of ports that change nothing. */
const READS = ['find', 'range', 'list', 'appendState', 'receive'];

/** The same ports; every call that may change something is written into `changes`. */
export function watched(ports: StoragePorts, changes: string[]): StoragePorts {
  return wrapPorts(ports, ({ port, method }, run) => {
    if (!READS.includes(method)) changes.push(`${port}.${method}`);
    return run();
  });
}
