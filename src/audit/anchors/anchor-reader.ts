import type { Clock, Entropy } from '../../domain/clock.js';
import { Budget } from '../../storage/backoff.js';
import { SYSTEM_TENANT } from '../../storage/keys.js';
import type { BlobStore } from '../../storage/ports.js';
import type { AuditReader } from '../audit-reader.js';
import { ledgerBroken } from '../ledger-state.js';
import type { LogReader } from '../log-reader.js';
import { AnchorStore, openCheckpoint, type OpenCheckpoint } from './anchor-state.js';
import { findSealed } from './find-sealed.js';

export interface AnchorReaderTools {
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly events: Pick<AuditReader, 'findText'>;
  readonly log: LogReader;
}

/** A tenant's anchor as one document to take home. */
export interface Anchor {
  /** The signed checkpoint of the tenant's log. */
  readonly checkpoint: string;
  /** The exact bytes of the entry of the platform log that holds it. */
  readonly entry: string;
  /** C2SP tlog-proof of that entry, under the published checkpoint with its cosignatures. */
  readonly proof: string;
}

/** What of the anchors is served. Throws `storage-unavailable`, `integrity-failure`. */
export class AnchorReader {
  readonly #store: AnchorStore;

  constructor(private readonly tools: AnchorReaderTools) {
    this.#store = new AnchorStore(tools.blobs);
  }

  /** The published checkpoint of the platform log; undefined before the first one. One read. */
  async published(): Promise<OpenCheckpoint | undefined> {
    const found = await this.#budget().retry(() => this.#store.findPublished());
    return found === undefined ? undefined : openCheckpoint(SYSTEM_TENANT, found.state.checkpoint);
  }

  /**
   * The latest anchor of a tenant that the published checkpoint covers; undefined before the first one. Verified before
   * it is handed out. Two reads, one more at most where the entry is of this round, and up to two tiles for each level.
   */
  async find(tenant: string): Promise<Anchor | undefined> {
    const published = await this.published();
    const stored = await this.#budget().retry(() => this.#store.findTenant(tenant));
    if (published === undefined || stored === undefined) return undefined;
    const { latest, covered } = stored.state;
    const newest = latest.sealed ?? (await findSealed(this.tools.events, latest.event_id, 'anchors'));
    const entry = [newest, covered].find((one) => one !== undefined && one.leaf_index < published.size);
    if (entry === undefined) return undefined;
    const proof = await this.tools.log.prove(SYSTEM_TENANT, entry.leaf_index, entry.event, published);
    return { checkpoint: checkpointIn(tenant, entry.event), entry: entry.event, proof };
  }

  #budget(): Budget {
    return new Budget(this.tools.clock, this.tools.entropy);
  }
}

/** The checkpoint in an entry, which must be of this tenant: nobody is shown another's. */
function checkpointIn(tenant: string, event: string): string {
  const { resource_id: of, details } = JSON.parse(event) as {
    readonly resource_id: unknown;
    readonly details: { readonly checkpoint?: unknown };
  };
  if (of !== tenant || typeof details.checkpoint !== 'string')
    throw ledgerBroken(tenant, 'an anchor is of another log');
  return details.checkpoint;
}
