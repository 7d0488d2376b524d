import { createHash, timingSafeEqual } from 'node:crypto';
import { type Directory, SYSTEM_TABLE } from './directory.js';
import { partitionKey, SYSTEM_TENANT } from './keys.js';
import { isFault, type RecordTable } from './ports.js';

/** Fingerprints of the keys a storage is used with, by the key's name. */
export type KeyFingerprints = Readonly<Record<string, string>>;

/** A fingerprint tells keys apart and tells nothing else: 16 bytes of a domain-separated SHA-256, hex. */
export function keyFingerprint(name: string, key: Uint8Array): string {
  return createHash('sha256').update(`business-records/key/${name}/`).update(key).digest('hex').slice(0, 32);
}

const PARTITION = partitionKey(SYSTEM_TENANT, 'keys');
const ROW = 'fingerprints';

/**
 * Ties a storage to its keys: the first host to use it leaves the fingerprints, every other one compares. Resolves to
 * the name of a key that is another one than this storage was used with, or undefined when all is well. A storage that
 * holds no tenant yet has nothing that a key could be missing for and takes the new ones. So does one that was used with a
 * key of `former`: those are configured as what the key was before.
 */
export async function claimKeys(
  tables: RecordTable,
  directory: Pick<Directory, 'tenants'>,
  keys: KeyFingerprints,
  former: Readonly<Record<string, readonly string[]>> = {},
): Promise<string | undefined> {
  for (;;) {
    const row = await tables.find(SYSTEM_TABLE, PARTITION, ROW);
    if (row !== undefined) {
      const others = Object.keys(keys).filter(
        (name) => !same(String(row.properties[name]), keys[name] ?? ''),
      );
      if (others.length === 0) return undefined;
      const other = others.find((name) => !(former[name] ?? []).includes(String(row.properties[name])));
      if (other !== undefined && (await directory.tenants()).length > 0) return other;
    }
    const operation =
      row === undefined
        ? ({ kind: 'insert', rowKey: ROW, properties: keys } as const)
        : ({ kind: 'replace', rowKey: ROW, properties: keys, etag: row.etag } as const);
    try {
      await tables.commit(SYSTEM_TABLE, PARTITION, [operation]);
      return undefined;
    } catch (error) {
      // Another host was first: compare with what it left.
      if (!isFault(error, 'exists', 'conflict', 'missing')) throw error;
    }
  }
}

function same(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}
