import type { Entropy } from '../../domain/clock.js';
import type { KeyWrapper, KeyWrappers, WrappedKey } from '../../domain/key-wrapper.js';
import { localKeyName } from '../../storage/key-claim.js';
import { KEY_BYTES, unwrapKey, wrapKey } from './wrap-key.js';

/** A key that is given to the process has one version; another key has another name. */
const VERSION = '1';

/** A key-encryption key that the process was given, e.g. in its environment. */
class LocalKeyWrapper implements KeyWrapper {
  readonly name: string;

  /** Throws TypeError unless the key has 32 bytes. */
  constructor(
    private readonly key: Uint8Array,
    private readonly entropy: Entropy,
  ) {
    if (key.length !== KEY_BYTES) throw new TypeError(`a wrapping key has ${String(KEY_BYTES)} bytes`);
    this.name = localKeyName(key);
  }

  async currentVersion(): Promise<string> {
    return VERSION;
  }

  async wrap(tenant: string, key: Uint8Array): Promise<WrappedKey> {
    const wrapped = wrapKey(this.key, key, [tenant, this.name], this.entropy);
    return { wrappedBy: this.name, version: VERSION, wrapped };
  }

  async unwrap(tenant: string, { wrapped }: WrappedKey): Promise<Uint8Array | undefined> {
    return unwrapKey(this.key, wrapped, [tenant, this.name]);
  }
}

/**
 * The key-encryption keys of a process: that of a vault where there is one, else the first of the given ones; all others
 * unwrap what they wrapped before. Throws TypeError when there is none at all.
 */
export function keyWrappersOf(
  vault: KeyWrapper | undefined,
  given: readonly Uint8Array[],
  entropy: Entropy,
): KeyWrappers {
  const local = given.map((key) => new LocalKeyWrapper(key, entropy));
  const all: readonly KeyWrapper[] = vault === undefined ? local : [vault, ...local];
  const [current, ...former] = all;
  if (current === undefined) throw new TypeError('there is no key to wrap others with');
  return { current, former };
}
