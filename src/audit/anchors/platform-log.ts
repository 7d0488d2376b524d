import type { Clock, Entropy } from '../../domain/clock.js';
import { newId } from '../../domain/ids.js';
import { Budget } from '../../storage/backoff.js';
import { SYSTEM_TENANT } from '../../storage/keys.js';
import type { BlobStore } from '../../storage/ports.js';
import type { AuditReader } from '../audit-reader.js';
import type { AuditEmitter } from '../emitter.js';
import { ledgerBroken } from '../ledger-state.js';
import type { LogReader } from '../log-reader.js';
import type { StoredCheckpoint } from '../log-store.js';
import { verifyConsistency } from '../log/proof.js';
import {
  AnchorStore,
  openCheckpoint,
  type SealedEntry,
  type Stored,
  type TenantAnchor,
} from './anchor-state.js';
import { findSealed } from './find-sealed.js';

export interface PlatformLogTools {
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly emitter: Pick<AuditEmitter, 'emit'>;
  readonly events: Pick<AuditReader, 'findText'>;
  readonly log: LogReader;
}

/**
 * `logged`: an entry was made, or is on its way; `unchanged`: the last one is of this checkpoint; `none`: there is no
 * checkpoint yet; `lost`: another host was at it, and the next round sees what it did.
 */
export type Logged = 'logged' | 'unchanged' | 'none' | 'lost';

/** Who makes the entries, as the trail of `_system` says it, and what they are counted under. */
const ANCHOR_JOB = 'anchor-logs';

/**
 * Puts checkpoints of tenants into the platform log, which is the log of `_system`: an entry is a `checkpoint.logged`
 * event with the signed note. So it is sealed, proven and read by the same code as every other log.
 */
export class PlatformLog {
  readonly #store: AnchorStore;

  constructor(private readonly tools: PlatformLogTools) {
    this.#store = new AnchorStore(tools.blobs);
  }

  /**
   * Has the tenant's checkpoint logged unless it was. Idempotent: which event it will be is written down first, so that
   * whoever comes after a crash makes the same one, and an event enters once. Two reads when there is nothing to do.
   * Throws `integrity-failure` when the log does not go on from what was logged, `storage-unavailable`.
   */
  async logCheckpoint(tenant: string, publishedSize: number): Promise<Logged> {
    const budget = new Budget(this.tools.clock, this.tools.entropy);
    const current = await this.tools.log.checkpoint(tenant);
    const stored = await budget.retry(() => this.#store.findTenant(tenant));
    if (current === undefined) {
      if (stored === undefined) return 'none';
      throw ledgerBroken(tenant, 'the checkpoint is gone, and was anchored');
    }
    if (stored === undefined) return this.#begin(tenant, current, undefined, undefined, budget);
    const { latest, covered } = stored.state;
    const last = openCheckpoint(tenant, latest.checkpoint);
    await this.#assertGoesOn(tenant, last, current);
    const sealed = latest.sealed ?? (await this.#sealed(latest.event_id, last.size));
    if (current.size > last.size) {
      const now = sealed !== undefined && sealed.leaf_index < publishedSize ? sealed : covered;
      return this.#begin(tenant, current, stored, now, budget);
    }
    if (latest.sealed !== undefined) return 'unchanged';
    if (sealed === undefined) return this.#emit(tenant, latest);
    // So that the next round need not look, and the entry is at hand for as long as it is needed.
    const state = { latest: { ...latest, sealed }, ...(covered === undefined ? {} : { covered }) };
    await budget.retry(() => this.#store.replaceTenant(tenant, state, stored.etag));
    return 'unchanged';
  }

  /** An entry of the platform log that is sealed, by its event; undefined while it waits or is not there. */
  async #sealed(eventId: string, treeSize: number): Promise<SealedEntry | undefined> {
    const found = await findSealed(this.tools.events, eventId, ANCHOR_JOB);
    return found && { tree_size: treeSize, ...found };
  }

  /** What was logged once is a beginning of what is there now, for ever. */
  async #assertGoesOn(
    tenant: string,
    last: { readonly size: number; readonly root: string },
    current: StoredCheckpoint,
  ): Promise<void> {
    if (current.size < last.size) throw ledgerBroken(tenant, 'the log is shorter than it was anchored');
    if (current.size === last.size && current.root === last.root) return;
    const proof = await this.tools.log.consistency(tenant, last.size, current.size);
    if (!verifyConsistency(last, current, proof))
      throw ledgerBroken(tenant, 'the log does not go on from what was anchored');
  }

  async #begin(
    tenant: string,
    { note }: StoredCheckpoint,
    before: Stored<TenantAnchor> | undefined,
    covered: SealedEntry | undefined,
    budget: Budget,
  ): Promise<Logged> {
    const ms = this.tools.clock.now();
    const latest = {
      event_id: newId('evt', ms, this.tools.entropy),
      timestamp_ms: ms,
      checkpoint: note,
    };
    const state = { latest, ...(covered === undefined ? {} : { covered }) };
    const won = await budget.retry(() => this.#store.replaceTenant(tenant, state, before?.etag));
    return won ? this.#emit(tenant, latest) : 'lost';
  }

  async #emit(tenant: string, latest: TenantAnchor['latest']): Promise<Logged> {
    await this.tools.emitter.emit([
      {
        eventId: latest.event_id,
        timestampMs: latest.timestamp_ms,
        tenant: SYSTEM_TENANT,
        actorName: `job:${ANCHOR_JOB}`,
        eventType: 'checkpoint.logged',
        severity: 'info',
        action: 'anchor',
        resourceType: 'audit_log',
        resourceId: tenant,
        outcome: 'success',
        details: { checkpoint: latest.checkpoint },
        correlationId: ANCHOR_JOB,
      },
    ]);
    return 'logged';
  }
}
