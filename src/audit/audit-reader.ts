import type { AuditEvent } from '../domain/audit-event.js';
import type { Clock, Entropy } from '../domain/clock.js';
import { AppError } from '../domain/errors.js';
import { parseId } from '../domain/ids.js';
import { Budget } from '../storage/backoff.js';
import { Cursors } from '../storage/cursor.js';
import type { Directory } from '../storage/directory.js';
import { scanIndex } from '../storage/index-scan.js';
import { dayOf, keyValue, partitionKey, recordKey } from '../storage/keys.js';
import type { RecordTable, Row } from '../storage/ports.js';
import { rowIntact } from '../storage/row-checksum.js';

const TABLE = 'auditevents';

/** An event as the API shows it: its members as they are in the log, and its place there. */
export type AuditEventView = AuditEvent & { readonly leaf_index?: number };

export interface AuditQuery {
  readonly resourceId?: string | undefined;
  readonly eventType?: string | undefined;
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
}

/** Reads sealed events from the index in table `auditevents`. */
export class AuditReader {
  readonly #cursors: Cursors;

  constructor(private readonly options: AuditReaderOptions) {
    this.#cursors = new Cursors(options.cursorKey);
  }

  /** Events of a tenant, newest first. A page may be short; only a null cursor ends the list. */
  async list(
    tenant: string,
    query: AuditQuery,
  ): Promise<{ readonly items: readonly AuditEventView[]; readonly nextCursor: string | null }> {
    const { tables, directory } = this.options;
    const [index, value] =
      query.resourceId !== undefined
        ? ['resource_id', query.resourceId]
        : query.eventType !== undefined
          ? ['event_type', query.eventType]
          : ['all', ''];
    const { fromMs, toMs, resourceId, eventType } = query;
    const name = JSON.stringify(['audit-events', tenant, resourceId ?? null, eventType ?? null, fromMs ?? null, toMs ?? null]); // prettier-ignore
    const page = await scanIndex(
      { tables, directory, budget: this.#budget() },
      {
        tenant,
        table: TABLE,
        index,
        value: keyValue(value),
        fromMs,
        toMs,
        granularity: 'day',
        limit: query.limit,
        after: query.cursor === undefined ? undefined : this.#cursors.decode(name, query.cursor),
        accept:
          resourceId === undefined || eventType === undefined
            ? undefined
            : (row) => eventOf(row)?.event_type === eventType,
      },
    );
    const items = await Promise.all(page.rows.map((row) => this.#viewOfIndexRow(row)));
    return {
      items: items.filter((view) => view !== undefined),
      nextCursor: page.next === undefined ? null : this.#cursors.encode(name, page.next),
    };
  }

  /** One event. One point read. Throws `record-not-found`, `integrity-failure`. */
  async get(tenant: string, id: string): Promise<AuditEventView> {
    const parsed = parseId(id);
    if (parsed?.prefix !== 'evt') throw new AppError('record-not-found', 'There is no such event.');
    const row = await this.#find(partitionKey(tenant, dayOf(parsed.ms)), id);
    if (row === undefined)
      throw new AppError('record-not-found', 'There is no such event, or it is not sealed yet.');
    const view = viewOf(row);
    if (view === undefined) throw new AppError('integrity-failure', 'The event does not match its checksum.');
    return view;
  }

  /** Index rows are derived: a damaged one is shown from the event's own row, and left out when that is damaged too. */
  async #viewOfIndexRow(row: Row): Promise<AuditEventView | undefined> {
    const view = viewOf(row);
    if (view !== undefined) return view;
    const own = await this.#find(row.partitionKey, row.rowKey.slice(row.rowKey.lastIndexOf(':') + 1));
    return own === undefined ? undefined : viewOf(own);
  }

  #find(partition: string, id: string): Promise<Row | undefined> {
    return this.#budget().retry(() => this.options.tables.find(TABLE, partition, recordKey(id)));
  }

  #budget(): Budget {
    return new Budget(this.options.clock, this.options.entropy);
  }
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
