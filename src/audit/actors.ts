import { LRUCache } from 'lru-cache';
import type { Clock, Entropy } from '../domain/clock.js';
import { AppError } from '../domain/errors.js';
import { newId } from '../domain/ids.js';
import { Budget } from '../storage/backoff.js';
import { keyValue, partitionKey } from '../storage/keys.js';
import { isFault, type RecordTable, type Row, type RowOperation } from '../storage/ports.js';
import { rowIntact, withRowChecksum } from '../storage/row-checksum.js';

/** Table of the pseudonyms: the only place that knows whose they are, and erasable. */
export const ACTORS_TABLE = 'actors';
const SCHEMA_VERSION = '1.0';
const CACHED = { max: 10_000, ttl: 5 * 60_000, ttlResolution: 0 } as const;

const nameKey = (name: string): string => `n:${keyValue(name)}`;
const actorKey = (actor: string): string => `a:${actor}`;

/**
 * The pseudonyms under which people and applications stand in audit events (audit-ledger.md, Events). All calls throw
 * `integrity-failure` when a mapping is not what was written, and `storage-unavailable` when their budget is spent.
 */
export class Actors {
  readonly #pseudonyms: LRUCache<string, string>;
  readonly #names: LRUCache<string, string>;

  constructor(
    private readonly tables: RecordTable,
    private readonly clock: Clock,
    private readonly entropy: Entropy,
  ) {
    // Five minutes, so that an erased mapping is soon forgotten everywhere; callers at once share one fetch.
    // The cache takes an entry of time 0 for one without an age.
    const common = { ...CACHED, perf: { now: () => clock.monotonic() + 1 }, ignoreFetchAbort: true };
    this.#pseudonyms = new LRUCache({
      ...common,
      fetchMethod: (key) => this.#retried(() => this.#fetchPseudonym(...split(key))),
    });
    this.#names = new LRUCache({
      ...common,
      fetchMethod: (key) => this.#retried(() => this.#fetchName(...split(key))),
    });
  }

  /**
   * The pseudonym `act_<UUIDv7>` of a name within a tenant, made on its first use: the same for everybody who asks,
   * also at once.
   */
  async pseudonym(tenant: string, name: string): Promise<string> {
    return (await this.#pseudonyms.fetch(`${tenant}:${name}`)) as string;
  }

  /** The pseudonym of a name; undefined when nobody of that name ever did anything, or no longer. Makes none. */
  async find(tenant: string, name: string): Promise<string | undefined> {
    const known = this.#pseudonyms.get(`${tenant}:${name}`);
    return known ?? this.#retried(() => this.#findActor(tenant, name));
  }

  /** The name behind a pseudonym; undefined when there is none, or no longer. */
  async nameOf(tenant: string, actor: string): Promise<string | undefined> {
    return this.#names.fetch(`${tenant}:${actor}`);
  }

  /** An insert whose answer was lost is found by the next try. */
  #retried<T>(fetch: () => Promise<T>): Promise<T> {
    return new Budget(this.clock, this.entropy).retry(fetch);
  }

  async #fetchPseudonym(tenant: string, name: string): Promise<string> {
    const known = await this.#findActor(tenant, name);
    if (known !== undefined) return known;
    const actor = newId('act', this.clock.now(), this.entropy);
    const key = partitionKey(tenant, 'actors');
    const insert = (rowKey: string, columns: Record<string, string>): RowOperation => ({
      kind: 'insert',
      rowKey,
      properties: withRowChecksum(key, rowKey, { ...columns, schema_version: SCHEMA_VERSION }),
    });
    try {
      await this.tables.commit(ACTORS_TABLE, key, [
        insert(nameKey(name), { actor, name }),
        insert(actorKey(actor), { name }),
      ]);
      return actor;
    } catch (error) {
      if (!isFault(error, 'exists')) throw error;
      // Somebody named this actor a moment ago: theirs is the pseudonym.
      const winner = await this.#findActor(tenant, name);
      if (winner === undefined) throw error;
      return winner;
    }
  }

  async #findActor(tenant: string, name: string): Promise<string | undefined> {
    const row = await this.#find(tenant, nameKey(name));
    // The key of a long name is cut and hashed, so the row says whose it is.
    if (row !== undefined && row.properties['name'] !== name) throw broken(tenant, row);
    return row === undefined ? undefined : String(row.properties['actor']);
  }

  async #fetchName(tenant: string, actor: string): Promise<string | undefined> {
    const row = await this.#find(tenant, actorKey(actor));
    return row === undefined ? undefined : String(row.properties['name']);
  }

  async #find(tenant: string, rowKey: string): Promise<Row | undefined> {
    const row = await this.tables.find(ACTORS_TABLE, partitionKey(tenant, 'actors'), rowKey);
    if (row !== undefined && !rowIntact(row)) throw broken(tenant, row);
    return row;
  }
}

/** A tenant holds no colon. */
function split(key: string): [tenant: string, rest: string] {
  const at = key.indexOf(':');
  return [key.slice(0, at), key.slice(at + 1)];
}

/** The row's key may be a name and stays out of the evidence. */
function broken(tenant: string, row: Row): AppError {
  return new AppError('integrity-failure', 'A pseudonym does not match its checksum.', {
    evidence: { tenant, table: ACTORS_TABLE, etag: row.etag },
  });
}
