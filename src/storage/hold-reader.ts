import { AppError } from '../domain/errors.js';
import type { ActiveHold } from '../domain/held.js';
import { HOLD_PREFIX, HOLD_TYPE, type Hold, type HoldState } from '../domain/hold.js';
import { parseId } from '../domain/ids.js';
import { LIMITS } from '../domain/limits.js';
import { Budget } from './backoff.js';
import { Cursors } from './cursor.js';
import { openHold, type HoldTools } from './hold-content.js';
import {
  brokenHold,
  COUNT_KEY,
  countIn,
  holdKey,
  HOLDS_TABLE,
  holdsPartition,
  holdsPartitionKey,
  parseActiveRow,
  parseHoldRow,
  type FoundHold,
} from './hold-rows.js';
import { prefixRange } from './keys.js';
import type { IntegrityFinding, Page } from './manager-types.js';
import { assertLimit } from './page-limit.js';
import type { Row } from './ports.js';
import { keyAfter, readRange } from './range.js';
import { integrityEvidence } from './record-row.js';

export interface HoldQuery {
  readonly state: HoldState | 'all';
  /** 1 to 1,000. */
  readonly limit: number;
  readonly cursor?: string | undefined;
}

const HOLDS = prefixRange('r:');
const ACTIVE = prefixRange('a:');
/** How often rows may be read that do not add up before they are taken to be damaged, and not to have moved meanwhile. */
const LOOKS = 4;
/** Rows of one range read at least: those of another state are passed over. */
const READ_AT_LEAST = 50;

/** Reads legal holds; every row is verified before anything follows from it. */
export class HoldReader {
  readonly #cursors: Cursors;

  constructor(private readonly tools: HoldTools) {
    this.#cursors = new Cursors(tools.cursorKey);
  }

  /** One point read. Throws `record-not-found`, `integrity-failure`. */
  async get(tenant: string, id: string): Promise<Hold> {
    return openHold(this.tools, tenant, await this.find(tenant, id, this.#budget()));
  }

  /** The hold as it lies there. Throws `record-not-found`, also for what is no id of a hold; `integrity-failure`. */
  async find(tenant: string, id: string, budget: Budget): Promise<FoundHold> {
    const found = await this.look(tenant, id, budget);
    if (found === undefined) throw new AppError('record-not-found', 'There is no such hold.');
    return found;
  }

  /** Like `find`; undefined when there is none. */
  async look(tenant: string, id: string, budget: Budget): Promise<FoundHold | undefined> {
    if (parseId(id)?.prefix !== HOLD_PREFIX) return undefined;
    const row = await this.#row(tenant, holdKey(id), budget);
    return row === undefined ? undefined : parseHoldRow(row);
  }

  /** The row that counts the holds in force, if there is one yet. */
  count(tenant: string, budget: Budget): Promise<Row | undefined> {
    return this.#row(tenant, COUNT_KEY, budget);
  }

  /**
   * A page of holds, newest first: one range read, more where many of another state come first. What does not hold
   * together is left out and collected in `found`. Throws `request-malformed` for a foreign cursor.
   */
  async list(tenant: string, query: HoldQuery, found: IntegrityFinding[]): Promise<Page<Hold>> {
    assertLimit(query.limit);
    const name = JSON.stringify(['holds', tenant, query.state]);
    const after = query.cursor === undefined ? undefined : this.#cursors.decode(name, query.cursor).rowKey;
    const { rows, last } = await this.#scan(tenant, query, after, found);
    const items = await Promise.all(rows.map((row) => this.#shown(tenant, row, found)));
    const { partition } = holdsPartition(tenant);
    return {
      items: items.filter((hold) => hold !== undefined),
      nextCursor: last === undefined ? null : this.#cursors.encode(name, { partition, rowKey: last }),
    };
  }

  /**
   * What is in force, as it is compared: one range read. Throws `integrity-failure` where a row is damaged, or one is
   * missing by the count of them: whoever asks because he wants to destroy something must not take that for none.
   */
  async active(tenant: string): Promise<readonly ActiveHold[]> {
    const budget = this.#budget();
    const key = holdsPartitionKey(tenant);
    for (let look = 1; ; look += 1) {
      const all = await budget.retry(() => readRange(this.tools.ports.tables, HOLDS_TABLE, key, ACTIVE));
      const counted = countIn(tenant, all.find(({ rowKey }) => rowKey === COUNT_KEY)); // prettier-ignore
      const active = all.filter(({ rowKey }) => rowKey !== COUNT_KEY).map(parseActiveRow);
      if (active.length === counted) return active;
      // A range read is no snapshot: of a placement under way it may have seen one row alone.
      if (look === LOOKS) throw brokenHold(tenant, 'active holds');
      await budget.pause(undefined, 5, 250);
    }
  }

  async #scan(
    tenant: string,
    { state, limit }: HoldQuery,
    after: string | undefined,
    found: IntegrityFinding[],
  ): Promise<{ readonly rows: readonly FoundHold[]; readonly last: string | undefined }> {
    const budget = this.#budget();
    const key = holdsPartitionKey(tenant);
    const rows: FoundHold[] = [];
    let last = after;
    for (let reads = 0; reads < LIMITS.pageRangeReads; reads += 1) {
      const from = last === undefined ? HOLDS.from : keyAfter(last);
      const ask = state === 'all' ? limit - rows.length : Math.max(limit - rows.length, READ_AT_LEAST);
      const page = await budget.retry(() =>
        this.tools.ports.tables.range(HOLDS_TABLE, key, { from, to: HOLDS.to, limit: ask }),
      );
      for (const [at, row] of page.rows.entries()) {
        last = row.rowKey;
        const hold = intact(row, found);
        if (hold !== undefined && (state === 'all' || hold.state === state)) rows.push(hold);
        if (rows.length < limit) continue;
        const ended = !page.more && at === page.rows.length - 1;
        return { rows, last: ended ? undefined : last };
      }
      if (!page.more) return { rows, last: undefined };
    }
    return { rows, last };
  }

  async #shown(tenant: string, hold: FoundHold, found: IntegrityFinding[]): Promise<Hold | undefined> {
    try {
      return await openHold(this.tools, tenant, hold);
    } catch (error) {
      note(error, found);
      return undefined;
    }
  }

  #row(tenant: string, rowKey: string, budget: Budget): Promise<Row | undefined> {
    return budget.retry(() => this.tools.ports.tables.find(HOLDS_TABLE, holdsPartitionKey(tenant), rowKey));
  }

  #budget(): Budget {
    return new Budget(this.tools.clock, this.tools.entropy);
  }
}

function intact(row: Row, found: IntegrityFinding[]): FoundHold | undefined {
  try {
    return parseHoldRow(row);
  } catch (error) {
    note(error, found);
    return undefined;
  }
}

/** Collects an integrity failure; anything else is thrown on. */
function note(error: unknown, found: IntegrityFinding[]): void {
  const evidence = integrityEvidence(error);
  if (evidence === undefined) throw error;
  found.push({ recordType: HOLD_TYPE, ...evidence });
}
