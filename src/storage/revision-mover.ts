import type { Tier } from '../domain/envelope.js';
import type { RecordType } from '../domain/record-type.js';
import { Budget } from './backoff.js';
import { callEvent } from './call-event.js';
import type { PartitionRef } from './directory.js';
import { partitionKey } from './keys.js';
import type { CallContext, StorageManagerOptions } from './manager-types.js';
import { pendingEvent } from './pending-event.js';
import { isFault, type Row, type RowOperation } from './ports.js';
import { MOVED_AT_ONCE, moveOperations, type RevisionMove } from './row-moves.js';

export type MoverTools = Pick<
  StorageManagerOptions,
  'ports' | 'clock' | 'entropy' | 'directory' | 'secretBox' | 'pseudonym' | 'onCommitted'
>;

/** Revisions of a record that move together, in ascending order; their rows and the record's as they were read. */
export interface RecordMove {
  readonly record: Row;
  readonly revisions: readonly RevisionMove[];
}

/** Who moves what nobody asked for. */
const ACTOR = 'job:archive';

/** Points the rows of records at the packs that have their envelopes, each with its event (REQ-STO-008, steps 4 and 6). */
export class RevisionMover {
  constructor(private readonly tools: MoverTools) {}

  /**
   * One transaction for each 70 revisions, the current one in the last of them, each with an event `record.archived`: at
   * every moment the rows name what can be read. Resolves to the revisions whose rows say it: fewer than were asked for
   * where somebody else has written the record since it was read; that one wins, and the rest is left for another
   * time. Throws `storage-unavailable`.
   */
  async move(
    type: RecordType,
    ref: PartitionRef,
    { record, revisions }: RecordMove,
    to: { readonly tier: Tier; readonly pack: string },
  ): Promise<readonly RevisionMove[]> {
    const moved: RevisionMove[] = [];
    let row = record;
    for (let at = 0; at < revisions.length; at += MOVED_AT_ONCE) {
      const chunk = revisions.slice(at, at + MOVED_AT_ONCE);
      const done = await this.#commit(type, ref, row, chunk, to);
      if (done === 'lost') return moved;
      moved.push(...chunk);
      this.tools.onCommitted?.(ref);
      // Whether it was ours is known, and not what came after it.
      if (done === 'long-ago') return moved;
      row = { ...row, etag: done.etag };
    }
    return moved;
  }

  async #commit(
    type: RecordType,
    ref: PartitionRef,
    record: Row,
    chunk: readonly RevisionMove[],
    to: { readonly tier: Tier; readonly pack: string },
  ): Promise<{ readonly etag: string } | 'long-ago' | 'lost'> {
    const { clock, directory, entropy, ports } = this.tools;
    const budget = new Budget(clock, entropy);
    const key = partitionKey(ref.tenant, ref.partition);
    const operations = [
      ...moveOperations(record, chunk, to.tier),
      await this.#event(type, ref, record, chunk, to),
    ];
    let ambiguous = false;
    for (;;) {
      await budget.retry(() => directory.announce(ref));
      try {
        const [etag = ''] = await ports.tables.commit(ref.table, key, operations);
        return { etag };
      } catch (error) {
        if (isFault(error, 'unavailable')) {
          ambiguous = true;
          await budget.pause(error);
        } else if (isFault(error, 'exists', 'conflict', 'missing')) {
          return ambiguous && (await this.#isDone(ref, key, chunk, to, budget)) ? 'long-ago' : 'lost';
        } else throw error;
      }
    }
  }

  /** After a lost answer: the rows of the revisions tell whether it was committed. */
  async #isDone(
    { table }: PartitionRef,
    key: string,
    [first]: readonly RevisionMove[],
    { tier }: { readonly tier: Tier },
    budget: Budget,
  ): Promise<boolean> {
    if (first === undefined) return false;
    const row = await budget.retry(() => this.tools.ports.tables.find(table, key, first.row.rowKey));
    return row?.properties['blob'] === first.to.blob && row.properties['tier'] === tier;
  }

  async #event(
    type: RecordType,
    ref: PartitionRef,
    record: Row,
    chunk: readonly RevisionMove[],
    { tier, pack }: { readonly tier: Tier; readonly pack: string },
  ): Promise<RowOperation> {
    const id = String(record.properties['id']);
    const [first, last] = [chunk[0]?.row.properties ?? {}, chunk.at(-1)?.row.properties ?? {}];
    const call: CallContext = { tenant: ref.tenant, actor: ACTOR, correlationId: ACTOR };
    const { event, sealed } = await callEvent(this.tools, call, {
      timestampMs: this.tools.clock.now(),
      eventType: 'record.archived',
      action: 'archive',
      resourceType: type.recordType,
      resourceId: id,
      details: {
        from: String(first['tier']),
        to: tier,
        pack,
        revisions: { from: Number(first['revision']), to: Number(last['revision']), count: chunk.length },
      },
    });
    return pendingEvent(partitionKey(ref.tenant, ref.partition), event, sealed, { id });
  }
}
