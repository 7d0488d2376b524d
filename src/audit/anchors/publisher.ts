import type { Clock, Entropy } from '../../domain/clock.js';
import { isAppError } from '../../domain/errors.js';
import { Budget } from '../../storage/backoff.js';
import { SYSTEM_TENANT } from '../../storage/keys.js';
import { isFault, type BlobStore } from '../../storage/ports.js';
import { saidOf, type Log } from '../../telemetry/log.js';
import { ledgerBroken } from '../ledger-state.js';
import type { LogReader } from '../log-reader.js';
import { withSignatures } from '../log/cosignature.js';
import { verifyConsistency } from '../log/proof.js';
import {
  AnchorStore,
  openCheckpoint,
  type OpenCheckpoint,
  type Published,
  type Stored,
} from './anchor-state.js';
import { copyCheckpoint, type CopyPlace } from './copies.js';
import { cosign, type Witness } from './witness.js';

export interface PublisherTools {
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: LogReader;
  readonly logger: Log;
  readonly witness?: Witness | undefined;
  readonly copies?: CopyPlace | undefined;
}

/** What a round did, each 0 or 1. `refused` is for somebody to look at. */
export type PublishCounts = Readonly<
  Record<'published' | 'cosigned' | 'unanswered' | 'refused' | 'copied' | 'notCopied', number>
>;

const NOTHING: PublishCounts = { published: 0, cosigned: 0, unanswered: 0, refused: 0, copied: 0, notCopied: 0 }; // prettier-ignore

/**
 * Publishes checkpoints of the platform log: what anchors are proven under. With a witness, only what the witness
 * cosigned; while it does not, the one before stays published, and nothing else waits for it.
 */
export class Publisher {
  readonly #store: AnchorStore;

  constructor(private readonly tools: PublisherTools) {
    this.#store = new AnchorStore(tools.blobs);
  }

  /** Leaves under the published checkpoint; 0 before the first one. One read. */
  async size(): Promise<number> {
    const found = await this.#budget().retry(() => this.#store.findPublished());
    return found === undefined ? 0 : openCheckpoint(SYSTEM_TENANT, found.state.checkpoint).size;
  }

  /**
   * One round: publishes the current checkpoint of the platform log if there is anything new to it, and copies what is
   * due. Idempotent. Throws `integrity-failure` when the platform log does not go on from what was published,
   * `storage-unavailable`; what witness and copies fail at is logged and left to the next round.
   */
  async round(): Promise<PublishCounts> {
    const current = await this.#current();
    if (current === undefined) return NOTHING;
    const stored = await this.#budget().retry(() => this.#store.findPublished());
    const before = stored === undefined ? undefined : openCheckpoint(SYSTEM_TENANT, stored.state.checkpoint);
    if (before !== undefined) await this.#assertGoesOn(before, current);
    const counts = this.#isNew(before, current) ? await this.#publish(current, before, stored) : NOTHING;
    return { ...counts, ...(await this.#copy()) };
  }

  async #current(): Promise<OpenCheckpoint | undefined> {
    const found = await this.tools.log.checkpoint(SYSTEM_TENANT);
    return found === undefined ? undefined : openCheckpoint(SYSTEM_TENANT, found.note);
  }

  async #assertGoesOn(before: OpenCheckpoint, current: OpenCheckpoint): Promise<void> {
    if (current.size < before.size)
      throw ledgerBroken(SYSTEM_TENANT, 'the log is shorter than what was published');
    if (current.size === before.size && current.root === before.root) return;
    const proof = await this.tools.log.consistency(SYSTEM_TENANT, before.size, current.size);
    if (!verifyConsistency(before, current, proof))
      throw ledgerBroken(SYSTEM_TENANT, 'the log does not go on from what was published');
  }

  #isNew(before: OpenCheckpoint | undefined, current: OpenCheckpoint): boolean {
    return before === undefined || current.size > before.size || !this.#isCosigned(before);
  }

  /** Where there is no witness, nothing has to be cosigned. */
  #isCosigned({ opened }: OpenCheckpoint): boolean {
    const { witness } = this.tools;
    return witness === undefined || (witness.key.cosignatures(opened)?.length ?? 0) > 0;
  }

  async #publish(
    current: OpenCheckpoint,
    before: OpenCheckpoint | undefined,
    stored: Stored<Published> | undefined,
  ): Promise<PublishCounts> {
    const { witness } = this.tools;
    let { note } = current;
    if (witness !== undefined) {
      const known = before !== undefined && this.#isCosigned(before) ? before.size : 0;
      const prove = (from: number): Promise<readonly string[]> =>
        this.tools.log.consistency(SYSTEM_TENANT, from, current.size);
      const answer = await cosign(witness, current, known, prove);
      if (answer.outcome !== 'cosigned') return this.#notCosigned(answer);
      note = withSignatures(current.opened, answer.signatures);
    }
    const { number, copied } = stored?.state ?? { number: 0, copied: 0 };
    const next = { number: number + 1, checkpoint: note, copied };
    // Lost: another host has published, and what it has may be larger.
    const won = await this.#budget().retry(() => this.#store.replacePublished(next, stored?.etag));
    return { ...NOTHING, published: won ? 1 : 0, cosigned: witness === undefined ? 0 : 1 };
  }

  async #notCosigned(
    answer: Exclude<Awaited<ReturnType<typeof cosign>>, { outcome: 'cosigned' }>,
  ): Promise<PublishCounts> {
    if (answer.outcome === 'ahead') {
      // Another host may have sealed more, and shown it to the witness, since this one looked.
      const now = await this.#current();
      if (now !== undefined && now.size >= answer.size) return { ...NOTHING, unanswered: 1 };
    }
    const refused = answer.outcome !== 'unanswered';
    const said = refused
      ? 'the witness refuses the platform log: it knows another one'
      : 'the witness did not cosign; the next round asks again';
    const reason = answer.outcome === 'ahead' ? `the witness knows ${String(answer.size)} entries` : answer.reason; // prettier-ignore
    this.tools.logger.warn(said, { tenant: SYSTEM_TENANT, reason });
    return refused ? { ...NOTHING, refused: 1 } : { ...NOTHING, unanswered: 1 };
  }

  /** Copies what is published once it is due; what fails is due the next time as well. */
  async #copy(): Promise<Partial<PublishCounts>> {
    const { copies, logger } = this.tools;
    if (copies === undefined) return {};
    const stored = await this.#budget().retry(() => this.#store.findPublished());
    if (stored === undefined || stored.state.number - stored.state.copied < copies.every) return {};
    const { state, etag } = stored;
    try {
      await this.#budget().retry(() => copyCheckpoint(copies, openCheckpoint(SYSTEM_TENANT, state.checkpoint))); // prettier-ignore
    } catch (error) {
      if (!isFault(error) && !isAppError(error)) throw error;
      const refused = isAppError(error, 'integrity-failure') ? 1 : 0;
      logger.warn('the platform checkpoint could not be copied; the next round tries again', { reason: saidOf(error) }); // prettier-ignore
      return { notCopied: 1, ...(refused === 0 ? {} : { refused }) };
    }
    await this.#budget().retry(() => this.#store.replacePublished({ ...state, copied: state.number }, etag));
    return { copied: 1 };
  }

  #budget(): Budget {
    return new Budget(this.tools.clock, this.tools.entropy);
  }
}
