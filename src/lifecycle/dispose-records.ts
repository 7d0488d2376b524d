import { isAppError } from '../domain/errors.js';
import type { RecordType } from '../domain/record-type.js';
import { beginsBefore, effectiveRule, isOver, sinceOf, SUPERSEDED, type EffectiveRule } from '../domain/retention.js'; // prettier-ignore
import type { TenantConfiguration } from '../domain/tenant-configuration.js';
import type { Budget } from '../storage/backoff.js';
import type { PartitionRef } from '../storage/directory.js';
import { indexRange, partitionKey } from '../storage/keys.js';
import type { CallContext, IntegrityFinding } from '../storage/manager-types.js';
import type { HistoryDisposer } from '../storage/history-disposer.js';
import type { RecordDisposer } from '../storage/record-disposer.js';
import { isFault, type RecordTable, type Row } from '../storage/ports.js';
import { keyAfter } from '../storage/range.js';
import { integrityPlace } from '../storage/record-row.js';
import { rowIntact } from '../storage/row-checksum.js';
import { certificateOf, type Certificate } from './disposal-certificate.js';
import { SettleDisposals, type SettleTools } from './settle-disposals.js';
import { addCounts, DAILY_MS, type Counts, type Step, type StepContext } from './job.js';
import { readCursor } from './job-cursor.js';
import { isFree, type HoldsTools } from './may-go.js';
import type { PartitionJob } from './partition-job.js';
import { addReports, reportOf, tallyOf, type DisposalReport } from './report.js';

/** What the timer of the job does; who starts it by hand says so himself. */
export interface RetentionMode {
  readonly enabled: boolean;
  readonly dryRun: boolean;
}

export interface DisposeTools extends HoldsTools, SettleTools {
  readonly tables: RecordTable;
  readonly types: readonly RecordType[];
  readonly disposer: Pick<RecordDisposer, 'dispose'>;
  readonly history: Pick<HistoryDisposer, 'dispose'>;
  /** What a tenant has set, as it is stored now. Throws `integrity-failure`: nothing is destroyed by a guess. */
  readonly configurationOf: (call: CallContext) => Promise<Pick<TenantConfiguration, 'retention'>>;
  /** Stores events; one whose id is there is left as it is. */
  readonly emit: (events: readonly Certificate[]) => Promise<void>;
  /** Puts a finding into the audit trail. Must not throw. */
  readonly report: (finding: IntegrityFinding, call: CallContext) => Promise<void>;
  readonly mode: RetentionMode;
  readonly budget: () => Budget;
}

interface Cursor {
  /** `settle`: what earlier rounds left; `walk`: what is over; `count`: what this round has disposed of. */
  readonly phase: (typeof PHASES)[number];
  readonly after?: string | undefined;
  /** The step before left rows of its page that were over: less is read at once then. */
  readonly busy?: boolean;
}

/** A record as the walk met it. */
interface Met {
  readonly id: string;
  readonly sinceMs: number | undefined;
}

/** What became of it. */
interface Done {
  readonly counts: Counts;
  readonly report?: DisposalReport;
}

/** And where that came to; `last` is undefined at the end. */
interface Came extends Done {
  readonly last: string | undefined;
  readonly busy?: boolean;
}

/** Where a part of a partition is looked at. */
interface Look {
  readonly type: RecordType;
  readonly ref: PartitionRef;
  readonly rule: EffectiveRule;
  readonly context: StepContext;
  readonly dryRun: boolean;
}

const PHASES = ['settle', 'walk', 'count'] as const;
/** Records that are disposed of at once, and in one step. */
const AT_ONCE = 4;
const STEP_RECORDS = 40;
const PAGE = 500;
const ACTOR = 'job:dispose';

/**
 * Disposes of what is past its time, by declaration and by what tenants have set (docs/retention.md): whole records, or
 * earlier revisions of those whose current one stays. Never what is held, what was altered, or what is kept for ever. Lists
 * are read up to the time before which something may be over; each record that seems to be is told by its own row.
 */
export class DisposeRecords implements PartitionJob {
  readonly name = 'dispose';
  readonly everyMs = DAILY_MS;
  readonly takes = ['dry_run'] as const;
  readonly #settle: SettleDisposals;

  constructor(private readonly tools: DisposeTools) {
    this.#settle = new SettleDisposals(tools);
  }

  readonly typeOf = (table: string): RecordType | undefined =>
    this.tools.types.find((type) => type.table === table && type.retention !== 'forever');

  /**
   * In order: what earlier rounds left to be cleared, what is over now, and how much that was. Where its timer may dispose of
   * nothing, what erasures have disposed of is cleared all the same: it is promised.
   */
  async stepIn(type: RecordType, ref: PartitionRef, text: string, context: StepContext): Promise<Step> {
    const dryRun = (context.asked ?? this.tools.mode).dryRun === true;
    let at: Partial<Cursor> = readCursor<Cursor>(text);
    let counts: Counts = {};
    let report: DisposalReport = {};
    for (const phase of this.#phases(dryRun, context)) {
      if (at.phase !== undefined && at.phase !== phase) continue;
      const done = await this.#phase(phase, type, ref, at, dryRun, context);
      counts = addCounts(counts, done.counts);
      report = addReports(report, done.report);
      const { last: after, busy } = done;
      if (after !== undefined) return { counts, report, next: JSON.stringify({ phase, after, busy }) };
      at = {};
    }
    return { counts, report, next: undefined };
  }

  #phases(dryRun: boolean, { asked }: StepContext): readonly Cursor['phase'][] {
    if (asked !== undefined) return dryRun ? ['walk'] : PHASES;
    if (!this.tools.mode.enabled) return ['settle'];
    return dryRun ? ['settle', 'walk'] : PHASES;
  }

  /** Whether what retention has disposed of may be cleared, too. */
  #clearsAll({ asked }: StepContext): boolean {
    const { enabled, dryRun } = this.tools.mode;
    return asked !== undefined || (enabled && !dryRun);
  }

  async #phase(
    phase: Cursor['phase'],
    type: RecordType,
    ref: PartitionRef,
    { after, busy }: Partial<Cursor>,
    dryRun: boolean,
    context: StepContext,
  ): Promise<Came> {
    if (phase === 'settle')
      return this.#settle.settle(type, ref, after, context, this.#clearsAll(context) ? undefined : 'erasure');
    let rule: EffectiveRule | undefined;
    try {
      rule = effectiveRule(type, await this.tools.configurationOf(callOf(ref.tenant)));
    } catch (error) {
      if (!isAppError(error, 'integrity-failure')) throw error;
      // It was audited. What a tenant wants to keep is not known, so all of this partition stays.
      return { counts: { damaged: 1 }, last: undefined };
    }
    if (rule === undefined) return { counts: {}, last: undefined };
    if (phase === 'walk') return this.#walk({ type, ref, rule, context, dryRun }, after, busy === true);
    const { counts, tallies, last } = await this.#settle.count(ref, after, context);
    const report = reportOf({ collection: type.collection, rule: ruleOf(rule), tallies });
    return { counts, report, last };
  }

  /** The certificate, once for each tenant and round in which something was destroyed. */
  async tenantDone(
    tenant: string,
    report: DisposalReport,
    context: StepContext,
    givenUp = 0,
  ): Promise<Counts> {
    const certificate = certificateOf(tenant, roundOf(context), context.nowMs, report, givenUp);
    if (certificate === undefined) return {};
    await this.tools.emit([certificate]);
    return { certificates: 1 };
  }

  /** A page of the list of all records that may be over, or as much of it as is disposed of in one step. */
  async #walk(look: Look, after: string | undefined, wasBusy: boolean): Promise<Came> {
    const { type, ref, rule, context } = look;
    const history = rule.from === SUPERSEDED;
    const { from, to } = indexRange('all', '', undefined, history ? undefined : Math.max(1, beginsBefore(rule, context.nowMs))); // prettier-ignore
    const query = {
      from: after === undefined ? from : keyAfter(after),
      to,
      limit: wasBusy ? STEP_RECORDS : PAGE,
    };
    const key = partitionKey(ref.tenant, ref.partition);
    const page = await this.tools.budget().retry(() => this.tools.tables.range(ref.table, key, query));
    let counts: Counts = {};
    let report: DisposalReport = {};
    let met: Met[] = [];
    let disposed = 0;
    for (const [at, row] of page.rows.entries()) {
      counts = addCounts(counts, { lookedAt: 1 });
      const one = meet(type, rule, row, context.nowMs);
      if (one !== undefined) met.push(one);
      const end = at === page.rows.length - 1;
      if (met.length < AT_ONCE && !end) continue;
      for (const done of await settled(met.map((each) => this.#one(look, each)))) {
        counts = addCounts(counts, done.counts);
        report = addReports(report, done.report);
      }
      disposed += met.length;
      met = [];
      const enough = disposed >= STEP_RECORDS || context.timeIsUp();
      if (enough && (!end || page.more))
        return { counts, report, last: row.rowKey, busy: disposed >= STEP_RECORDS };
    }
    return { counts, report, last: page.more ? page.rows.at(-1)?.rowKey : undefined };
  }

  /** One record. Throws only what storage throws: one that is damaged is in no other's way. */
  async #one(look: Look, met: Met): Promise<Done> {
    const { type, ref, rule } = look;
    try {
      return rule.from === SUPERSEDED ? await this.#earlier(look, met) : await this.#whole(look, met);
    } catch (error) {
      if (isFault(error) || isAppError(error, 'storage-unavailable')) throw error;
      const place = integrityPlace(error);
      if (place === undefined && !isAppError(error, 'record-not-found', 'integrity-failure')) throw error;
      const unknown = { id: met.id, revision: 0, what: 'row missing' };
      await this.tools.report({ recordType: type.recordType, ...(place ?? unknown) }, callOf(ref.tenant));
      return told(look, 'damaged', [met.sinceMs ?? NaN]);
    }
  }

  async #whole(look: Look, { id }: Met): Promise<Done> {
    const { type, ref, rule, context, dryRun } = look;
    const saw: { sinceMs?: number | undefined; held?: boolean } = {};
    const mayGo = async (row: Row): Promise<boolean> => {
      // What the list said proves nothing: the record's own row is what counts.
      saw.held = false;
      saw.sinceMs = sinceOf(type, rule, row.properties);
      if (saw.sinceMs === undefined || !isOver(saw.sinceMs, rule, context.nowMs)) return false;
      saw.held = !(await isFree(this.tools, type, ref.tenant, row, !dryRun));
      return !saw.held;
    };
    const order = {
      cause: 'retention',
      details: { rule: ruleOf(rule) },
      mayGo,
      sinceOf: () => saw.sinceMs,
      dryRun,
      roundMs: roundOf(context),
    } as const;
    const outcome = await this.tools.disposer.dispose(type, id, order, callOf(ref.tenant));
    if (saw.held === true) return told(look, 'held', [saw.sinceMs ?? NaN]);
    if (outcome !== 'disposed') return { counts: {} };
    if (dryRun) return told(look, 'would_dispose', [saw.sinceMs ?? NaN]);
    const cleared = await this.#settle.clear(type, ref.tenant, id, false, context);
    return { counts: cleared };
  }

  async #earlier(look: Look, { id }: Met): Promise<Done> {
    const { type, ref, rule, context, dryRun } = look;
    const order = {
      details: { rule: ruleOf(rule) },
      dryRun,
      roundMs: roundOf(context),
      isOver: (ms: number) => isOver(ms, rule, context.nowMs),
      mayGo: (row: Row) => isFree(this.tools, type, ref.tenant, row, !dryRun),
    };
    let done: Done = { counts: {} };
    for (;;) {
      const { times, kept, more } = await this.tools.history.dispose(type, id, order, callOf(ref.tenant));
      if (kept) return told(look, 'held', times.slice(0, 1));
      if (dryRun && times.length > 0) done = told(look, 'would_dispose_revisions', times);
      // What is left of it is for the next round: nobody's history waits for a long one.
      if (!more || dryRun || context.timeIsUp()) return done;
    }
  }
}

function callOf(tenant: string): CallContext {
  return { tenant, actor: ACTOR, correlationId: ACTOR };
}

const roundOf = ({ roundMs, nowMs }: StepContext): number => roundMs ?? nowMs;

function ruleOf({ years, from, setBy }: EffectiveRule): Readonly<Record<string, string | number>> {
  return { years, from, set_by: setBy };
}

/** A record of the list that may be over; undefined where its row is as it was written and says that it is not. */
function meet(type: RecordType, rule: EffectiveRule, row: Row, nowMs: number): Met | undefined {
  const id = row.rowKey.slice(row.rowKey.lastIndexOf(':') + 1);
  const sinceMs = sinceOf(type, rule, row.properties);
  if (rule.from === SUPERSEDED || !rowIntact(row)) return { id, sinceMs };
  return sinceMs !== undefined && isOver(sinceMs, rule, nowMs) ? { id, sinceMs } : undefined;
}

function told({ type, rule }: Look, what: string, times: readonly number[]): Done {
  const tally = { ...tallyOf(times.filter((ms) => !Number.isNaN(ms))), count: times.length };
  const report = reportOf({ collection: type.collection, rule: ruleOf(rule), tallies: { [what]: tally } });
  return { counts: { [what]: times.length }, report };
}

/** All results; the first failure once none is under way any more. */
async function settled<T>(work: readonly Promise<T>[]): Promise<readonly T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}
