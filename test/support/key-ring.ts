import type { Clock, Entropy } from '../../src/domain/clock.js';
import type { KeyWrapper, WrappedKey } from '../../src/domain/key-wrapper.js';
import { openKeyRing, type KeyRing } from '../../src/security/keys/key-ring.js';
import { keyWrappersOf } from '../../src/security/keys/local-key-wrapper.js';
import type { StoragePorts } from '../../src/storage/ports.js';
import { seededEntropy } from './entropy.js';
import { realClock } from './virtual-clock.js';

export interface TestRingOptions {
  readonly clock?: Clock;
  readonly entropy?: Entropy;
  /** The current one first; by default that of `testPlatform`. */
  readonly keys?: readonly Uint8Array[];
  readonly vault?: KeyWrapper | undefined;
}

let rings = 0;

/** The keys of one process on any ports, with caches of its own. */
export function testKeyRing(ports: Pick<StoragePorts, 'tables'>, options: TestRingOptions = {}): KeyRing {
  rings += 1;
  const entropy = options.entropy ?? seededEntropy(`ring ${String(rings)} of ${String(process.pid)}`);
  const keys = options.keys ?? [keyOf(2)];
  const wrappers = keyWrappersOf(options.vault, keys, entropy);
  return openKeyRing({ tables: ports.tables, clock: options.clock ?? realClock, entropy, wrappers }, keys);
}

/** A wrapping key of 32 equal bytes. */
export function keyOf(byte: number): Uint8Array {
  return new Uint8Array(32).fill(byte);
}

/** A vault in memory whose key has as many versions as a test makes, and that can be made to fail. */
export class MemoryVault implements KeyWrapper {
  readonly name = 'https://vault.test/keys/records';
  version = 1;
  readonly calls: string[] = [];
  /** Thrown by the next calls while it is set. */
  failure: Error | undefined;
  readonly #local: (version: string) => KeyWrapper;

  constructor(entropy: Entropy = seededEntropy('vault')) {
    this.#local = (version) => keyWrappersOf(undefined, [keyOf(100 + Number(version))], entropy).current;
  }

  async currentVersion(): Promise<string> {
    this.#called('currentVersion');
    return String(this.version);
  }

  async wrap(tenant: string, key: Uint8Array): Promise<WrappedKey> {
    this.#called('wrap');
    const version = String(this.version);
    const { wrapped } = await this.#local(version).wrap(tenant, key);
    return { wrappedBy: this.name, version, wrapped };
  }

  async unwrap(tenant: string, key: WrappedKey): Promise<Uint8Array | undefined> {
    this.#called('unwrap');
    return this.#local(key.version).unwrap(tenant, key);
  }

  #called(method: string): void {
    this.calls.push(method);
    if (this.failure !== undefined) throw this.failure;
  }
}
