import { AppError, isAppError } from '../domain/errors.js';
import { canonicalJson, sha256Hex, type Json } from '../domain/canonical-json.js';
import type { BlindIndex } from '../domain/blind-index.js';
import type { Clock, Entropy } from '../domain/clock.js';
import { LIMITS } from '../domain/limits.js';
import { unavailable, type Budget } from './backoff.js';
import { idempotencyKey, partitionKey } from './keys.js';
import { keyHash, reused } from './keyed-result.js';
import { isFault, type Properties, type RecordTable, type Row, type RowOperation } from './ports.js';
import { broken } from './record-row.js';
import { rowIntact, withRowChecksum } from './row-checksum.js';

/** An idempotency key as a caller sent it, with what it is scoped to (http-api.md, Idempotency). */
export interface IdempotencyRequest {
  readonly key: string;
  /** Caller and route; the tenant is added by the store. */
  readonly scope: string;
  /** Fingerprint of the request's body, as `fingerprintOf` makes it. */
  readonly fingerprint: string;
}

/** What a reservation fixes for every attempt under the key. */
export interface Reservation {
  readonly hash: string;
  /** Of the body, under the tenant's key: what is stored tells nobody whether he has guessed it. */
  readonly fingerprint: string;
  /** The ids of the records, which carry their `created_at`; for an action, the record acted on. */
  readonly ids: readonly string[];
  /** True when this attempt made it: nothing else can be under way for the key. */
  readonly first: boolean;
  readonly etag: string;
}

/** Table of reservations, one partition for each first two hex digits of a hash (`<tenant>:3f`). */
export const IDEMPOTENCY_TABLE = 'idempotency';
const TABLE = IDEMPOTENCY_TABLE;
const IN_PROGRESS_S = 2;
/** What the keyed hashes of fingerprints are for. */
const FINGERPRINTS = 'idempotency';

export class IdempotencyStore {
  constructor(
    private readonly tables: RecordTable,
    private readonly clock: Clock,
    private readonly entropy: Entropy,
    private readonly blindIndex: BlindIndex,
  ) {}

  /**
   * Reserves a key: one insert. Resolves to `replay` when the key was answered before. Throws
   * `idempotency-key-reused` for another body, `idempotency-in-progress` while the first attempt may still be running.
   * `committed` looks up the `k:` rows that a commit under the reservation would have left.
   */
  async reserve<T>(
    tenant: string,
    asked: IdempotencyRequest,
    ids: readonly string[],
    committed: (
      reservation: Reservation,
    ) => Promise<{ fingerprint: string; result: () => Promise<T> } | undefined>,
    budget: Budget,
  ): Promise<{ readonly reservation: Reservation } | { readonly replay: T }> {
    const fingerprint = await this.blindIndex.blind(tenant, FINGERPRINTS, asked.fingerprint);
    const request = { ...asked, fingerprint };
    const hash = keyHash(tenant, request);
    const partition = partitionKey(tenant, hash.slice(0, 2));
    const begunMs = this.clock.now();
    for (;;) {
      const fresh = this.#row(partition, hash, request.fingerprint, ids, 'running');
      const etag = await this.#insert(partition, fresh, budget);
      if (etag !== undefined) {
        const reservation = { ids, hash, fingerprint: request.fingerprint, first: true, etag };
        await this.#assertAwake(tenant, reservation, begunMs, budget);
        return { reservation };
      }
      const row = await budget.retry(() => this.tables.find(TABLE, partition, fresh.rowKey));
      if (row === undefined) continue;
      const known = parse(row, hash);
      const answered = await committed(known);
      if (answered !== undefined) {
        if (answered.fingerprint !== request.fingerprint) throw reused();
        return { replay: await answered.result() };
      }
      const taken = await this.#takeOver(partition, row, known, request, budget);
      if (taken !== undefined) return { reservation: taken };
    }
  }

  /**
   * For an attempt that has made a reservation: throws `storage-unavailable` when it slept on the way there, for the key
   * may have been used and forgotten meanwhile. What a client asked days ago is not what it asks now.
   */
  async #assertAwake(
    tenant: string,
    reservation: Reservation,
    begunMs: number,
    budget: Budget,
  ): Promise<void> {
    if (this.clock.now() - begunMs <= LIMITS.idempotencyTakeoverMs) return;
    await this.release(tenant, reservation, budget);
    throw unavailable(undefined);
  }

  /** Does something of which a refusal that `frees` has stored nothing, so that the key is open at once; as best it can. */
  async opening<T>(
    tenant: string,
    reservation: Reservation | undefined,
    budget: Budget,
    work: () => Promise<T> | T,
    frees = (error: unknown): boolean => isAppError(error, 'record-exists'),
  ): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (reservation !== undefined && frees(error))
        await this.release(tenant, reservation, budget).catch(() => undefined);
      throw error;
    }
  }

  /**
   * Opens a key at once after a definite 4xx, which has stored nothing. A first reservation is removed; one that was
   * taken over keeps its ids, because an earlier attempt may still wake up and commit under them.
   */
  async release(tenant: string, reservation: Reservation, budget: Budget): Promise<void> {
    const partition = partitionKey(tenant, reservation.hash.slice(0, 2));
    const open = this.#row(partition, reservation.hash, reservation.fingerprint, reservation.ids, 'open');
    const operation: RowOperation = reservation.first
      ? { kind: 'delete', rowKey: open.rowKey, etag: reservation.etag }
      : { kind: 'replace', ...open, etag: reservation.etag };
    try {
      await budget.retry(() => this.tables.commit(TABLE, partition, [operation]));
    } catch (error) {
      // Somebody took it over meanwhile: it is theirs now.
      if (!isFault(error, 'conflict', 'missing')) throw error;
    }
  }

  /**
   * For an attempt whose commit was refused and that would try again: throws `idempotency-in-progress` unless the
   * reservation is still its own. Ask this after looking for the key's `k:` row, never before: the sweeper removes an
   * expired reservation before its `k:` row, so whoever finds the reservation in place knows that the row he did not
   * find was never there. An attempt that slept until its key was forgotten ends here instead of storing twice.
   */
  async assertHeld(tenant: string, reservation: Reservation | undefined, budget: Budget): Promise<void> {
    if (reservation === undefined) return;
    const partition = partitionKey(tenant, reservation.hash.slice(0, 2));
    const row = await budget.retry(() =>
      this.tables.find(TABLE, partition, idempotencyKey(reservation.hash)),
    );
    if (row?.etag !== reservation.etag) throw inProgress(IN_PROGRESS_S);
  }

  async #takeOver(
    partition: string,
    row: Row,
    known: Reservation,
    request: IdempotencyRequest,
    budget: Budget,
  ): Promise<Reservation | undefined> {
    if (row.properties['state'] !== 'open') {
      if (known.fingerprint !== request.fingerprint) throw reused();
      const leftMs = Number(row.properties['reserved_ms']) + LIMITS.idempotencyTakeoverMs - this.clock.now();
      // It will most likely be done in a moment; only if it died does a retry have to wait for the takeover.
      if (leftMs > 0) throw inProgress(Math.min(IN_PROGRESS_S, Math.ceil(leftMs / 1000)));
    }
    const next = this.#row(partition, known.hash, request.fingerprint, known.ids, 'running');
    try {
      const [etag] = await budget.retry(() =>
        this.tables.commit(TABLE, partition, [{ kind: 'replace', ...next, etag: row.etag }]),
      );
      return { ...known, fingerprint: request.fingerprint, first: false, etag: etag as string };
    } catch (error) {
      if (isFault(error, 'conflict', 'missing')) return undefined;
      throw error;
    }
  }

  /** The new row's ETag, or undefined when there is one already. */
  async #insert(
    partition: string,
    row: { rowKey: string; properties: Properties },
    budget: Budget,
  ): Promise<string | undefined> {
    try {
      const [etag] = await budget.retry(async (attempt) => {
        try {
          return await this.tables.commit(TABLE, partition, [{ kind: 'insert', ...row }]);
        } catch (error) {
          if (attempt === 1 || !isFault(error, 'exists')) throw error;
          // Our own insert may have happened before the answer was lost; the nonce in the row tells.
          const found = await this.tables.find(TABLE, partition, row.rowKey);
          if (found?.properties['row_checksum'] !== row.properties['row_checksum']) throw error;
          return [found?.etag as string];
        }
      });
      return etag;
    } catch (error) {
      if (isFault(error, 'exists')) return undefined;
      throw error;
    }
  }

  #row(
    partition: string,
    hash: string,
    fingerprint: string,
    ids: readonly string[],
    state: 'running' | 'open',
  ): { rowKey: string; properties: Properties } {
    const rowKey = idempotencyKey(hash);
    const now = this.clock.now();
    const properties = {
      schema_version: '1.0',
      fingerprint,
      ids: JSON.stringify(ids),
      reserved_ms: now,
      expires_ms: now + LIMITS.idempotencyKeptMs,
      state,
      // Tells our own row from an equal one of a request that came in the same millisecond.
      nonce: Buffer.from(this.entropy.bytes(12)).toString('base64url'),
    };
    return { rowKey, properties: withRowChecksum(partition, rowKey, properties) };
  }
}

function inProgress(retryAfterS: number): AppError {
  return new AppError('idempotency-in-progress', 'A request with this Idempotency-Key is still running.', {
    retryAfterS,
  });
}

function parse(row: Row, hash: string): Reservation {
  if (!rowIntact(row)) throw broken(row.rowKey, 0, 'idempotency row');
  return {
    hash,
    fingerprint: String(row.properties['fingerprint']),
    ids: JSON.parse(String(row.properties['ids'])) as string[],
    first: false,
    etag: row.etag,
  };
}

/** Scope of a key: the caller and the route, e.g. `/api/decisions`. */
export function scopeOf(actor: string, path: string): string {
  return JSON.stringify([actor, path]);
}

/**
 * Fingerprint of a body: equal JSON is an equal body, whatever its white space or order of members. A bare hash, with
 * which a guess could be tested: it is not stored.
 */
export function fingerprintOf(body: unknown): string {
  try {
    return sha256Hex(canonicalJson((body ?? null) as Json));
  } catch {
    // Not representable (1e999, half a surrogate, nested too deep): it will be refused whatever its fingerprint is.
    return sha256Hex('a body without a canonical form');
  }
}
