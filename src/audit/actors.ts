import { LRUCache } from 'lru-cache';
import type { BlindIndex } from '../domain/blind-index.js';
import type { Clock, Entropy } from '../domain/clock.js';
import { newSalt, type SealedSecrets, type SealingContext, type SecretBox } from '../domain/commitment.js';
import { AppError } from '../domain/errors.js';
import { newId } from '../domain/ids.js';
import { Budget } from '../storage/backoff.js';
import { partitionKey } from '../storage/keys.js';
import { isFault, type RecordTable, type Row, type RowOperation } from '../storage/ports.js';
import { rowIntact, withRowChecksum } from '../storage/row-checksum.js';

/** Table of the pseudonyms: the only place that knows whose they are, and holds no name that could be read there. */
export const ACTORS_TABLE = 'actors';
const SCHEMA_VERSION = '1.0';
const CACHED = { max: 10_000, ttl: 5 * 60_000, ttlResolution: 0 } as const;
/** Where the name stands among the secrets of its mapping. */
const NAME = '/name';

const nameKey = (blind: string): string => `n:${blind}`;
const actorKey = (actor: string): string => `a:${actor}`;

export interface ActorTools {
  readonly tables: RecordTable;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly secretBox: SecretBox;
  readonly blindIndex: BlindIndex;
}

/**
 * The pseudonyms under which people and applications stand in audit events (audit-ledger.md, Events). The row of a name
 * is found by its blind hash, and the name is sealed under the data key of whom it names: who destroys that key has
 * erased the name. All calls throw `integrity-failure` when a mapping is not what was written, and
 * `storage-unavailable` when their budget is spent.
 */
export class Actors {
  readonly #pseudonyms: LRUCache<string, string>;
  /** Rows, and no names: whether one may still be read is for its key to say. */
  readonly #rows: LRUCache<string, Row>;

  constructor(private readonly tools: ActorTools) {
    const { clock } = tools;
    // Five minutes, so that an erased mapping is soon forgotten everywhere; callers at once share one fetch.
    // The cache takes an entry of time 0 for one without an age.
    const common = { ...CACHED, perf: { now: () => clock.monotonic() + 1 }, ignoreFetchAbort: true };
    this.#pseudonyms = new LRUCache({
      ...common,
      fetchMethod: (key) => this.#retried(() => this.#fetchPseudonym(...split(key))),
    });
    this.#rows = new LRUCache({
      ...common,
      fetchMethod: (key) => this.#retried(() => this.#findActor(...split(key))),
    });
  }

  /**
   * The pseudonym `act_<UUIDv7>` of a name within a tenant, made on its first use: the same for everybody who asks,
   * also at once. A name that was erased meanwhile gets another one: nothing it does now leads back to what it did.
   */
  async pseudonym(tenant: string, name: string): Promise<string> {
    return (await this.#pseudonyms.fetch(`${tenant}:${name}`)) as string;
  }

  /** The pseudonym of a name; undefined when nobody of that name ever did anything, or no longer. Makes none. */
  async find(tenant: string, name: string): Promise<string | undefined> {
    const known = this.#pseudonyms.get(`${tenant}:${name}`);
    if (known !== undefined) return known;
    const row = await this.#retried(async () => this.#find(tenant, await this.#nameKey(tenant, name)));
    return row !== undefined && (await this.#isOf(tenant, row, name)) ? actorIn(row) : undefined;
  }

  /** The name behind a pseudonym; undefined when there is none, or it was erased. */
  async nameOf(tenant: string, actor: string): Promise<string | undefined> {
    const row = await this.#rows.fetch(`${tenant}:${actor}`);
    return row === undefined ? undefined : this.#nameIn(tenant, row);
  }

  /** After a name was erased: this process gives it another pseudonym from now on. */
  forget(tenant: string, name: string): void {
    this.#pseudonyms.delete(`${tenant}:${name}`);
  }

  /**
   * Removes whose pseudonym is whose, by the blind hash of the name (`hashOf`), where the name was erased: whoever uses
   * it now gets another pseudonym, and that mapping is left. How many were removed. Idempotent; this process forgets them
   * at once, others within five minutes. Two reads, two deletes.
   */
  async remove(tenant: string, blind: string): Promise<number> {
    return this.#retried(async () => {
      const row = await this.#find(tenant, nameKey(blind));
      if (row === undefined) return 0;
      // What was sealed before there were data keys opens still, and has to go all the same.
      const older = !String(row.properties['sealed']).startsWith('v2.');
      if (!older && (await this.#nameIn(tenant, row)) !== undefined) return 0;
      const actor = actorIn(row);
      // One by one: who finds one of them gone has the other to remove all the same.
      for (const [rowKey, etag] of [
        [actorKey(actor), '*'],
        [row.rowKey, row.etag],
      ] as const) {
        // prettier-ignore
        try {
          const operation = { kind: 'delete', rowKey, etag } as const;
          await this.tools.tables.commit(ACTORS_TABLE, partitionKey(tenant, 'actors'), [operation]);
        } catch (error) {
          // Somebody was faster, or the name is used again: what it has now is another mapping.
          if (!isFault(error, 'conflict', 'missing')) throw error;
        }
      }
      for (const [name, known] of this.#pseudonyms.entries())
        if (known === actor && name.startsWith(`${tenant}:`)) this.#pseudonyms.delete(name);
      this.#rows.delete(`${tenant}:${actor}`);
      return 1;
    });
  }

  /** Whether there is a pseudonym of a name, by its blind hash. One point read. */
  async knows(tenant: string, blind: string): Promise<boolean> {
    return (await this.#retried(() => this.#find(tenant, nameKey(blind)))) !== undefined;
  }

  /** What the mapping of a name is found by. */
  hashOf(tenant: string, name: string): Promise<string> {
    return this.tools.blindIndex.blind(tenant, 'actor', name);
  }

  /** An insert whose answer was lost is found by the next try. */
  #retried<T>(fetch: () => Promise<T>): Promise<T> {
    return new Budget(this.tools.clock, this.tools.entropy).retry(fetch);
  }

  async #fetchPseudonym(tenant: string, name: string): Promise<string> {
    const rowKey = await this.#nameKey(tenant, name);
    const row = await this.#find(tenant, rowKey);
    if (row !== undefined && (await this.#isOf(tenant, row, name))) return actorIn(row);
    const actor = newId('act', this.tools.clock.now(), this.tools.entropy);
    const sealed = await this.#seal(tenant, actor, name);
    const key = partitionKey(tenant, 'actors');
    const columns = (at: string): Pick<RowOperation & { kind: 'insert' }, 'rowKey' | 'properties'> => ({
      rowKey: at,
      properties: withRowChecksum(key, at, { actor, sealed, schema_version: SCHEMA_VERSION }),
    });
    try {
      await this.tools.tables.commit(ACTORS_TABLE, key, [
        row === undefined
          ? { kind: 'insert', ...columns(rowKey) }
          : { kind: 'replace', ...columns(rowKey), etag: row.etag },
        { kind: 'insert', ...columns(actorKey(actor)) },
      ]);
      return actor;
    } catch (error) {
      if (!isFault(error, 'exists', 'conflict', 'missing')) throw error;
      // Somebody named this actor a moment ago: theirs is the pseudonym.
      const winner = await this.#find(tenant, rowKey);
      if (winner === undefined) throw error;
      return actorIn(winner);
    }
  }

  async #nameKey(tenant: string, name: string): Promise<string> {
    return nameKey(await this.hashOf(tenant, name));
  }

  #findActor(tenant: string, actor: string): Promise<Row | undefined> {
    return this.#find(tenant, actorKey(actor));
  }

  async #seal(tenant: string, actor: string, name: string): Promise<string> {
    const secret = { salt: newSalt(this.tools.entropy), value: name };
    const sealed = await this.tools.secretBox.seal(
      placeOf(tenant, actor),
      { [NAME]: secret },
      { [NAME]: [name] },
    );
    return sealed[NAME] as string;
  }

  /** False once the name was erased. */
  async #isOf(tenant: string, row: Row, name: string): Promise<boolean> {
    const found = await this.#nameIn(tenant, row);
    if (found === undefined) return false;
    // The blind hash takes two spellings of a name in Unicode for one.
    if (found.normalize() !== name.normalize()) throw broken(tenant, row);
    return true;
  }

  /** Undefined once its subject's key was destroyed. */
  async #nameIn(tenant: string, row: Row): Promise<string | undefined> {
    const sealed: SealedSecrets = { [NAME]: String(row.properties['sealed']) };
    const opened = await this.tools.secretBox.open(placeOf(tenant, actorIn(row)), sealed);
    return opened[NAME]?.value as string | undefined;
  }

  async #find(tenant: string, rowKey: string): Promise<Row | undefined> {
    const row = await this.tools.tables.find(ACTORS_TABLE, partitionKey(tenant, 'actors'), rowKey);
    if (row !== undefined && !rowIntact(row)) throw broken(tenant, row);
    return row;
  }
}

const actorIn = (row: Row): string => String(row.properties['actor']);

function placeOf(tenant: string, actor: string): SealingContext {
  return { tenant, type: 'actor', id: actor, revision: 0 };
}

/** A tenant holds no colon. */
function split(key: string): [tenant: string, rest: string] {
  const at = key.indexOf(':');
  return [key.slice(0, at), key.slice(at + 1)];
}

/** The row's key tells two names apart and stays out of the evidence. */
function broken(tenant: string, row: Row): AppError {
  return new AppError('integrity-failure', 'A pseudonym does not match its checksum.', {
    evidence: { tenant, table: ACTORS_TABLE, etag: row.etag },
  });
}
