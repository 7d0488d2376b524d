import { LRUCache } from 'lru-cache';
import { discloseData, secretsMatch } from '../domain/committed-form.js';
import type { SecretBox, Secrets } from '../domain/commitment.js';
import { verifyStored, type StoredEnvelope } from '../domain/envelope.js';
import { freezeJson } from '../domain/frozen.js';
import type { RecordData, RecordType } from '../domain/record-type.js';
import type { Budget } from './backoff.js';
import { findNamedBytes } from './blob-range.js';
import type { MovedDetails } from './moved-details.js';
import { isFault, type BlobStore } from './ports.js';
import { broken, envelopeHead, type RevisionFacts } from './record-row.js';
import { archived } from './rehydration-rows.js';

/** A detail that was held against its row and against its own checksum. */
export interface Detail {
  readonly stored: StoredEnvelope;
  /** The data with the sensitive values in their places. */
  readonly data: RecordData;
  readonly secrets: Secrets;
}

/** Bytes of details kept for writers; a vote on a warm record then needs no blob read. */
const CACHE_BYTES = 32 * 1024 * 1024;

/**
 * Reads detail envelopes. A read for an answer always goes to the blob and is verified there; only writers, who need
 * the previous revision to build the next one, may take it from the cache. Details are write-once, so what is cached
 * under a name is what was stored under it.
 */
export class DetailStore {
  readonly #cache = new LRUCache<string, Detail | StoredEnvelope>({
    maxSize: CACHE_BYTES,
    sizeCalculation: (_, key) => sizeIn(key),
  });

  constructor(
    private readonly blobs: BlobStore,
    private readonly secretBox: SecretBox,
    /** Left out by who reads only what is where its row says. */
    private readonly moved?: Pick<MovedDetails, 'now' | 'hotCopy'>,
  ) {}

  /**
   * Throws `integrity-failure` when the blob is missing or anything in it differs from the row, `record-archived` when it
   * is in the archive tier and was not brought back.
   */
  async read(type: RecordType, tenant: string, facts: RevisionFacts, budget: Budget): Promise<Detail> {
    const bytes = await this.#bytes(type, tenant, facts, budget);
    if (bytes === undefined) throw broken(facts.id, facts.revision, 'blob missing');
    const stored = verifyStored(bytes, envelopeHead(type, tenant, facts));
    if ('broken' in stored) throw broken(facts.id, facts.revision, stored.broken);
    return this.#disclose(type, tenant, facts, stored);
  }

  /** Like `read`, but may answer from the cache of what this process wrote or read for writing before. */
  async readForWrite(
    type: RecordType,
    tenant: string,
    facts: RevisionFacts,
    budget: Budget,
  ): Promise<Detail> {
    // Whether what is archived can be built on is for storage to say, and not for what this process has kept.
    if (facts.tier === 'archive') return this.read(type, tenant, facts, budget);
    const cached = this.#cache.get(cacheKey(facts));
    // What is sealed is opened again each time: whether it may be is for its keys to say.
    if (cached !== undefined)
      return 'stored' in cached ? cached : this.#disclose(type, tenant, facts, cached);
    const detail = await this.read(type, tenant, facts, budget);
    this.remember(facts, detail);
    return detail;
  }

  /** Remembers a detail that was just committed, or read. It is answered with as well, so nobody may change it. */
  remember(facts: RevisionFacts, detail: Detail): void {
    freezeJson(detail.data);
    this.#cache.set(cacheKey(facts), detail.stored.sealed === undefined ? detail : detail.stored);
  }

  async #bytes(
    type: RecordType,
    tenant: string,
    facts: RevisionFacts,
    budget: Budget,
  ): Promise<Uint8Array | undefined> {
    const { blob, ...range } = facts.location;
    if (facts.tier !== 'archive') {
      try {
        const bytes = await findNamedBytes(this.blobs, blob, range, budget);
        if (bytes !== undefined) return bytes;
        // It may have been packed since its row was read.
        const now = await this.moved?.now(type, tenant, facts, budget);
        return now === undefined ? undefined : await this.#bytes(type, tenant, now, budget);
      } catch (error) {
        // The blob goes into the archive first, and its rows after it.
        if (!isFault(error, 'archived')) throw error;
      }
    }
    const copy = await this.moved?.hotCopy(type, tenant, facts, budget);
    const bytes = copy === undefined ? undefined : await findNamedBytes(this.blobs, copy, range, budget);
    if (bytes === undefined) throw archived(type, facts.id);
    return bytes;
  }

  async #disclose(
    type: RecordType,
    tenant: string,
    facts: RevisionFacts,
    stored: StoredEnvelope,
  ): Promise<Detail> {
    // A record of a type that has none was not sealed: nothing is looked for in it.
    if (stored.sealed === undefined && Object.keys(type.sensitive).length === 0)
      return { stored, data: stored.data, secrets: {} };
    const context = { tenant, type: type.recordType, id: facts.id, revision: facts.revision };
    const sealed = stored.sealed ?? {};
    // What was erased is left out, and its commitment stays where it stands.
    const secrets = await this.secretBox.open(context, sealed);
    if (!secretsMatch(stored.data, Object.keys(sealed), secrets))
      throw broken(facts.id, facts.revision, 'sealed');
    return { stored, data: discloseData(stored.data, secrets), secrets };
  }
}

function cacheKey(facts: RevisionFacts): string {
  const { blob, offset, length } = facts.location;
  return `${String(length)}:${String(offset)}:${blob}`;
}

/** The length of the stored bytes is a fair estimate of what the parsed detail holds. */
function sizeIn(key: string): number {
  return Math.max(1, Number.parseInt(key, 10));
}
