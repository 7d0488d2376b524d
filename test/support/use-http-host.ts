import { afterAll, beforeAll } from 'vitest';
import { httpHost, type HttpHost } from './http-harness.js';
import { openStorage, type STORAGES } from './platform.js';
import type { StorageUnderTest } from './storages.js';

/** One host on a storage of its own for the tests of a block: opened before the first, closed after the last. */
export function useHttpHost(kind: (typeof STORAGES)[number]): {
  readonly storage: StorageUnderTest;
  readonly host: HttpHost;
} {
  let storage: StorageUnderTest | undefined;
  let host: HttpHost | undefined;
  beforeAll(async () => {
    storage = await openStorage(kind);
    host = httpHost(storage.ports);
  });
  afterAll(() => storage?.close());
  return { storage: later(() => storage), host: later(() => host) };
}

/** What is there once the tests run, under a name that may be written down before. */
function later<T extends object>(find: () => T | undefined): T {
  return new Proxy({} as T, {
    get: (_, name) => {
      const found = find();
      if (found === undefined) throw new Error('only tests may use the host');
      const value: unknown = Reflect.get(found, name);
      return typeof value === 'function' ? (value.bind(found) as unknown) : value;
    },
  });
}
