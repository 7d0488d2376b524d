import pLimit from 'p-limit';
import { BLOB_CONTAINERS } from '../storage/keys.js';
import { isFault, type BlobStore } from '../storage/ports.js';
import { ledgerBroken } from './ledger-state.js';
import { parseCheckpoint } from './log/checkpoint.js';
import { isMalformed } from './log/encoding.js';
import { parseNote } from './log/note-format.js';
import { tilePath, tileStem, type Tile } from './log/tiles.js';

/** The checkpoint of a log as it is stored. Who signed it is not looked at. */
export interface StoredCheckpoint {
  readonly size: number;
  /** Lower-case hex. */
  readonly root: string;
  /** The signed note. */
  readonly note: string;
  readonly etag: string;
}

const CONTAINER = BLOB_CONTAINERS.ledger;
/** Calls of storage at once, where the order does not matter. */
const AT_ONCE = 8;

const checkpointName = (tenant: string): string => `${tenant}/checkpoint`;

/**
 * A tenant's log in the container `ledger`, under the paths that C2SP tlog-tiles gives them: `<tenant>/checkpoint` and
 * `<tenant>/tile/...`. Never retries. Faults: `unavailable`.
 */
export class LogStore {
  constructor(private readonly blobs: BlobStore) {}

  /** Undefined before the first one. Throws `integrity-failure` for what is none. */
  async findCheckpoint(tenant: string): Promise<StoredCheckpoint | undefined> {
    const found = await this.blobs.find(CONTAINER, checkpointName(tenant));
    if (found === undefined) return undefined;
    return { ...read(tenant, Buffer.from(found.bytes).toString('utf8')), etag: found.etag };
  }

  /** Puts a signed checkpoint in the place of `previous`. Undefined when somebody else was faster. */
  async replaceCheckpoint(
    tenant: string,
    note: string,
    previous: StoredCheckpoint | undefined,
  ): Promise<StoredCheckpoint | undefined> {
    try {
      const bytes = Buffer.from(note);
      const etag = await this.blobs.swap(CONTAINER, checkpointName(tenant), bytes, previous?.etag);
      return { ...read(tenant, note), etag };
    } catch (error) {
      if (isFault(error, 'exists', 'conflict', 'missing')) return undefined;
      throw error;
    }
  }

  /** Writes tiles and bundles. One that is there already is the same: its path says which leaves it is of. */
  async putTiles(
    tenant: string,
    tiles: readonly { readonly tile: Tile; readonly bytes: Uint8Array }[],
  ): Promise<void> {
    const limit = pLimit(AT_ONCE);
    await Promise.all(tiles.map(({ tile, bytes }) => limit(() => this.#putTile(tenant, tile, bytes))));
  }

  async #putTile(tenant: string, tile: Tile, bytes: Uint8Array): Promise<void> {
    try {
      await this.blobs.putOnce(CONTAINER, `${tenant}/${tilePath(tile)}`, bytes, 'application/octet-stream');
    } catch (error) {
      if (!isFault(error, 'exists')) throw error;
    }
  }

  /** The bytes of just this tile; undefined when there is no such blob. */
  async findTile(tenant: string, tile: Tile): Promise<Uint8Array | undefined> {
    return (await this.blobs.find(CONTAINER, `${tenant}/${tilePath(tile)}`))?.bytes;
  }

  /** Deletes every partial form of a tile, which must be there in full. One list, and one call for each that is left. */
  async dropPartials(tenant: string, tile: Omit<Tile, 'width'>): Promise<void> {
    const limit = pLimit(AT_ONCE);
    let next: string | undefined;
    do {
      const page = await this.blobs.list(CONTAINER, `${tenant}/${tileStem(tile)}.p/`, next);
      await Promise.all(page.names.map((name) => limit(() => this.blobs.delete(CONTAINER, name))));
      next = page.next;
    } while (next !== undefined);
  }
}

function read(tenant: string, text: string): Omit<StoredCheckpoint, 'etag'> {
  const note = parseNote(text);
  const checkpoint = isMalformed(note) ? note : parseCheckpoint(note.text);
  if (isMalformed(checkpoint)) throw ledgerBroken(tenant, `the checkpoint ${checkpoint.malformed}`);
  return { size: checkpoint.size, root: checkpoint.root, note: text };
}
