import { createHash, timingSafeEqual } from 'node:crypto';
import { type Directory, SYSTEM_TABLE } from './directory.js';
import { partitionKey, SYSTEM_TENANT } from './keys.js';
import { isFault, type Properties, type RecordTable, type Row } from './ports.js';

/** Fingerprints of the keys a storage is used with, by the key's name. */
export type KeyFingerprints = Readonly<Record<string, string>>;

/** What a host has to work with. */
export interface HostKeys {
  /** Keys of which there is one at a time. */
  readonly fingerprints: KeyFingerprints;
  /** Fingerprints of keys that they have taken the place of, by the key's name. */
  readonly former?: Readonly<Record<string, readonly string[]>>;
  /** Names of key-encryption keys: the one that wraps new keys, and all that unwrap. */
  readonly wrapping: { readonly current: string; readonly known: readonly string[] };
}

/** A fingerprint tells keys apart and tells nothing else: 16 bytes of a domain-separated SHA-256, hex. */
export function keyFingerprint(name: string, key: Uint8Array): string {
  return createHash('sha256').update(`business-records/key/${name}/`).update(key).digest('hex').slice(0, 32);
}

/** The name of a key-encryption key that is given to the process: `local:` and its fingerprint. */
export function localKeyName(key: Uint8Array): string {
  return `local:${keyFingerprint('wrapping', key)}`;
}

const PARTITION = partitionKey(SYSTEM_TENANT, 'keys');
const ROW = 'fingerprints';
/** Names of the key-encryption keys that stored keys may be wrapped by. */
const WRAPPED_BY = 'wrapped_by';
/** Fingerprint of the key that values were sealed under before there were data keys; no rotation reaches those. */
const SEALED_BY = 'WRAPPING_KEY';

/**
 * Ties a storage to its keys: the first host to use it leaves the fingerprints, every other one compares. Resolves to
 * the name of a key that this storage was used with and the host does not have, or undefined when all is well. A
 * key-encryption key may be replaced: the new one is added to those in use, and the former one has to be known until
 * nothing is wrapped by it any more (`retireWrapping`). A storage that holds no tenant yet has nothing that a key could
 * be missing for and takes the new ones.
 * A key whose fingerprint is among `former` may have been replaced by the current one, which then takes its place.
 */
export async function claimKeys(
  tables: RecordTable,
  directory: Pick<Directory, 'tenants'>,
  keys: HostKeys,
): Promise<string | undefined> {
  for (;;) {
    const row = await tables.find(SYSTEM_TABLE, PARTITION, ROW);
    const missing = row === undefined ? undefined : missingKey(row, keys);
    const afresh = row === undefined || (missing !== undefined && (await directory.tenants()).length === 0);
    if (missing !== undefined && !afresh) return missing;
    const { current } = keys.wrapping;
    const inUse = afresh ? [] : wrappingInUse(row);
    if (!afresh && inUse.includes(current) && replaced(row, keys).length === 0) return undefined;
    const sealedBy =
      afresh || row.properties[SEALED_BY] === undefined ? {} : { [SEALED_BY]: row.properties[SEALED_BY] };
    const properties = {
      ...keys.fingerprints,
      ...sealedBy,
      [WRAPPED_BY]: [...new Set([...inUse, current])].join(' '),
    };
    if (await write(tables, properties, row)) return undefined;
    // Another host was first: compare with what it left.
  }
}

/** Names of the key-encryption keys that stored keys may be wrapped by. One point read. */
export async function claimedWrapping(tables: RecordTable): Promise<readonly string[]> {
  const row = await tables.find(SYSTEM_TABLE, PARTITION, ROW);
  return row === undefined ? [] : wrappingInUse(row);
}

/** Hosts may start without these key-encryption keys from now on. Idempotent; at most 1 read and 1 write. */
export async function retireWrapping(tables: RecordTable, names: readonly string[]): Promise<void> {
  for (;;) {
    const row = await tables.find(SYSTEM_TABLE, PARTITION, ROW);
    if (row === undefined) return;
    const inUse = wrappingInUse(row);
    const left = inUse.filter((name) => !names.includes(name));
    if (left.length === inUse.length) return;
    if (await write(tables, { ...row.properties, [WRAPPED_BY]: left.join(' ') }, row)) return;
  }
}

/** Names of the keys of which the storage has another fingerprint. */
function replaced({ properties }: Row, { fingerprints }: HostKeys): readonly string[] {
  return Object.keys(fingerprints).filter(
    (name) => !same(String(properties[name]), fingerprints[name] ?? ''),
  );
}

function missingKey(row: Row, keys: HostKeys): string | undefined {
  const { properties } = row;
  const { wrapping, former = {} } = keys;
  const other = replaced(row, keys).find((name) => !(former[name] ?? []).includes(String(properties[name])));
  if (other !== undefined) return other;
  const sealedBy = properties[SEALED_BY];
  const needed = [
    ...wrappingIn(properties),
    ...(sealedBy === undefined ? [] : [`local:${String(sealedBy)}`]),
  ].find((name) => !wrapping.known.includes(name));
  // Of a vault's key its name is no secret and the only way to tell which.
  return needed?.startsWith('local:') === true ? SEALED_BY : needed && `KEY_VAULT_KEY ${needed}`;
}

const wrappingInUse = (row: Row): readonly string[] => wrappingIn(row.properties);

function wrappingIn(properties: Properties): readonly string[] {
  return String(properties[WRAPPED_BY] ?? '')
    .split(' ')
    .filter((name) => name !== '');
}

/** False when the row is not the one that was read. */
async function write(tables: RecordTable, properties: Properties, row: Row | undefined): Promise<boolean> {
  const operation =
    row === undefined
      ? ({ kind: 'insert', rowKey: ROW, properties } as const)
      : ({ kind: 'replace', rowKey: ROW, properties, etag: row.etag } as const);
  try {
    await tables.commit(SYSTEM_TABLE, PARTITION, [operation]);
    return true;
  } catch (error) {
    if (!isFault(error, 'exists', 'conflict', 'missing')) throw error;
    return false;
  }
}

function same(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}
