import { setTimeout as delay } from 'node:timers/promises';
import type { StorageNames } from '../../src/azure/index.js';
import type { StoragePorts } from '../../src/storage/ports.js';
import { useAzurite } from './azurite.js';
import { memoryPorts } from './memory-ports.js';
import { VirtualClock } from './virtual-clock.js';

/** A storage under test: its ports, and a way to let time pass for it. */
export interface StorageUnderTest {
  readonly ports: StoragePorts;
  /** Lets time pass on the storage's own clock. */
  wait(ms: number): Promise<void>;
  close(): void;
}

export interface StorageKind {
  readonly name: string;
  /** True where waiting costs real time, so that long waits are left to the other kind. */
  readonly realTime: boolean;
  /** Azurite answers the seal of a blob in a container that does not exist with BlobNotFound; Azure does not. */
  readonly sealsNowhereAsMissing?: boolean;
  open(names: StorageNames, options?: { readonly listPage?: number }): Promise<StorageUnderTest>;
}

const ALL: readonly StorageKind[] = [
  {
    name: 'in memory',
    realTime: false,
    async open(names, options) {
      const clock = new VirtualClock();
      const ports = memoryPorts({ clock, names, ...options });
      return { ports, wait: (ms) => clock.advance(ms), close: () => undefined };
    },
  },
  {
    name: 'on Azurite',
    realTime: true,
    sealsNowhereAsMissing: true,
    async open(names, options) {
      const azurite = useAzurite(options);
      await azurite.provision(names);
      return { ports: azurite.ports, wait: (ms) => delay(ms), close: () => azurite.close() };
    },
  },
];

/**
 * Every implementation of the ports: what holds for one must hold for all. `TEST_STORAGE` names the only one to be
 * tested, for runs that have to be fast.
 */
export const STORAGES: readonly StorageKind[] = ALL.filter(({ name }) =>
  [undefined, '', name].includes(process.env['TEST_STORAGE']),
);
