import { Budget } from './backoff.js';
import type { AuditEvent } from '../domain/audit-event.js';
import type { RecordType } from '../domain/record-type.js';
import { callEvent } from './call-event.js';
import type { PartitionRef } from './directory.js';
import { partitionKey } from './keys.js';
import type { CallContext } from './manager-types.js';
import { streamOf } from './moved-lines.js';
import { headRow, type PartsHead } from './part-rows.js';
import { pendingEvent } from './pending-event.js';
import { isFault, type RowOperation } from './ports.js';
import type { MoverTools } from './revision-mover.js';
import { streamRow, type StreamPiece, type StreamRow } from './stream-row.js';

/** What of a record's rows is to be replaced: `from` and `head` are as they were read. */
export interface StreamMove {
  readonly id: string;
  readonly from: StreamRow;
  readonly to: Omit<StreamRow, 'etag'>;
  /** Where the record's head changes too: nothing may have been added since it was read. */
  readonly head?: PartsHead;
}

/** Who moves what nobody asked for. */
const ACTOR = 'job:archive';

/** Says in the row `w:<id>` where the entries of a record have gone, with the event `record.archived` (REQ-STO-008). */
export class StreamMover {
  constructor(private readonly tools: MoverTools) {}

  /**
   * One transaction. False where somebody else has changed the rows since they were read: that one wins, and the rest is left
   * for another time. Throws `storage-unavailable`.
   */
  async move(
    type: RecordType,
    ref: PartitionRef,
    { id, from, to, head }: StreamMove,
    details: AuditEvent['details'],
  ): Promise<boolean> {
    const { clock, directory, entropy, ports } = this.tools;
    const budget = new Budget(clock, entropy);
    const key = partitionKey(ref.tenant, ref.partition);
    const operations: RowOperation[] = [
      { kind: 'replace', ...streamRow(key, id, to), etag: from.etag ?? '' },
      ...(head === undefined ? [] : [{ kind: 'replace', ...headRow(key, id, head), etag: head.etag ?? '' } as const]), // prettier-ignore
      await this.#event(type, ref, id, details),
    ];
    for (let ambiguous = false; ;) {
      await budget.retry(() => directory.announce(ref));
      try {
        await ports.tables.commit(ref.table, key, operations);
        this.tools.onCommitted?.(ref);
        return true;
      } catch (error) {
        if (isFault(error, 'unavailable')) {
          ambiguous = true;
          await budget.pause(error);
        } else if (isFault(error, 'exists', 'conflict', 'missing')) {
          return ambiguous && says(await streamOf(ports.tables, ref, id, budget), to.pieces);
        } else throw error;
      }
    }
  }

  async #event(type: RecordType, ref: PartitionRef, id: string, details: AuditEvent['details']): Promise<RowOperation> {
    const call: CallContext = { tenant: ref.tenant, actor: ACTOR, correlationId: ACTOR };
    const { event, sealed } = await callEvent(this.tools, call, {
      timestampMs: this.tools.clock.now(),
      eventType: 'record.archived',
      action: 'archive',
      resourceType: type.recordType,
      resourceId: id,
      details,
    });
    return pendingEvent(partitionKey(ref.tenant, ref.partition), event, sealed, { id });
  } // prettier-ignore
}

/** After a lost answer: whether a row has what was to be said in it, or more since. */
function says({ pieces }: StreamRow, wanted: readonly StreamPiece[]): boolean {
  const isThere = ({ file, blob, tier }: StreamPiece): boolean => pieces.some((one) => one.file === file && one.blob === blob && one.tier === tier); // prettier-ignore
  return wanted.every(isThere);
}
