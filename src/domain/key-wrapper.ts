/** A key as it is stored: encrypted under a key-encryption key. */
export interface WrappedKey {
  /** `KeyWrapper.name` of what wrapped it. */
  readonly wrappedBy: string;
  /** The version of that key, as it names its versions. */
  readonly version: string;
  /** base64url. */
  readonly wrapped: string;
}

/**
 * One key-encryption key, in a vault or given to the process: it wraps the keys of tenants and never anything else
 * (security.md, Keys). Every call throws StorageFault `unavailable` when the vault is throttled or cannot be reached, and
 * `refused` when it says no for good: the key or its version is disabled, or this process may not use it.
 */
export interface KeyWrapper {
  /** What it is called in rows, the same wherever the same key is configured. Tells nothing of the key. */
  readonly name: string;
  /** The version that `wrap` uses now. */
  currentVersion(): Promise<string>;
  /** Wraps 32 bytes. */
  wrap(tenant: string, key: Uint8Array): Promise<WrappedKey>;
  /** The inverse, also of an older version; undefined when it is not what was wrapped. */
  unwrap(tenant: string, wrapped: WrappedKey): Promise<Uint8Array | undefined>;
}

/** The key-encryption keys of a process: new keys are wrapped by the first, stored ones unwrapped by whichever wrapped them. */
export interface KeyWrappers {
  readonly current: KeyWrapper;
  readonly former: readonly KeyWrapper[];
}

/** The key-encryption key of that name; undefined when it is not configured. */
export function wrapperNamed(wrappers: KeyWrappers, name: string): KeyWrapper | undefined {
  return [wrappers.current, ...wrappers.former].find((wrapper) => wrapper.name === name);
}
