import pLimit from 'p-limit';
import { formatTime } from '../../domain/clock.js';
import { AppError } from '../../domain/errors.js';
import { LIMITS } from '../../domain/limits.js';
import { Budget } from '../../storage/backoff.js';
import { isFault, type Row, type RowOperation } from '../../storage/ports.js';
import { noCounts, TimedCache } from '../../storage/timed-cache.js';
import { blindHash } from './hmac-blind-index.js';
import {
  brokenKey,
  dataKeyRow,
  findKeyRow,
  keyRow,
  KEYS_TABLE,
  keysPartition,
  NOBODY_ROW,
  subjectKeyRow,
  textOf,
} from './key-rows.js';
import type { KeyTools, TenantKeys } from './tenant-keys.js';
import { KEY_BYTES, unwrapKey, wrapKey } from './wrap-key.js';

/** Whose key seals what is about nobody who is named; no subject has an empty name. */
export const NOBODY = '';

export interface DataKey {
  readonly id: string;
  /** Undefined once it was destroyed. */
  readonly key: Uint8Array | undefined;
}

/** `unknown`: the tenant never had a key for that name. */
export type Destroyed = { readonly outcome: 'unknown' } | DestroyedKey;

/** What there is of a subject's keys. */
export interface Standing {
  readonly known: boolean;
  /** The key it has now. */
  readonly keyId?: string;
  /** Since when it has none. */
  readonly destroyedAt?: string;
}

export interface DestroyedKey {
  readonly outcome: 'destroyed' | 'already-destroyed';
  readonly keyId: string;
  readonly at: string;
}

const PARALLEL = 8;
/** How often a row may name a key that is gone before it is taken to be damaged, and not to have moved meanwhile. */
const LOOKS = 3;
const ID_BYTES = 16;
/** Keys of a subject that were destroyed, named in its row: as many as may still be in somebody's memory. */
const DESTROYED_NAMED = 16;

/**
 * The data keys of tenants: one random 256-bit key per data subject, wrapped by the tenant's key. Of the name nothing is
 * stored but a blind hash. What was read is kept for five minutes and never longer, so that a key that somebody else
 * destroyed is gone from this process after that (lifecycle.md, Erasure). Calls throw `integrity-failure`,
 * `storage-unavailable`.
 */
export class DataKeys {
  readonly #ids: TimedCache<{ readonly id: string }>;
  readonly #keys: TimedCache<DataKey>;
  readonly #counts = noCounts();

  constructor(
    private readonly tools: KeyTools,
    private readonly tenants: TenantKeys,
  ) {
    const bounds = { entries: LIMITS.dataKeysKept, bytes: LIMITS.dataKeysKept };
    this.#ids = new TimedCache(tools.clock, bounds);
    this.#keys = new TimedCache(tools.clock, bounds);
  }

  /**
   * The keys that subjects have now, made where there is none, by subject. The first use of a subject costs 1 read and 1
   * transaction, the first in a process 2 reads, then nothing for five minutes. Throws `storage-unavailable`, once, where
   * it learns that a key which this process may have opened something with was destroyed.
   */
  async ofSubjects(tenant: string, subjects: readonly string[]): Promise<ReadonlyMap<string, DataKey>> {
    return inParallel(subjects, (subject) => this.#ofSubject(tenant, subject));
  }

  /**
   * Keys by their ids, destroyed ones too. One read each the first time in a process, and with `fresh` each time. Throws
   * for one there is not.
   */
  async byIds(tenant: string, ids: readonly string[], fresh = false): Promise<ReadonlyMap<string, DataKey>> {
    return inParallel(ids, (id) => this.#byId(tenant, id, fresh));
  }

  /**
   * Destroys the key of a subject for good: what was sealed under it opens nowhere any more, as soon as no process
   * remembers it. The next use of the name makes another key. Idempotent. At most 2 reads and 1 transaction.
   */
  async destroySubject(tenant: string, subject: string): Promise<Destroyed> {
    if (subject === NOBODY || !(await this.tenants.exists(tenant))) return { outcome: 'unknown' };
    try {
      return await this.#destroyIn(tenant, await this.#rowOf(tenant, subject));
    } finally {
      // Also where storage did not say whether it happened.
      this.#forget(tenant, subject);
    }
  }

  /**
   * What there is of a subject's keys, by the blind hash of the name: which key it has now, none where it never had one or
   * it was destroyed, and since when. At most 2 reads.
   */
  async standingOf(tenant: string, blind: string): Promise<Standing> {
    if (!(await this.tenants.exists(tenant))) return { known: false };
    const rowKey = subjectKeyRow(blind);
    const row = await this.#budget().retry(() => findKeyRow(this.tools.tables, tenant, rowKey));
    if (row === undefined) return { known: false };
    const [keyId, destroyedAt] = [textOf(row, 'data_key'), textOf(row, 'destroyed_at')];
    return { known: true, ...(keyId === '' ? { destroyedAt } : { keyId }) };
  }

  /**
   * As `destroySubject`, for whoever knows the hash of the name alone, and only the very key that is named: a key that the
   * name has had since is left. Since when it is destroyed: `at` by the clock of the host that did it, `storedMs` by the
   * service's, which rows of other tables can be held against.
   */
  async destroyKey(tenant: string, blind: string, keyId: string): Promise<{ readonly at: string; readonly storedMs: number }> {
    const standing = await this.standingOf(tenant, blind);
    if (standing.keyId === keyId) await this.#destroyIn(tenant, subjectKeyRow(blind), keyId);
    const rowKey = dataKeyRow(keyId);
    const row = await this.#budget().retry(() => findKeyRow(this.tools.tables, tenant, rowKey));
    const at = row === undefined ? '' : textOf(row, 'destroyed_at');
    if (row === undefined || at === '') throw brokenKey(tenant, rowKey, 'not destroyed');
    this.#forgetKeys(tenant, [keyId]);
    return { at, storedMs: row.timestampMs };
  } // prettier-ignore

  async #destroyIn(tenant: string, rowKey: string, only?: string): Promise<Destroyed> {
    const budget = this.#budget();
    let tried: string | undefined;
    for (;;) {
      const row = await budget.retry(() => findKeyRow(this.tools.tables, tenant, rowKey));
      if (row === undefined) return { outcome: 'unknown' };
      if (only !== undefined && textOf(row, 'data_key') !== only) return { outcome: 'unknown' };
      const done = await this.#destroy(tenant, row, budget);
      // A repetition of our own that found it done: the answer to the first was lost.
      if (done !== undefined) return done.keyId === tried ? { ...done, outcome: 'destroyed' } : done;
      tried = textOf(row, 'data_key');
      await budget.pause(undefined);
    }
  }

  /** Undefined when the subject's row has moved meanwhile. */
  async #destroy(tenant: string, row: Row, budget: Budget): Promise<DestroyedKey | undefined> {
    const id = textOf(row, 'data_key');
    const destroyed = destroyedIn(row);
    if (id === '') {
      const last = destroyed.at(-1);
      if (last === undefined) throw brokenKey(tenant, row.rowKey, 'key');
      this.#forgetKeys(tenant, destroyed);
      return { outcome: 'already-destroyed', keyId: last, at: textOf(row, 'destroyed_at') };
    }
    const at = formatTime(this.tools.clock.now());
    const partition = keysPartition(tenant);
    const named = [...destroyed, id].slice(-DESTROYED_NAMED).join(' ');
    const subject = {
      data_key: '',
      destroyed: named,
      destroyed_at: at,
      created_at: textOf(row, 'created_at'),
    };
    try {
      await budget.retry(() =>
        this.tools.tables.commit(KEYS_TABLE, partition, [
          { kind: 'replace', ...keyRow(partition, row.rowKey, subject), etag: row.etag },
          // Whatever is there, also where the key was lost already: nothing but a tombstone is to be left.
          { kind: 'upsert', ...keyRow(partition, dataKeyRow(id), { destroyed_at: at }) },
        ]),
      );
    } catch (error) {
      // Where our own answer was lost, the next look finds it done.
      if (!isFault(error, 'conflict', 'missing')) throw error;
      return undefined;
    } finally {
      this.#forgetKeys(tenant, [id]);
    }
    return { outcome: 'destroyed', keyId: id, at };
  }

  async #ofSubject(tenant: string, subject: string): Promise<DataKey> {
    for (let look = 1; look <= LOOKS; look += 1) {
      const { id } = await this.#idOf(tenant, subject);
      const found = await this.#byId(tenant, id);
      if (found.key !== undefined) return found;
      // Destroyed since this process last looked whose key it is.
      this.#forget(tenant, subject);
    }
    throw brokenKey(tenant, await this.#rowOf(tenant, subject), 'key');
  }

  async #idOf(tenant: string, subject: string): Promise<{ readonly id: string }> {
    const load = async () => {
      const value = await this.#findOrMake(tenant, subject);
      return { value, ttlMs: LIMITS.keysKeptMs, bytes: 1 };
    };
    return (await this.#ids.read(cacheName(tenant, subject), load, this.#counts)).value;
  }

  async #byId(tenant: string, id: string, fresh = false): Promise<DataKey> {
    const load = async () => {
      const value = await this.#budget().retry(() => this.#find(tenant, id));
      return { value, ttlMs: LIMITS.keysKeptMs, bytes: 1 };
    };
    return (await this.#keys.read(cacheName(tenant, id), load, this.#counts, fresh)).value;
  }

  async #find(tenant: string, id: string): Promise<DataKey> {
    const rowKey = dataKeyRow(id);
    const row = await findKeyRow(this.tools.tables, tenant, rowKey);
    if (row === undefined) throw brokenKey(tenant, rowKey, 'missing');
    if (textOf(row, 'destroyed_at') !== '') return { id, key: undefined };
    const { wrapping } = await this.tenants.of(tenant);
    const key = unwrapKey(wrapping, textOf(row, 'wrapped'), keyPlace(tenant, id));
    if (key === undefined) throw brokenKey(tenant, rowKey, 'key');
    return { id, key };
  }

  async #findOrMake(tenant: string, subject: string): Promise<{ readonly id: string }> {
    const rowKey = await this.#rowOf(tenant, subject);
    const budget = this.#budget();
    for (;;) {
      const id = await budget.retry(async () => {
        const row = await findKeyRow(this.tools.tables, tenant, rowKey);
        if (row !== undefined && this.#forgetKeys(tenant, destroyedIn(row))) throw outlived();
        const known = row === undefined ? '' : textOf(row, 'data_key');
        return known === '' ? this.#make(tenant, rowKey, row) : known;
      });
      if (id !== undefined) return { id };
      // Somebody else made one at the same time: theirs is the key.
      await budget.pause(undefined);
    }
  }

  /** Both rows or none, so that of several processes one makes the key. */
  async #make(tenant: string, rowKey: string, former: Row | undefined): Promise<string | undefined> {
    const { tables, entropy, clock } = this.tools;
    const { wrapping } = await this.tenants.of(tenant);
    const id = Buffer.from(entropy.bytes(ID_BYTES)).toString('hex');
    const key = entropy.bytes(KEY_BYTES);
    const partition = keysPartition(tenant);
    const created = { created_at: formatTime(clock.now()) };
    const destroyed = former === undefined ? {} : { destroyed: textOf(former, 'destroyed') };
    const subject = keyRow(partition, rowKey, { data_key: id, ...destroyed, ...created });
    const wrapped = wrapKey(wrapping, key, keyPlace(tenant, id), entropy);
    const operations: readonly RowOperation[] = [
      former === undefined
        ? { kind: 'insert', ...subject }
        : { kind: 'replace', ...subject, etag: former.etag },
      { kind: 'insert', ...keyRow(partition, dataKeyRow(id), { wrapped, ...created }) },
    ];
    const began = clock.monotonic();
    try {
      await tables.commit(KEYS_TABLE, partition, operations);
    } catch (error) {
      if (!isFault(error, 'exists', 'conflict', 'missing')) throw error;
      return undefined;
    }
    const load = () => {
      const ttlMs = LIMITS.keysKeptMs - (clock.monotonic() - began);
      return Promise.resolve({ value: { id, key }, ttlMs, bytes: 1 });
    };
    await this.#keys.read(cacheName(tenant, id), load, this.#counts);
    return id;
  }

  async #rowOf(tenant: string, subject: string): Promise<string> {
    if (subject === NOBODY) return NOBODY_ROW;
    return subjectKeyRow(blindHash(await this.tenants.indexKey(tenant), 'subject', subject));
  }

  #forget(tenant: string, subject: string): void {
    this.#ids.forget(cacheName(tenant, subject), this.#counts);
  }

  /** True where this process remembered one of them as one that opens something. */
  #forgetKeys(tenant: string, ids: readonly string[]): boolean {
    const forgotten = ids.map((id) => this.#keys.forget(cacheName(tenant, id), this.#counts));
    return forgotten.some(({ known, value }) => known && (value === undefined || value.key !== undefined));
  }

  #budget(): Budget {
    return new Budget(this.tools.clock, this.tools.entropy);
  }
}

async function inParallel<T>(
  names: readonly string[],
  load: (name: string) => Promise<T>,
): Promise<ReadonlyMap<string, T>> {
  const distinct = [...new Set(names)];
  const entry = async (name: string) => [name, await load(name)] as const;
  const [only] = distinct;
  if (only !== undefined && distinct.length === 1) return new Map([await entry(only)]);
  if (distinct.length <= PARALLEL) return new Map(await Promise.all(distinct.map(entry)));
  const limit = pLimit(PARALLEL);
  return new Map(await Promise.all(distinct.map((name) => limit(entry, name))));
}

/**
 * For whoever may hold what it has opened with a key that it learns now to have been destroyed: sealed under the subject's
 * next key it would be back.
 */
function outlived(): AppError {
  return new AppError('storage-unavailable', 'A key that was in use has been destroyed meanwhile.', { retryAfterS: 1 }); // prettier-ignore
}

function destroyedIn(row: Row): readonly string[] {
  return textOf(row, 'destroyed')
    .split(' ')
    .filter((id) => id !== '');
}

/** A tenant holds no colon. */
function cacheName(tenant: string, name: string): string {
  return `${tenant}:${name}`;
}

function keyPlace(tenant: string, id: string): readonly string[] {
  return [tenant, 'data', id];
}
