import type { Clock } from '../domain/clock.js';
import { freezeJson } from '../domain/frozen.js';
import { LIMITS } from '../domain/limits.js';
import type { RecordType } from '../domain/record-type.js';
import type { CallContext, StoredRecord } from './manager-types.js';
import { noCounts, TimedCache, type CacheCounts, type Loaded } from './timed-cache.js';

/** A commitment, its salt and what holds them in a map; the value is that of the data. */
const OPENING_BYTES = 320;

/**
 * Answers reads of current records from memory where their type says for how long it may (REQ-STO-019). Never asked by
 * whoever is about to write. A write by this process is seen at once, one by another within the time of the type.
 */
export class ReadCache {
  readonly #records: TimedCache<StoredRecord>;
  readonly #counts = new Map<string, CacheCounts>();

  /** `mayKeep` says whether anything of the caller's tenant may be kept; it may throw what a read may. */
  constructor(
    clock: Clock,
    private readonly mayKeep: (call: CallContext) => Promise<boolean> = () => Promise.resolve(true),
    bytes: number = LIMITS.cacheBytes,
  ) {
    this.#records = new TimedCache(clock, { entries: LIMITS.cacheEntries, bytes });
  }

  /** The current record: what is kept, or what `load` reads. What comes of a type that is kept is frozen. */
  async read(
    type: RecordType,
    id: string,
    call: CallContext,
    load: () => Promise<StoredRecord>,
  ): Promise<StoredRecord> {
    if (type.cache === undefined) return load();
    const counts = this.#countsOf(type);
    if (!(await this.mayKeep(call))) {
      counts.bypassed += 1;
      return { ...(await load()), served: { reason: 'bypass', ageMs: 0 } };
    }
    const loaded = async (): Promise<Loaded<StoredRecord>> => toKeep(type, await load());
    const found = await this.#records.read(keyOf(type, call.tenant, id), loaded, counts, call.fresh);
    return { ...found.value, served: { reason: found.reason, ageMs: found.ageMs } };
  }

  /**
   * Runs a write of a record. What is kept of it is forgotten before the write is answered, whatever came of it: one
   * that failed may have been committed, and one that was refused may have met what another process wrote.
   */
  async writing<T>(type: RecordType, tenant: string, id: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } finally {
      this.forget(type, tenant, id);
    }
  }

  /** For whoever changed or removed a record: the next read is of what is stored. */
  forget(type: RecordType, tenant: string, id: string): void {
    if (type.cache !== undefined) this.#records.forget(keyOf(type, tenant, id), this.#countsOf(type));
  }

  /** After a subject was erased: whatever was opened before is read anew. */
  forgetAll(): void {
    this.#records.forgetAll();
  }

  /** By record type. */
  statistics(): Readonly<Record<string, Readonly<CacheCounts>>> {
    return Object.fromEntries([...this.#counts].map(([name, counts]) => [name, { ...counts }]));
  }

  #countsOf({ recordType }: RecordType): CacheCounts {
    const counts = this.#counts.get(recordType) ?? noCounts();
    this.#counts.set(recordType, counts);
    return counts;
  }
}

/** The type is part of it: under another collection's address the same id names nothing. */
function keyOf({ recordType }: RecordType, tenant: string, id: string): string {
  return `${recordType}/${tenant}/${id}`;
}

function toKeep({ cache }: RecordType, record: StoredRecord): Loaded<StoredRecord> {
  const kept = cache?.when?.(record.envelope.data) ?? true;
  const bytes = freezeJson(record) + OPENING_BYTES * (record.hidden?.openings.size ?? 0);
  return { value: record, ttlMs: kept ? (cache?.ttlMs ?? 0) : 0, bytes };
}
