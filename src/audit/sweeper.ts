import pLimit from 'p-limit';
import type { Clock } from '../domain/clock.js';
import { LIMITS } from '../domain/limits.js';
import { SYSTEM_TABLE, type Directory, type DirtyPartition } from '../storage/directory.js';
import { partitionKey, prefixRange, SYSTEM_TENANT } from '../storage/keys.js';
import type { RecordTable } from '../storage/ports.js';
import type { Sealer } from './sealer.js';

export interface SweeperTools {
  readonly tables: RecordTable;
  readonly directory: Directory;
  readonly sealer: Pick<Sealer, 'sealTenant'>;
  readonly clock: Clock;
}

export interface SweepReport {
  /** Tenants that had dirty partitions. */
  readonly tenants: number;
  readonly sealed: number;
  /** Dirty rows that are gone, or were announced again meanwhile. */
  readonly cleaned: number;
  readonly failures: readonly { readonly tenant: string; readonly error: unknown }[];
}

const TENANTS_AT_ONCE = 4;
const CHECKS_AT_ONCE = 8;

/** The backstop of sealing: finds work by the dirty rows alone (architecture.md, "Finding work without scanning"). */
export class Sweeper {
  constructor(private readonly tools: SweeperTools) {}

  /**
   * Seals every tenant that has dirty partitions and removes the dirty rows that have gone quiet. Safe to run twice
   * and by several at once; the failure of one tenant is reported and does not stop the others.
   * Faults: `unavailable`, when the dirty rows themselves cannot be listed.
   */
  async sweep(): Promise<SweepReport> {
    const byTenant = new Map<string, DirtyPartition[]>();
    for (const entry of await this.tools.directory.dirty()) {
      byTenant.set(entry.tenant, [...(byTenant.get(entry.tenant) ?? []), entry]);
    }
    const limit = pLimit(TENANTS_AT_ONCE);
    const parts = await Promise.all(
      [...byTenant].map(([tenant, entries]) => limit(() => this.#sweepTenant(tenant, entries))),
    );
    return {
      tenants: byTenant.size,
      sealed: parts.reduce((sum, part) => sum + part.sealed, 0),
      cleaned: parts.reduce((sum, part) => sum + part.cleaned, 0),
      failures: parts.flatMap((part) => part.failures),
    };
  }

  async #sweepTenant(
    tenant: string,
    entries: readonly DirtyPartition[],
  ): Promise<Omit<SweepReport, 'tenants'>> {
    const failures: { tenant: string; error: unknown }[] = [];
    const attempt = async (step: () => Promise<number>): Promise<number> => {
      try {
        return await step();
      } catch (error) {
        failures.push({ tenant, error });
        return 0;
      }
    };
    const sealed = await attempt(async () => {
      return (await this.tools.sealer.sealTenant(tenant, { partitions: entries })).sealed;
    });
    const cleaned = await attempt(() => this.#clean(entries));
    return { sealed, cleaned, failures };
  }

  /**
   * A row goes only under the ETag it was listed with, and only when a check that began more than an hour after its
   * time found nothing pending: by then every commit it was announced for has happened or never will, and one that
   * was announced since has changed the ETag.
   */
  async #clean(entries: readonly DirtyPartition[]): Promise<number> {
    // Our clock only chooses whom to check; it may run ahead of the service's, whose time the rows carry.
    if (!entries.some((entry) => this.#isQuiet(entry, this.tools.clock.now()))) return 0;
    const checkBegan = await this.#serviceTime();
    const quiet = entries.filter((entry) => this.#isQuiet(entry, checkBegan));
    const limit = pLimit(CHECKS_AT_ONCE);
    const cleaned = await Promise.all(
      quiet.map((entry) =>
        limit(async () => {
          if (await this.#hasPending(entry)) return 0;
          await this.tools.directory.clean(entry);
          return 1;
        }),
      ),
    );
    return cleaned.reduce<number>((sum, one) => sum + one, 0);
  }

  #isQuiet(entry: DirtyPartition, atMs: number): boolean {
    return atMs - entry.announcedMs > LIMITS.dirtyQuietMs;
  }

  async #hasPending(entry: DirtyPartition): Promise<boolean> {
    const key = partitionKey(entry.tenant, entry.partition);
    const page = await this.tools.tables.range(entry.table, key, { ...prefixRange('o:'), limit: 1 });
    return page.rows.length > 0 || page.more;
  }

  /** The service's clock now, or a little earlier: the time of a row just written. */
  async #serviceTime(): Promise<number> {
    const key = partitionKey(SYSTEM_TENANT, 'sweeps');
    await this.tools.tables.commit(SYSTEM_TABLE, key, [{ kind: 'upsert', rowKey: 'clock', properties: {} }]);
    return (await this.tools.tables.find(SYSTEM_TABLE, key, 'clock'))?.timestampMs ?? 0;
  }
}
