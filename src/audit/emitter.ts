import { eventText, SEALED_EVENT_TYPE, type AuditEvent } from '../domain/audit-event.js';
import { buildEvent, type EventDraft } from '../domain/build-event.js';
import type { Entropy } from '../domain/clock.js';
import type { SecretBox, Secrets } from '../domain/commitment.js';
import type { Directory, PartitionRef } from '../storage/directory.js';
import { dayOf, partitionKey, pendingEventKey, recordKey } from '../storage/keys.js';
import type { Properties, RecordTable, RowOperation } from '../storage/ports.js';
import { withRowChecksum } from '../storage/row-checksum.js';
import type { Actors } from './actors.js';
import { applyUnits, type Unit } from './apply-units.js';
import { INDEX_TABLE } from './clear-order.js';
import { eventColumns } from './index-rows.js';
import { answering } from './storage-trouble.js';

/** An event to be emitted; whoever did it is given by name, or by pseudonym where only that is known. */
export type AuditDraft = Omit<EventDraft, 'actor'> &
  (
    | { readonly actorName: string; readonly actor?: undefined }
    | { readonly actor: string; readonly actorName?: undefined }
  );

export interface EmitterTools {
  readonly tables: RecordTable;
  readonly directory: Directory;
  readonly actors: Pick<Actors, 'pseudonym'>;
  readonly secretBox: SecretBox;
  readonly entropy: Entropy;
  /** Told of each partition that has new pending events: a hint for the sealer. Must not throw. */
  readonly onCommitted?: (ref: PartitionRef) => void;
}

/** Inserts events that belong to no change of a record: reads, refusals, jobs, poisoned messages. */
export class AuditEmitter {
  constructor(private readonly tools: EmitterTools) {}

  /**
   * Stores events, many in a transaction. An event whose id is there already is left as it is, so that a call whose
   * outcome is not known may be repeated with the same drafts. Throws `internal-error` for an event above 32 KiB,
   * before anything is written, `storage-unavailable` when some of the events may not be stored.
   */
  async emit(drafts: readonly AuditDraft[]): Promise<void> {
    await answering('repeat the call with the same events', () => this.#emit(drafts));
  }

  async #emit(drafts: readonly AuditDraft[]): Promise<void> {
    const once = new Map(drafts.map((draft) => [`${draft.tenant} ${draft.eventId}`, draft]));
    const groups = new Map<string, { readonly ref: PartitionRef; readonly units: Unit[] }>();
    for (const draft of once.values()) {
      const ref = { tenant: draft.tenant, table: INDEX_TABLE, partition: dayOf(draft.timestampMs) };
      const key = partitionKey(ref.tenant, ref.partition);
      const group = groups.get(key) ?? { ref, units: [] };
      group.units.push(await this.#unit(key, draft));
      groups.set(key, group);
    }
    for (const [key, { ref, units }] of groups) {
      await applyUnits(
        {
          tables: this.tools.tables,
          table: INDEX_TABLE,
          partitionKey: key,
          ordered: false,
          before: () => this.tools.directory.announce(ref),
        },
        units,
      );
      this.tools.onCommitted?.(ref);
    }
  }

  /**
   * The permanent row stays for ever and guards the pending one: a repeated insert cannot bring an event back that
   * was sealed meanwhile.
   */
  async #unit(key: string, draft: AuditDraft): Promise<Unit> {
    const { actorName, ...rest } = draft;
    const actor = draft.actor ?? (await this.tools.actors.pseudonym(draft.tenant, actorName as string));
    const { event, secrets } = buildEvent({ ...rest, actor }, this.tools.entropy);
    const sealed =
      Object.keys(secrets).length === 0 ? undefined : await this.#seal(event, secrets, actorName);
    const columns = eventColumns({ text: eventText(event), schemaVersion: event.schema_version, sealed });
    const permanent = recordKey(event.event_id);
    const insert = (rowKey: string, properties: Properties): RowOperation => ({
      kind: 'insert',
      rowKey,
      properties: withRowChecksum(key, rowKey, properties),
    });
    return {
      operations: [insert(permanent, columns), insert(pendingEventKey(event.event_id), columns)],
      proof: { rowKey: permanent, gone: false },
    };
  }

  /** Address and session are the actor's; of one that is known by a pseudonym alone they are nobody's. */
  async #seal(event: AuditEvent, secrets: Secrets, actorName: string | undefined): Promise<string> {
    const place = { tenant: event.tenant, type: SEALED_EVENT_TYPE, id: event.event_id, revision: 0 };
    const about = actorName === undefined ? [] : [actorName];
    const subjects = Object.fromEntries(Object.keys(secrets).map((pointer) => [pointer, about]));
    return JSON.stringify(await this.tools.secretBox.seal(place, secrets, subjects));
  }
}
