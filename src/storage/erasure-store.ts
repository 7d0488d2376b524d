import type { AuditOutcome } from '../domain/audit-event.js';
import type { Json } from '../domain/canonical-json.js';
import { formatTime } from '../domain/clock.js';
import type { SealingContext } from '../domain/commitment.js';
import { commitData, discloseData, secretsMatch } from '../domain/committed-form.js';
import {
  ERASURE_PREFIX,
  ERASURE_SCHEMA_VERSION,
  ERASURE_TYPE,
  type Erasure,
  type ErasureRequest,
} from '../domain/erasure.js';
import { AppError } from '../domain/errors.js';
import { newId, parseId } from '../domain/ids.js';
import { Budget } from './backoff.js';
import { callEvent, type CallDeed } from './call-event.js';
import { isDefiniteRefusal } from './change.js';
import { executePlan, type CommitOutcome } from './commit.js';
import { Cursors } from './cursor.js';
import {
  erasureKey,
  erasureRow,
  ERASURES_TABLE,
  erasuresPartition,
  erasuresPartitionKey,
  erasureStepRow,
  openKey,
  OPEN_PARTITION,
  parseErasureRow,
  type FoundErasure,
  type StoredErasure,
} from './erasure-rows.js';
import type { HoldTools } from './hold-content.js';
import { IdempotencyStore } from './idempotency.js';
import { prefixRange } from './keys.js';
import type { CallContext, IntegrityFinding, Page } from './manager-types.js';
import { assertLimit } from './page-limit.js';
import { pendingEvent } from './pending-event.js';
import { isFault, type RowOperation } from './ports.js';
import { keyAfter } from './range.js';
import { broken, integrityEvidence } from './record-row.js';
import { withRowChecksum } from './row-checksum.js';

/** An erasure that was asked for, and the event that tells of it. */
export interface WrittenErasure {
  readonly erasure: Erasure;
  readonly eventId: string;
  readonly replayed: boolean;
}

/** What the audit trail is told of a step. */
export type ErasureDeed = Pick<CallDeed, 'eventType' | 'action' | 'details'> & {
  readonly outcome?: AuditOutcome;
};

/** An erasure that is not done, as the list of them names it. */
export interface OpenErasure {
  readonly tenant: string;
  readonly id: string;
  /** The service's clock when it was put on the list. */
  readonly sinceMs: number;
  readonly listedAs: string;
}

const ERASURES = prefixRange('r:');
const placeOf = (tenant: string, id: string): SealingContext => ({ tenant, type: ERASURE_TYPE, id, revision: 0 }); // prettier-ignore

/** Rows of erasures. Every step that is told of is one transaction with its event, so neither is without the other. */
export class ErasureStore {
  readonly #idempotency: IdempotencyStore;
  readonly #cursors: Cursors;

  constructor(private readonly tools: HoldTools) {
    const { ports, clock, entropy, blindIndex, cursorKey } = tools;
    this.#idempotency = new IdempotencyStore(ports.tables, clock, entropy, blindIndex);
    this.#cursors = new Cursors(cursorKey);
  }

  /**
   * Writes down that a subject is to be erased: one insert that puts it on the list of the job, one transaction of 3 rows,
   * and an insert with a key. `allowed` is asked first and may refuse.
   */
  async place(
    asked: ErasureRequest,
    call: CallContext,
    allowed: (subject: string) => Promise<void>,
  ): Promise<WrittenErasure> {
    const budget = this.#budget();
    const { tenant, idempotency } = call;
    const fresh = newId(ERASURE_PREFIX, this.tools.clock.now(), this.tools.entropy);
    const placed = async (id: string): Promise<WrittenErasure | undefined> => {
      const found = await this.find(tenant, id);
      if (found === undefined) return undefined;
      // The first answer again: what has become of it since is for who asks for it.
      const { certificate: _c, waitingFor: _w, ...first } = found;
      const erasure = await this.shown(tenant, { ...first, state: 'pending', events: [] });
      return { erasure, eventId: found.events[0] ?? '', replayed: true };
    };
    const reserved =
      idempotency === undefined
        ? { reservation: undefined }
        : await this.#idempotency.reserve(tenant, idempotency, [fresh], async ({ ids, fingerprint }) => {
            const result = await placed(ids[0] ?? '');
            return result && { fingerprint, result: () => Promise.resolve(result) };
          }, budget); // prettier-ignore
    if ('replay' in reserved) return reserved.replay;
    const { reservation } = reserved;
    const id = reservation?.ids[0] ?? fresh;
    const refused = (error: unknown): boolean => isDefiniteRefusal(error) || (error instanceof AppError && error.code === 'record-on-hold'); // prettier-ignore
    const placing = async (): Promise<WrittenErasure> => {
      const erasure = await this.#asked(asked, id, call);
      await allowed(erasure.subject);
      await this.#putOnList(tenant, id, budget);
      const outcome = await this.#tell(call, undefined, erasure, { eventType: 'erasure.requested', action: 'request', details: toldOf(erasure) }); // prettier-ignore
      if (outcome.outcome === 'committed')
        return { erasure: await this.shown(tenant, erasure), eventId: outcome.eventId, replayed: false };
      const other = await placed(id);
      if (other !== undefined) return other;
      throw new AppError('storage-unavailable', 'The erasure could not be written down.', { retryAfterS: 5 });
    };
    return this.#idempotency.opening(tenant, reservation, budget, placing, refused);
  }

  /** One point read; undefined when there is none. Throws `integrity-failure`. */
  async find(tenant: string, id: string): Promise<FoundErasure | undefined> {
    if (parseId(id)?.prefix !== ERASURE_PREFIX) return undefined;
    const key = erasuresPartitionKey(tenant);
    const row = await this.#budget().retry(() => this.tools.ports.tables.find(ERASURES_TABLE, key, erasureKey(id))); // prettier-ignore
    return row === undefined ? undefined : parseErasureRow(row);
  }

  /** Newest first. One range read. What does not hold together is left out and collected in `found`. */
  async list(
    tenant: string,
    { limit, cursor }: { readonly limit: number; readonly cursor?: string | undefined },
    found: IntegrityFinding[],
  ): Promise<Page<Erasure>> {
    assertLimit(limit);
    const name = JSON.stringify(['erasures', tenant]);
    const after = cursor === undefined ? undefined : this.#cursors.decode(name, cursor).rowKey;
    const from = after === undefined ? ERASURES.from : keyAfter(after);
    const page = await this.#budget().retry(
      () =>
      this.tools.ports.tables.range(ERASURES_TABLE, erasuresPartitionKey(tenant), { from, to: ERASURES.to, limit }), // prettier-ignore
    );
    const items = await Promise.all(
      page.rows.map(async (row) => {
        try {
          return await this.shown(tenant, parseErasureRow(row));
        } catch (error) {
          const evidence = integrityEvidence(error);
          if (evidence === undefined) throw error;
          found.push({ recordType: ERASURE_TYPE, ...evidence });
          return undefined;
        }
      }),
    );
    const last = page.more ? page.rows.at(-1)?.rowKey : undefined;
    const { partition } = erasuresPartition(tenant);
    return {
      items: items.filter((item) => item !== undefined),
      nextCursor: last === undefined ? null : this.#cursors.encode(name, { partition, rowKey: last }),
    };
  }

  /** An erasure as it is shown. Throws `integrity-failure` when what was sealed of it does not open its commitments. */
  async shown(tenant: string, stored: StoredErasure): Promise<Erasure> {
    const secrets = await this.tools.secretBox.open(placeOf(tenant, stored.erasureId), stored.sealed);
    if (!secretsMatch(stored.committed, Object.keys(stored.sealed), secrets))
      throw broken(stored.erasureId, 0, 'sealed');
    const { waitingFor, certificate } = stored;
    const certified = stored.events.slice(1);
    return {
      schema_version: ERASURE_SCHEMA_VERSION,
      erasure_id: stored.erasureId,
      state: stored.state,
      subject_hash: stored.subject,
      ...discloseData(stored.committed, secrets),
      ...(waitingFor === undefined ? {} : { waiting_for: waitingFor }),
      ...(certificate === undefined ? {} : { certificate }),
      ...(certified.length === 0 ? {} : { certified_by: certified }),
    } as unknown as Erasure;
  }

  /** Saves where an erasure is; false when somebody else was faster. One transaction of 1 row. */
  async save(
    tenant: string,
    { etag, ...before }: FoundErasure,
    now: Partial<StoredErasure>,
  ): Promise<boolean> {
    const row = erasureRow(tenant, { ...before, ...now });
    try {
      await this.#budget().retry(() => this.tools.ports.tables.commit(ERASURES_TABLE, erasuresPartitionKey(tenant), [{ kind: 'replace', ...row, etag }])); // prettier-ignore
      return true;
    } catch (error) {
      // Perhaps ourselves, and the answer was lost: whoever looks again sees where it is.
      if (isFault(error, 'conflict', 'missing')) return false;
      throw error;
    }
  }

  /** Like `save`, with an event that is told exactly once. One transaction of 3 rows. */
  async advance(
    call: CallContext,
    { etag, ...before }: FoundErasure,
    now: Partial<StoredErasure>,
    deed: ErasureDeed,
  ): Promise<boolean> {
    const { outcome } = await this.#tell(call, etag, { ...before, ...now }, deed);
    return outcome === 'committed';
  }

  /** What is not done, of all tenants, in the order of tenant and id. One range read. */
  async openAfter(after: string | undefined, limit: number): Promise<readonly OpenErasure[]> {
    const range = { from: after === undefined ? '!' : keyAfter(after), to: '~', limit };
    const { rows } = await this.#budget().retry(() =>
      this.tools.ports.tables.range(ERASURES_TABLE, OPEN_PARTITION, range),
    );
    return rows.map(({ rowKey, timestampMs }) => {
      const [tenant = '', id = ''] = rowKey.split(':');
      return { tenant, id, sinceMs: timestampMs, listedAs: rowKey };
    });
  }

  /** Takes one off the list. */
  async close(tenant: string, id: string): Promise<void> {
    const operation = { kind: 'delete', rowKey: openKey(tenant, id), etag: '*' } as const;
    try {
      await this.#budget().retry(() => this.tools.ports.tables.commit(ERASURES_TABLE, OPEN_PARTITION, [operation])); // prettier-ignore
    } catch (error) {
      if (!isFault(error, 'missing')) throw error;
    }
  }

  async #asked(asked: ErasureRequest, erasureId: string, call: CallContext): Promise<StoredErasure> {
    const { tenant } = call;
    const { blindIndex, secretBox, entropy, pseudonym } = this.tools;
    const { subject, reason, reference } = asked;
    const at = formatTime(Math.max(this.tools.clock.now(), parseId(erasureId)?.ms ?? 0));
    const by = { requested_at: at, requested_by: await pseudonym(tenant, call.actor) };
    const data = { reason, ...(reference === undefined ? {} : { reference }), ...by };
    const { committed, secrets } = commitData(data, ['/reason', '/reference'], entropy);
    return {
      erasureId,
      state: 'pending',
      subject: await blindIndex.blind(tenant, 'subject', subject),
      actor: await blindIndex.blind(tenant, 'actor', subject),
      committed,
      // Under the key of nobody: why somebody was erased has to outlive their key.
      sealed: await secretBox.seal(placeOf(tenant, erasureId), secrets, { '/reason': [], '/reference': [] }),
      events: [],
    };
  }

  async #putOnList(tenant: string, id: string, budget: Budget): Promise<void> {
    const rowKey = openKey(tenant, id);
    const properties = withRowChecksum(OPEN_PARTITION, rowKey, { schema_version: ERASURE_SCHEMA_VERSION });
    await budget.retry(() => this.tools.ports.tables.commit(ERASURES_TABLE, OPEN_PARTITION, [{ kind: 'upsert', rowKey, properties }])); // prettier-ignore
  }

  async #tell(
    call: CallContext,
    etag: string | undefined,
    erasure: StoredErasure,
    { outcome: end, ...deed }: ErasureDeed,
  ): Promise<{ readonly outcome: CommitOutcome; readonly eventId: string }> {
    const { tenant } = call;
    const partition = erasuresPartition(tenant);
    // Its events sort as they happened, whatever the clocks of the hosts say.
    const lastMs = parseId(erasure.events.at(-1) ?? erasure.erasureId)?.ms ?? 0;
    const timestampMs = Math.max(this.tools.clock.now(), lastMs + 1);
    const resource = { resourceType: ERASURE_TYPE, resourceId: erasure.erasureId };
    const { event, sealed } = await callEvent(this.tools, call, { ...deed, ...resource, timestampMs, outcome: end ?? 'success' }); // prettier-ignore
    const eventId = event.event_id;
    const row = erasureRow(tenant, { ...erasure, events: [...erasure.events, eventId] });
    const step = erasureStepRow(tenant, erasure.erasureId, erasure.events.length + 1, eventId);
    const operations: readonly RowOperation[] = [
      etag === undefined ? { kind: 'insert', ...row } : { kind: 'replace', ...row, etag },
      { kind: 'insert', ...step },
      pendingEvent(erasuresPartitionKey(tenant), event, sealed, { id: erasure.erasureId }),
    ];
    const witness = { rowKey: step.rowKey, eventId };
    const plan = { partition, blob: undefined, operations, witness };
    const outcome = await executePlan({ ...this.tools, budget: this.#budget() }, plan);
    if (outcome === 'committed') this.tools.onCommitted?.(partition);
    return { outcome, eventId };
  }

  #budget(): Budget {
    return new Budget(this.tools.clock, this.tools.entropy);
  }
}

/** What the audit trail is told of a request: commitments in the places of what nobody may read there. */
function toldOf({ committed }: StoredErasure): ErasureDeed['details'] {
  const { reason, reference } = committed;
  return { reason: reason as Json, ...(reference === undefined ? {} : { reference: reference as Json }) };
}
