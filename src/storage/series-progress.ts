import type { JsonObject } from '../domain/canonical-json.js';
import type { PartsDeclaration, SeriesDeclaration } from '../domain/parts.js';
import type { RecordType } from '../domain/record-type.js';
import { Budget } from './backoff.js';
import { callEvent } from './call-event.js';
import { digestRow, NOT_DIGESTED, parseDigestRow, type Digested } from './digest-row.js';
import type { PartitionRef } from './directory.js';
import { partitionKey } from './keys.js';
import type { CallContext, StorageManagerOptions } from './manager-types.js';
import { pendingEvent } from './pending-event.js';
import { isFault, type RowOperation } from './ports.js';
import { digestKey } from './series-rows.js';

export type ProgressTools = Pick<
  StorageManagerOptions,
  'ports' | 'clock' | 'entropy' | 'directory' | 'secretBox' | 'pseudonym' | 'onCommitted'
>;

/** A series and where it is. */
export interface SeriesPlace {
  readonly type: RecordType;
  readonly parts: PartsDeclaration & { readonly series: SeriesDeclaration };
  readonly id: string;
  /** Of the record. */
  readonly record: PartitionRef;
  /** Of its entries, and of the row that says how far they have come. */
  readonly entries: PartitionRef;
}

/** Who moves what nobody asked for. */
const ACTOR = 'job:archive-series';

/** How far a series has come, as its row says, and changes of that with their events. */
export class SeriesProgress {
  constructor(private readonly tools: ProgressTools) {}

  /** One point read. Throws `integrity-failure`. */
  async come({ entries, id }: SeriesPlace): Promise<Digested> {
    const key = partitionKey(entries.tenant, entries.partition);
    const row = await this.#budget().retry(() => this.tools.ports.tables.find(entries.table, key, digestKey(id)));
    return row === undefined ? NOT_DIGESTED : parseDigestRow(row);
  } // prettier-ignore

  /**
   * Replaces what the row says, under its ETag, by what `next` makes of it; again where a digest has moved it meanwhile, and
   * nothing where `next` sees that there is nothing to change, or the series is gone. The event, where there is one, is in the
   * same transaction. One read and one transaction.
   */
  async change(
    place: SeriesPlace,
    next: (come: Digested) => Digested | undefined | Promise<Digested | undefined>,
    event?: RowOperation,
  ): Promise<void> {
    const { entries, id } = place;
    const key = partitionKey(entries.tenant, entries.partition);
    const { tables } = this.tools.ports;
    const pausing = this.#budget();
    for (;;) {
      const come = await this.come(place);
      const then = come.etag === undefined ? undefined : await next(come);
      if (come.etag === undefined || then === undefined) return;
      const operations: RowOperation[] = [{ kind: 'replace', ...digestRow(key, id, then), etag: come.etag }];
      if (event !== undefined) {
        operations.push(event);
        await this.#budget().retry(() => this.tools.directory.announce(entries));
      }
      try {
        await this.#budget().retry(() => tables.commit(entries.table, key, operations));
        if (event !== undefined) this.tools.onCommitted?.(entries);
        return;
      } catch (error) {
        // Moved by a digest, or this was applied and its answer lost: what it says now tells.
        if (!isFault(error, 'conflict', 'missing', 'exists')) throw error;
        await pausing.pause(error, 5, 250);
      }
    }
  }

  /** The event of a move of values: of the record, and of none of its revisions. */
  async event({ type, id, entries }: SeriesPlace, details: JsonObject): Promise<RowOperation> {
    const call: CallContext = { tenant: entries.tenant, actor: ACTOR, correlationId: ACTOR };
    const { event, sealed } = await callEvent(this.tools, call, {
      timestampMs: this.tools.clock.now(),
      eventType: 'record.archived',
      action: 'archive',
      resourceType: type.recordType,
      resourceId: id,
      details,
    });
    return pendingEvent(partitionKey(entries.tenant, entries.partition), event, sealed, { id });
  }

  #budget(): Budget {
    return new Budget(this.tools.clock, this.tools.entropy);
  }
}
