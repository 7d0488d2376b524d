import pLimit from 'p-limit';
import { AppError, isAppError } from '../domain/errors.js';
import { parseId } from '../domain/ids.js';
import { Budget } from '../storage/backoff.js';
import type { Directory } from '../storage/directory.js';
import { partitionKey, pendingEventKey } from '../storage/keys.js';
import type { CallContext, IntegrityFinding } from '../storage/manager-types.js';
import type { RecordTable } from '../storage/ports.js';
import type { AuditReader, EventAtRest } from './audit-reader.js';
import { notYetSealed, type LogReader, type LogReaderTools } from './log-reader.js';

export interface EventProofsTools extends LogReaderTools {
  readonly tables: RecordTable;
  readonly directory: Pick<Directory, 'dirtyOf'>;
  readonly reader: Pick<AuditReader, 'findText'>;
  readonly log: LogReader;
  /** Told of a log that does not prove what it should. Must not throw. */
  readonly onIntegrityFailure?: (finding: IntegrityFinding, call: CallContext) => Promise<void>;
}

/** An event and the proof that it is in the log. */
export interface ProvenEvent {
  /** The exact bytes that are a leaf of the log, as text. */
  readonly event: string;
  /** C2SP tlog-proof. */
  readonly proof: string;
}

const LOOKS_AT_ONCE = 8;

/** Proofs of single events. Throws `storage-unavailable`, `integrity-failure`. */
export class EventProofs {
  constructor(private readonly tools: EventProofsTools) {}

  /** Throws `record-not-found`, and `not-yet-sealed` for an event that is stored and waits to be sealed. */
  async ofEvent(id: string, call: CallContext): Promise<ProvenEvent> {
    const { reader } = this.tools;
    const found = await reader.findText(id, call);
    if (found !== undefined) return this.#prove(id, found, call);
    const waits = parseId(id)?.prefix === 'evt' && (await this.#isPending(id, call.tenant));
    // It may have been sealed between the two looks.
    const again = await reader.findText(id, call);
    if (again !== undefined) return this.#prove(id, again, call);
    if (waits) throw notYetSealed();
    throw new AppError('record-not-found', 'There is no such event.');
  }

  /** The proof of an event that is known to be committed: until it is in the index, it waits. */
  async ofCommitted(id: string, call: CallContext): Promise<ProvenEvent> {
    const found = await this.tools.reader.findText(id, call);
    if (found === undefined) throw notYetSealed();
    return this.#prove(id, found, call);
  }

  async #prove(id: string, { text, leafIndex }: EventAtRest, call: CallContext): Promise<ProvenEvent> {
    if (leafIndex === undefined) throw notYetSealed();
    try {
      return { event: text, proof: await this.tools.log.prove(call.tenant, leafIndex, text) };
    } catch (error) {
      if (isAppError(error, 'integrity-failure')) {
        const finding = { recordType: 'audit_event', id, revision: 0, what: String(error.evidence['what']) };
        await this.tools.onIntegrityFailure?.(finding, call);
      }
      throw error;
    }
  }

  /** Whether a change's event waits in one of the partitions that may hold any: a point read each. */
  async #isPending(id: string, tenant: string): Promise<boolean> {
    const { tables, directory, clock, entropy } = this.tools;
    const budget = new Budget(clock, entropy);
    const limit = pLimit(LOOKS_AT_ONCE);
    const dirty = await budget.retry(() => directory.dirtyOf(tenant));
    const rows = await Promise.all(
      dirty.map(({ table, partition }) =>
        limit(() =>
          budget.retry(() => tables.find(table, partitionKey(tenant, partition), pendingEventKey(id))),
        ),
      ),
    );
    return rows.some((row) => row !== undefined);
  }
}
