import { AsyncLocalStorage } from 'node:async_hooks';
import { isHeld, type HeldScope } from '../../src/domain/held.js';
import { RECORD_TYPES } from '../../src/records/registry.js';
import type { RowOperation, StoragePorts } from '../../src/storage/ports.js';
import type { DisposalCause } from '../../src/storage/tombstone-row.js';
import { wrapPorts, type Intercept } from '../support/wrap-ports.js';
import type { Counters } from './simulation-counters.js';
import { START_MS } from './simulation-host.js';
import { overMs, type Erasing, type Kept } from './years-facts.js';

/** What a job has read so far in one of its runs: when each record's row was asked for last, and when an erasure's was. */
interface Run {
  readonly asked: Map<string, number>;
  erasureMs: number;
}

export interface Gone {
  readonly event: string;
  readonly atMs: number;
  readonly cause: string;
}

interface Hold {
  readonly tenant: string;
  readonly scope: HeldScope;
  readonly placedMs: number;
}

type Commit = [table: string, key: string, operations: readonly RowOperation[]];
type Written = Extract<RowOperation, { readonly properties: unknown }>;

const RECORDS: ReadonlySet<string> = new Set(RECORD_TYPES.map(({ table }) => table));
const run = new AsyncLocalStorage<Run>();

/** Runs a job, so that what it reads is told from what others read in the same process. */
export const asOneRun = <T>(work: () => Promise<T>): Promise<T> => run.run({ asked: new Map(), erasureMs: Infinity }, work); // prettier-ignore

/**
 * Sees every destruction as it is asked for and as it happens, and holds it against the rules: what is held is never
 * destroyed, by anybody who could know it; nothing goes before its time; what is gone stays so; and nothing is said to be
 * erased before it is.
 */
export class YearsWatch {
  readonly gone = new Map<string, Gone>();
  /** When an erasure of a subject was said to be done, by `<tenant> <hash>`. */
  readonly erased = new Map<string, number>();
  readonly violations: string[] = [];
  readonly records = new Map<string, Kept>();
  /** Names by `<tenant> <hash>`. */
  readonly people = new Map<string, string>();
  readonly #holds = new Map<string, Hold>();
  /** Looks at the whole storage; set once there is one. */
  leftOf: (erasing: Erasing) => readonly string[] = () => [];

  constructor(
    private readonly counters: Counters,
    private readonly nowMs: () => number,
  ) {}

  /** Whether a hold in force covers a record. */
  holds(kept: Kept, placedBeforeMs = Infinity): boolean {
    const { id, tenant, type } = kept;
    const active = [...this.#holds]
      .filter(([, hold]) => hold.tenant === tenant && hold.placedMs < placedBeforeMs)
      .map(([holdId, { scope }]) => ({ holdId, scope }));
    // Of who was erased nobody can tell any more that a record is about them.
    const subjects = kept.people.map((name) => this.hashOf(tenant, name)).filter((hash) => !this.#keyless.has(`${tenant} ${hash}`)); // prettier-ignore
    return isHeld(active, { collection: type.collection, id, createdMs: 0, fields: {}, subjects });
  }

  /** Whether there is a hold on a person: nobody knows then whether what lies in the archive is about them. */
  holdsSomebody(tenant: string): boolean {
    return [...this.#holds.values()].some((hold) => hold.tenant === tenant && hold.scope.kind === 'subject');
  }

  hashOf(tenant: string, name: string): string {
    const found = [...this.people].find(([key, value]) => key.startsWith(`${tenant} `) && value === name);
    return found?.[0].slice(tenant.length + 1) ?? '';
  }

  /** The storage as a process sees it: what it asks for is judged when it does. */
  asking(ports: StoragePorts): StoragePorts {
    return wrapPorts(ports, (call, go) => {
      const own = run.getStore();
      if (own !== undefined && call.port === 'tables') this.#asked(own, call.method, call.args);
      return go();
    });
  }

  /** Stands around what happens in the storage itself. */
  readonly happens: Intercept = async ({ port, method, args }, go) => {
    const answer = await go();
    if (port === 'tables' && method === 'commit') this.#committed(...(args as unknown as Commit));
    if (method === 'setTier') this.counters.add(`life: to ${args[2] as 'cool' | 'archive'}`);
    if (method === 'copyToHot') this.counters.add('life: brought back');
    return answer;
  };

  #asked(own: Run, method: string, args: readonly unknown[]): void {
    if (method === 'find') {
      const [table, , rowKey] = args as [string, string, string];
      if (RECORDS.has(table) && rowKey.startsWith('r:')) own.asked.set(rowKey.slice(2), this.nowMs());
      if (table === 'erasures') own.erasureMs = this.nowMs();
    }
    if (method !== 'commit') return;
    const [table, key, operations] = args as unknown as Commit;
    const tenant = key.slice(0, key.indexOf(':'));
    if (RECORDS.has(table)) for (const one of operations) this.#destroys(own, one);
    if (table === 'keys') this.#destroysKey(own, tenant, operations);
  }

  #destroys(own: Run, operation: RowOperation): void {
    if (!('properties' in operation) || !operation.rowKey.startsWith('r:')) return;
    const kept = this.records.get(operation.rowKey.slice(2));
    const askedMs = own.asked.get(operation.rowKey.slice(2));
    if (kept === undefined || askedMs === undefined || !this.#isDestruction(operation)) return;
    // Whoever asks for holds after it has read the row sees those that were placed before.
    if (this.holds(kept, askedMs)) this.violate(`${kept.id} is destroyed under a legal hold`);
  }

  #isDestruction({ rowKey, properties }: Written): boolean {
    // That it is cleared is said of one that is gone.
    if (this.gone.has(rowKey.slice(2))) return false;
    const event = String(properties['history_event'] ?? '');
    return properties['tombstone'] === true || (event !== '' && !this.#cut.has(event));
  }

  #destroysKey(own: Run, tenant: string, operations: readonly RowOperation[]): void {
    const subject = operations.find((one): one is Written => 'properties' in one && one.rowKey.startsWith('s:') && one.properties['data_key'] === ''); // prettier-ignore
    if (subject === undefined) return;
    const name = this.people.get(`${tenant} ${subject.rowKey.slice(2)}`);
    for (const kept of this.records.values())
      if (
        kept.tenant === tenant &&
        name !== undefined &&
        kept.people.includes(name) &&
        !this.gone.has(kept.id) &&
        this.holds(kept, own.erasureMs)
      )
        // prettier-ignore
        this.violate(`the key of ${name} is destroyed although ${kept.id} is on legal hold`);
  }

  /** Subjects whose key was destroyed. */
  readonly #keyless = new Set<string>();
  /** Events of cuts of histories that have happened. */
  readonly #cut = new Set<string>();
  /** When an erasure was first seen to know which key it is to destroy, by the service's clock. */
  readonly #begun = new Map<string, number>();

  #committed(table: string, key: string, operations: readonly RowOperation[]): void {
    const tenant = key.slice(0, key.indexOf(':'));
    for (const one of operations) {
      if (table === 'holds') this.#holdChanged(tenant, one);
      if (!('properties' in one)) continue;
      if (RECORDS.has(table) && one.rowKey.startsWith('r:')) this.#recordChanged(one);
      if (table === 'erasures' && one.rowKey.startsWith('r:')) this.#erasureChanged(tenant, one);
      if (table === 'keys' && one.rowKey.startsWith('s:') && one.properties['data_key'] === '') {
        this.#keyless.add(`${tenant} ${one.rowKey.slice(2)}`);
        this.counters.add('life: key destroyed');
      }
    }
  }

  #holdChanged(tenant: string, operation: RowOperation): void {
    const { kind, rowKey } = operation;
    if (!rowKey.startsWith('a:') || rowKey === 'a:count') return;
    if (kind === 'delete') this.#holds.delete(rowKey);
    else if ('properties' in operation)
      this.#holds.set(rowKey, { tenant, scope: JSON.parse(String(operation.properties['scope'])) as HeldScope, placedMs: this.nowMs() }); // prettier-ignore
  }

  #recordChanged({ rowKey, properties }: Written): void {
    const id = rowKey.slice(2);
    const kept = this.records.get(id);
    const before = this.gone.get(id);
    if (properties['tombstone'] !== true) {
      if (before !== undefined) this.violate(`${id} comes back`);
      const event = properties['history_event'];
      if (event === undefined || this.#cut.has(String(event))) return;
      this.#cut.add(String(event));
      this.counters.add('life: history cut');
      return;
    }
    if (before !== undefined) {
      if (properties['event_id'] !== before.event) this.violate(`${id} is disposed of twice`);
      return;
    }
    const cause = String(properties['cause']) as DisposalCause;
    this.gone.set(id, { atMs: this.nowMs(), cause, event: String(properties['event_id']) });
    this.counters.add(`life: disposed by ${cause}`);
    if (kept === undefined) return;
    if (cause === 'retention' && START_MS + this.nowMs() < overMs(kept)) this.violate(`${id} is disposed of before its time`); // prettier-ignore
    if (cause === 'erasure' && !this.#isOfOne(kept)) this.violate(`${id} is deleted, and is not about one person alone`); // prettier-ignore
  }

  /** About one person alone, or about nobody else who can still be told. */
  #isOfOne({ type, tenant, people, whole }: Kept): boolean {
    const known = people.filter((name) => !this.#keyless.has(`${tenant} ${this.hashOf(tenant, name)}`));
    return whole || (type.erasedWhole === true && known.length <= 1);
  }

  #erasureChanged(tenant: string, { rowKey, properties }: Written): void {
    const [state, subject, actor, keyId] = ['state', 'subject', 'actor', 'key_id'].map((name) => String(properties[name])) as [string, string, string, string]; // prettier-ignore
    const begunMs = this.#begun.get(rowKey) ?? START_MS + this.nowMs();
    if (properties['key_id'] !== undefined) this.#begun.set(rowKey, begunMs);
    if (state === 'complete') this.counters.add('life: certified');
    if (state !== 'provisional' || this.erased.has(`${tenant} ${subject}`)) return;
    this.erased.set(`${tenant} ${subject}`, this.nowMs());
    this.counters.add('life: erased');
    const left = [
      ...this.leftOf({ tenant, subject, actor, keyId, begunMs }),
      ...this.#wholeOf(tenant, subject),
    ];
    if (left.length > 0) this.violate(`an erasure is said to be done, and there is ${left.join(', ')}`);
  }

  /** What was the subject's alone and is there. */
  #wholeOf(tenant: string, subject: string): readonly string[] {
    const name = this.people.get(`${tenant} ${subject}`) ?? '';
    return [...this.records.values()]
      .filter((kept) => kept.tenant === tenant && kept.whole && kept.people.includes(name))
      .filter(({ id }) => !this.gone.has(id))
      .map(({ id }) => id);
  }

  violate(what: string): void {
    this.violations.push(what);
  }
}
