import { BLOB_CONTAINERS } from '../storage/keys.js';
import { isFault, type BlobStore } from '../storage/ports.js';
import {
  followsOf,
  headBytes,
  headName,
  ledgerBroken,
  parseHead,
  parseStage,
  stagePrefix,
  type Head,
  type Stage,
  type StoredStage,
} from './ledger-state.js';

/** A head and the version of the blob that holds it. */
export interface StoredHead {
  readonly head: Head;
  readonly etag: string;
}

const JSON_TYPE = 'application/json';

/** Reads and writes what `ledger-state.ts` describes. Never retries: the next round recovers by the same code. */
export class LedgerStore {
  constructor(private readonly blobs: BlobStore) {}

  /** The head of a tenant's log; undefined before its first event. Throws `integrity-failure`. */
  async findHead(tenant: string): Promise<StoredHead | undefined> {
    const found = await this.blobs.find(BLOB_CONTAINERS.ledger, headName(tenant));
    return found === undefined ? undefined : { head: parseHead(tenant, found.bytes), etag: found.etag };
  }

  /**
   * The commit point: puts `head` in the place of `previous`. Undefined when somebody else was faster.
   * Throws `integrity-failure` when the head that was there is gone: a log must not begin a second time.
   */
  async replaceHead(head: Head, previous: StoredHead | undefined): Promise<StoredHead | undefined> {
    try {
      const name = headName(head.tenant);
      const etag = await this.blobs.swap(BLOB_CONTAINERS.ledger, name, headBytes(head), previous?.etag);
      return { head, etag };
    } catch (error) {
      if (isFault(error, 'exists', 'conflict')) return undefined;
      if (isFault(error, 'missing')) throw ledgerBroken(head.tenant, 'the head is gone', error);
      throw error;
    }
  }

  /** True when the tenant has a stream: never before its first head. */
  async hasStream(tenant: string): Promise<boolean> {
    const { names } = await this.blobs.list(BLOB_CONTAINERS.audit, `${tenant}/`);
    return names.length > 0;
  }

  /** Writes a stage; the same one there already is the same content, for its name is its hash. */
  async putStage(stored: StoredStage): Promise<void> {
    try {
      await this.blobs.putOnce(BLOB_CONTAINERS.ledger, stored.name, stored.bytes, JSON_TYPE);
    } catch (error) {
      if (!isFault(error, 'exists')) throw error;
    }
  }

  /** Undefined when it was deleted, which is after a later head was finished. Throws `integrity-failure`. */
  async findStage(tenant: string, name: string): Promise<Stage | undefined> {
    const found = await this.blobs.find(BLOB_CONTAINERS.ledger, name);
    return found === undefined ? undefined : parseStage(tenant, { name, bytes: found.bytes });
  }

  /**
   * Deletes the stages that nobody can need once `head` is finished: those that follow a smaller size than its own,
   * except the one it names. A stage that follows its own size or a larger one may be, or become, a later head's.
   */
  async deleteStagesBefore(head: Head): Promise<void> {
    let next: string | undefined;
    do {
      const page = await this.blobs.list(BLOB_CONTAINERS.ledger, stagePrefix(head.tenant), next);
      for (const name of page.names) {
        if (name !== head.stage && (followsOf(name) ?? Infinity) < head.tree_size) {
          await this.blobs.delete(BLOB_CONTAINERS.ledger, name);
        }
      }
      next = page.next;
    } while (next !== undefined);
  }
}
