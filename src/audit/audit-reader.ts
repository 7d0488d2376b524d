import { eventText, type AuditEvent } from '../domain/audit-event.js';
import type { Clock, Entropy } from '../domain/clock.js';
import { AppError } from '../domain/errors.js';
import { parseId } from '../domain/ids.js';
import { Budget } from '../storage/backoff.js';
import { Cursors } from '../storage/cursor.js';
import type { Directory } from '../storage/directory.js';
import { scanIndex } from '../storage/index-scan.js';
import { dayOf, keyValue, partitionKey, recordKey } from '../storage/keys.js';
import type { CallContext, IntegrityFinding } from '../storage/manager-types.js';
import type { RecordTable, Row } from '../storage/ports.js';
import { rowIntact } from '../storage/row-checksum.js';

const TABLE = 'auditevents';

/** Members of an event that a list may be filtered by. */
export const AUDIT_FILTERS = ['resource_id', 'actor', 'event_type', 'severity', 'outcome'] as const;
export type AuditFilter = (typeof AUDIT_FILTERS)[number];

/** Those that have an index, most selective first; the others are residual. */
const INDEXED: readonly AuditFilter[] = ['resource_id', 'actor', 'event_type'];

/** An event as the API shows it: its members as they are in the log, and its place there. */
export type AuditEventView = AuditEvent & { readonly leaf_index?: number };

/** An event as it is shown to those who may know who did it. */
export type NamedEventView = AuditEventView & { readonly actor_name?: string };
/** An event as the log has it. */
export interface EventAtRest {
  readonly text: string;
  /** Undefined while it waits to be sealed. */
  readonly leafIndex: number | undefined;
}

export interface AuditQuery {
  /** Filters by members of the event, combined with AND; the first of `INDEXED` that is given is looked up. */
  readonly filters: Readonly<Partial<Record<AuditFilter, string>>>;
  /** Inclusive, milliseconds since 1970. */
  readonly fromMs?: number | undefined;
  /** Exclusive, milliseconds since 1970. */
  readonly toMs?: number | undefined;
  /** 1 to 1,000. */
  readonly limit: number;
  readonly cursor?: string | undefined;
}

export interface AuditReaderOptions {
  readonly tables: RecordTable;
  readonly directory: Directory;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly cursorKey: Uint8Array;
  /** Audits a damaged row. Must not throw. */
  readonly onIntegrityFailure?: (finding: IntegrityFinding, call: CallContext) => Promise<void>;
}

/** Reads sealed events from the index in table `auditevents`. */
export class AuditReader {
  readonly #cursors: Cursors;

  constructor(private readonly options: AuditReaderOptions) {
    this.#cursors = new Cursors(options.cursorKey);
  }

  /** Events of a tenant, newest first. A page may be short; only a null cursor ends the list. */
  async list(
    query: AuditQuery,
    call: CallContext,
  ): Promise<{ readonly items: readonly AuditEventView[]; readonly nextCursor: string | null }> {
    const { tables, directory } = this.options;
    const { fromMs, toMs } = query;
    const filters = Object.entries(query.filters).sort(([a], [b]) => (a < b ? -1 : 1));
    const indexed = INDEXED.find((name) => query.filters[name] !== undefined);
    const residual = filters.filter(([name]) => name !== indexed);
    const name = JSON.stringify(['audit-events', call.tenant, filters, fromMs ?? null, toMs ?? null]);
    const page = await scanIndex(
      { tables, directory, budget: this.#budget() },
      {
        tenant: call.tenant,
        table: TABLE,
        index: indexed ?? 'all',
        value: keyValue(indexed === undefined ? '' : (query.filters[indexed] ?? '')),
        fromMs,
        toMs,
        granularity: 'day',
        limit: query.limit,
        after: query.cursor === undefined ? undefined : this.#cursors.decode(name, query.cursor),
        accept:
          residual.length === 0 ? undefined : (row) => !rowIntact(row) || matches(eventOf(row), residual),
      },
    );
    const items = await Promise.all(page.rows.map((row) => this.#viewOfIndexRow(row, filters, call)));
    return {
      items: items.filter((view) => view !== undefined),
      nextCursor: page.next === undefined ? null : this.#cursors.encode(name, page.next),
    };
  }

  /** One event. One point read. Throws `record-not-found`, `integrity-failure`. */
  async get(id: string, call: CallContext): Promise<AuditEventView> {
    const view = await this.find(id, call);
    if (view !== undefined) return view;
    throw new AppError('record-not-found', 'There is no such event, or it is not sealed yet.');
  }

  /** Like `get`, but undefined when there is none. */
  async find(id: string, call: CallContext): Promise<AuditEventView | undefined> {
    const parsed = parseId(id);
    if (parsed?.prefix !== 'evt') return undefined;
    const row = await this.#find(partitionKey(call.tenant, dayOf(parsed.ms)), id);
    if (row === undefined) return undefined;
    const view = viewOf(row);
    if (view !== undefined) return view;
    await this.#report(id, 'row', call);
    throw new AppError('integrity-failure', 'The event does not match its checksum.');
  }

  /** The exact text of an event and its place in the log, from its own row. Throws `integrity-failure`. */
  async findText(id: string, call: CallContext): Promise<EventAtRest | undefined> {
    const view = await this.find(id, call);
    if (view === undefined) return undefined;
    const { leaf_index: leafIndex, ...event } = view;
    // What is stored is the canonical form, and there is one for each value.
    return { text: eventText(event), leafIndex };
  }

  /** Index rows are derived: a damaged one is shown from the event's own row, and left out when that is damaged too. */
  async #viewOfIndexRow(
    row: Row,
    filters: readonly (readonly [string, string])[],
    call: CallContext,
  ): Promise<AuditEventView | undefined> {
    const view = viewOf(row);
    if (view !== undefined) return view;
    const id = row.rowKey.slice(row.rowKey.lastIndexOf(':') + 1);
    await this.#report(id, 'index row', call);
    const own = await this.#find(row.partitionKey, id);
    const shown = own === undefined ? undefined : viewOf(own);
    // What the damaged row said of the filters proves nothing.
    return matches(shown, filters) ? shown : undefined;
  }

  async #report(id: string, what: string, call: CallContext): Promise<void> {
    await this.options.onIntegrityFailure?.({ recordType: 'audit_event', id, revision: 0, what }, call);
  }

  #find(partition: string, id: string): Promise<Row | undefined> {
    return this.#budget().retry(() => this.options.tables.find(TABLE, partition, recordKey(id)));
  }

  #budget(): Budget {
    return new Budget(this.options.clock, this.options.entropy);
  }
}

function matches(event: AuditEvent | undefined, filters: readonly (readonly [string, string])[]): boolean {
  return event !== undefined && filters.every(([name, value]) => event[name as AuditFilter] === value);
}

function eventOf(row: Row): AuditEvent | undefined {
  try {
    return JSON.parse(String(row.properties['event'])) as AuditEvent;
  } catch {
    return undefined;
  }
}

function viewOf(row: Row): AuditEventView | undefined {
  const event = rowIntact(row) ? eventOf(row) : undefined;
  if (event === undefined) return undefined;
  const leaf = row.properties['leaf_index'];
  return typeof leaf === 'number' ? { ...event, leaf_index: leaf } : event;
}
