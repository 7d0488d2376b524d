import pLimit from 'p-limit';
import { LIMITS } from '../domain/limits.js';
import type { RecordType } from '../domain/record-type.js';
import { Budget } from './backoff.js';
import { clearingKey, clearingRow, parseClearing, type Clearing } from './clearing-row.js';
import type { DetailStore } from './detail-store.js';
import type { PartitionRef } from './directory.js';
import { BLOB_CONTAINERS, partitionKey, prefixRange, recordKey, rehydrationKey } from './keys.js';
import { forgetLinks } from './lineage-rows.js';
import type { StorageManagerOptions } from './manager-types.js';
import { PartClearer } from './part-clearer.js';
import { isFault, type Row, type RowOperation } from './ports.js';
import { recordBlobs } from './record-location.js';
import type { RecordLocator } from './record-locator.js';
import { broken } from './record-row.js';
import { isTombstone, parseTombstone, tombstoneRow, type Tombstone } from './tombstone-row.js';

const { records: CONTAINER } = BLOB_CONTAINERS;
const PARALLEL = 4;
/** Besides the tombstone and the rows `t:` and `y:`. */
const REVISIONS = LIMITS.transactionRows - 3;

interface Held {
  readonly row: Row;
  readonly tombstone: Tombstone;
}

/**
 * Clears what a tombstone stands for: entries and what follows from them, every blob of the record's own, the rows of its
 * links and its revision rows. Every step is harmless when it was done before, and each call goes on where the last one
 * came to; several may be at it at once. A pack that others share stays until its last member is gone.
 */
export class RecordClearer {
  readonly #parts: PartClearer;

  constructor(
    private readonly tools: StorageManagerOptions,
    details: DetailStore,
    private readonly locator: RecordLocator,
  ) {
    this.#parts = new PartClearer(tools, details, () => this.#budget());
  }

  /**
   * A record without entries, of one revision: 2 point reads, 1 list, 1 blob deletion, 1 range read, 1 transaction; where its
   * type has streams, or it was in the archive, 1 point read more. What
   * has entries is cleared `again` in a later round (`last`), for a writer that slept may have left something after the
   * first time; what it can leave of others is collected as an orphan. False when time was up first. Throws
   * `integrity-failure` for what does not hold together, which stays; `storage-unavailable`.
   */
  async clear(
    type: RecordType,
    tenant: string,
    id: string,
    { last = false }: { readonly last?: boolean },
    timeIsUp: () => boolean,
  ): Promise<boolean> {
    const ref = await this.locator.locate(type, tenant, id, this.#budget());
    const { parts } = type;
    const first = await this.#tombstone(ref, id);
    if (first.tombstone.state === 'clearing') {
      if (parts !== undefined) {
        await this.#parts.fence(this.#parts.placeOf(type, parts, tenant, id), id);
        const { tombstone } = parts.series === undefined ? first : await this.#bounded(type, ref, first);
        if (!(await this.#parts.clear(type, parts, tenant, id, tombstone.bounds, timeIsUp))) return false;
      }
      if (!(await this.#blobs(type, ref, id, timeIsUp))) return false;
      await forgetLinks(this.tools.ports.tables, tenant, id, first.tombstone.links, this.#budget());
    }
    const how = { last, mayBeBack: parts?.series !== undefined, streams: parts?.stream !== undefined };
    return this.#finish(ref, id, last || parts === undefined ? 'cleared' : 'clearing', how, timeIsUp);
  }

  async #tombstone(ref: PartitionRef, id: string): Promise<Held> {
    const key = partitionKey(ref.tenant, ref.partition);
    const row = await this.#budget().retry(() => this.tools.ports.tables.find(ref.table, key, recordKey(id)));
    if (row === undefined || !isTombstone(row)) throw broken(id, 0, 'tombstone missing');
    return { row, tombstone: parseTombstone(row) };
  }

  /** The tombstone with the times of the series in it, so that they are known when the entries are gone. */
  async #bounded(type: RecordType, ref: PartitionRef, held: Held): Promise<Held> {
    const key = partitionKey(ref.tenant, ref.partition);
    const { id } = held.tombstone;
    const { parts } = type;
    for (let now = held; ; now = await this.#tombstone(ref, id)) {
      if (now.tombstone.bounds !== undefined || parts === undefined) return now;
      const bounds = await this.#parts.boundsOf(type, parts, ref, id);
      if (bounds === undefined) return now;
      const tombstone = { ...now.tombstone, bounds };
      const operation: RowOperation = {
        kind: 'replace',
        ...tombstoneRow(key, tombstone),
        etag: now.row.etag,
      };
      try {
        await this.#budget().retry(() => this.tools.ports.tables.commit(ref.table, key, [operation]));
        return { ...now, tombstone };
      } catch (error) {
        if (!isFault(error, 'conflict')) throw error;
      }
    }
  }

  /** Every blob whose name has the id: details of revisions, also those no row names, and lines of entries. */
  async #blobs(type: RecordType, ref: PartitionRef, id: string, timeIsUp: () => boolean): Promise<boolean> {
    const { blobs } = this.tools.ports;
    const prefix = recordBlobs(type, ref, id);
    const limit = pLimit(PARALLEL);
    for (let next: string | undefined; ;) {
      const page = await this.#budget().retry(() => blobs.list(CONTAINER, prefix, next));
      await Promise.all(
        page.names.map((name) => limit(() => this.#budget().retry(() => blobs.delete(CONTAINER, name)))),
      );
      next = page.next;
      if (next === undefined) return true;
      if (timeIsUp()) return false;
    }
  }

  /**
   * Deletes the revision rows, and with the last of them says how far it has come. `mayBeBack`: what was brought back from the
   * archive need not be a revision.
   */
  async #finish(
    ref: PartitionRef,
    id: string,
    state: Tombstone['state'],
    {
      last,
      mayBeBack,
      streams,
    }: { readonly last: boolean; readonly mayBeBack: boolean; readonly streams: boolean },
    timeIsUp: () => boolean,
  ): Promise<boolean> {
    const key = partitionKey(ref.tenant, ref.partition);
    const { tables } = this.tools.ports;
    const budget = this.#budget();
    for (;;) {
      const query = { ...prefixRange(`v:${id}:`), limit: REVISIONS };
      const page = await this.#budget().retry(() => tables.range(ref.table, key, query));
      const rows = page.rows.map(({ rowKey }): RowOperation => ({ kind: 'delete', rowKey, etag: '*' }));
      const said = page.more ? [] : await this.#said(ref, id, state, last);
      const archived =
        mayBeBack ||
        page.rows.some(({ properties }) => properties['tier'] === 'archive') ||
        // Of entries their rows said it, which are gone.
        (streams && page.rows.length > 0);
      const back = archived ? await this.#broughtBack(ref, id) : [];
      if (rows.length + said.length + back.length === 0) return true;
      try {
        await this.#budget().retry(() => tables.commit(ref.table, key, [...said, ...back, ...rows]));
        if (!page.more) return true;
      } catch (error) {
        // Another host is at it, or this was applied and its answer lost: whoever looks again sees what is left.
        if (!isFault(error, 'missing', 'conflict')) throw error;
        await budget.pause(error, 5, 250);
      }
      if (timeIsUp()) return false;
    }
  }

  /** What was brought back from the archive goes with its row: the job `rehydrate` deletes copies without one. */
  async #broughtBack(ref: PartitionRef, id: string): Promise<RowOperation[]> {
    const key = partitionKey(ref.tenant, ref.partition);
    const row = await this.#budget().retry(() => this.tools.ports.tables.find(ref.table, key, rehydrationKey(id))); // prettier-ignore
    return row === undefined ? [] : [{ kind: 'delete', rowKey: row.rowKey, etag: row.etag }];
  }

  async #said(ref: PartitionRef, id: string, state: Tombstone['state'], last: boolean): Promise<RowOperation[]> {
    const key = partitionKey(ref.tenant, ref.partition);
    const { tables } = this.tools.ports;
    const [{ row, tombstone }, note] = await Promise.all([
      this.#tombstone(ref, id),
      this.#budget().retry(() => tables.find(ref.table, key, clearingKey(id))),
    ]);
    const operations: RowOperation[] = [];
    if (tombstone.state !== state)
      operations.push({ kind: 'replace', ...tombstoneRow(key, { ...tombstone, state }), etag: row.etag });
    const clearing: Clearing | undefined = note && parseClearing(note);
    const next = state === 'cleared' ? 'done' : 'again';
    if (note === undefined) return operations;
    if (last || clearing === undefined) operations.push({ kind: 'delete', rowKey: note.rowKey, etag: note.etag });
    else if (clearing.state !== next)
      operations.push({ kind: 'replace', ...clearingRow(key, { ...clearing, state: next }), etag: note.etag });
    return operations;
  } // prettier-ignore

  #budget(): Budget {
    return new Budget(this.tools.clock, this.tools.entropy);
  }
}
