import { createRequire } from 'node:module';
import type * as lru from 'lru-cache';

const { LRUCache: Whole } = createRequire(import.meta.url)('lru-cache') as typeof lru;

/** More entries than any simulated process has use for. */
const SMALL = 64;

/**
 * The product's cache in a size that costs nothing to make: it sets memory aside for all its entries at once, and a
 * simulation starts a dozen processes for each schedule. Stands in for the package `lru-cache` itself.
 */
export class LRUCache<K extends object | string, V extends object | string | true> extends Whole<K, V> {
  constructor(options: lru.LRUCache.Options<K, V, unknown>) {
    super(options.max === undefined ? options : { ...options, max: Math.min(options.max, SMALL) });
  }
}
