import type { Clock } from '../domain/clock.js';
import { BLOB_CONTAINERS } from '../storage/keys.js';
import { isFault, type BlobStore } from '../storage/ports.js';
import { leaseName } from './ledger-state.js';

const LEASE_S = 15;
/** A lease older than this is given back and taken again before the next round. */
const RENEW_MS = 8_000;

/**
 * Keeps several processes from doing the same tenant's work at once. Thrift, never safety: nothing depends on it, and
 * the lease of a process that died is over in 15 seconds.
 */
export class TenantLease {
  #id: string | undefined;
  #takenAt = 0;

  constructor(
    private readonly blobs: BlobStore,
    private readonly clock: Clock,
    private readonly tenant: string,
  ) {}

  /** Takes the lease, or keeps it going; false when somebody else holds it. Faults: `unavailable`. */
  async hold(): Promise<boolean> {
    if (this.#id !== undefined && this.clock.monotonic() - this.#takenAt < RENEW_MS) return true;
    await this.release();
    this.#takenAt = this.clock.monotonic();
    this.#id = await this.blobs.acquireLease(BLOB_CONTAINERS.ledger, leaseName(this.tenant), LEASE_S);
    return this.#id !== undefined;
  }

  /** Gives the lease back; one that cannot be given back ends by itself. */
  async release(): Promise<void> {
    const id = this.#id;
    if (id === undefined) return;
    this.#id = undefined;
    try {
      await this.blobs.releaseLease(BLOB_CONTAINERS.ledger, leaseName(this.tenant), id);
    } catch (error) {
      if (!isFault(error)) throw error;
    }
  }
}
