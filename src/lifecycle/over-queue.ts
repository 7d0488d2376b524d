import { LIMITS } from '../domain/limits.js';
import type { Budget } from '../storage/backoff.js';
import type { Directory } from '../storage/directory.js';
import { addCounts, type Counts, type Job, type Step, type StepContext } from './job.js';
import { readCursor } from './job-cursor.js';
import { lifecycleWorkText, sendWork, type SendTools } from './lifecycle-work.js';
import { overPartitions } from './over-partitions.js';
import type { PartitionJob } from './partition-job.js';
import type { PartitionWorker } from './partition-worker.js';
import {
  difference,
  FIRST_PASS,
  isOverdue,
  withoutTenant,
  withRow,
  type Pass,
  type Seen,
} from './round-pass.js';
import type { DamagedWork, WorkBook } from './work-book.js';
import { countsOfWork, newWork, type KeptWork } from './work-row.js';

export interface OverQueueTools extends SendTools {
  readonly directory: Directory;
  readonly book: WorkBook;
  readonly worker: Pick<PartitionWorker, 'step'>;
  readonly budget: () => Budget;
}

/** Partitions are made part of the round; then it is looked after until the last of them is through. */
interface Plan {
  readonly phase: 'plan';
  readonly tenant: string;
  /** The partition that was passed last, as the directory lists it. */
  readonly after?: string;
  /** How many there are so far. */
  readonly planned: number;
}

interface Look {
  readonly phase: 'look';
  readonly pass: Pass;
  /** Of the last whole pass. */
  readonly seen?: Seen;
  /** What the rows of the last tenant that is through begin with. */
  readonly settled: string;
  /** What of the work's counts is in those of the round. */
  readonly told: Counts;
}

/** Rows of work that are looked at in a step, and tenants at most that end in it. */
const PAGE = 100;

/**
 * Makes an ordinary job of work in partitions that whoever takes messages of `lifecycle-work` does: the timer's part is to
 * write a row for each partition and to send a message for it, to look after those of which nothing is heard, and to end the
 * round. Whoever starts the job by hand works in the partitions himself, by the same rows, and sends nothing: what he leaves
 * is sent for by the timer. A run that is no part of a round walks alone, without any row.
 */
export function overQueue(job: PartitionJob, tools: OverQueueTools): Job {
  const alone = overPartitions(job, tools);
  const round = new QueueRound(job, tools);
  const step = (text: string, context: StepContext): Promise<Step> => {
    const at = readCursor<Plan | Look>(text);
    if (context.alone === true) return alone.step(text, context);
    if (at.phase === 'look') return round.look(at as Look, context);
    // One of before there was a queue, or that is no more, is done to its end as it was begun.
    if (at.phase === undefined && text !== '') return alone.step(text, context);
    return round.plan(at as Partial<Plan>, context);
  };
  return { ...alone, step };
}

class QueueRound {
  constructor(
    private readonly job: PartitionJob,
    private readonly tools: OverQueueTools,
  ) {}

  /**
   * A hundred partitions of a tenant. Two range reads, one transaction and a message for each; one read more where a tenant
   * ends.
   */
  async plan(at: Partial<Plan>, context: StepContext): Promise<Step> {
    const { directory, book, budget } = this.tools;
    const { planned = 0 } = at;
    const tenantAfter = async (before: string | undefined): Promise<string | undefined> =>
      (await budget().retry(() => directory.tenantsAfter(before, 1)))[0];
    const tenant = at.tenant ?? (await tenantAfter(undefined));
    if (tenant === undefined) return { counts: {}, next: look(planned) };
    const limit = LIMITS.workPlanned;
    const page = await budget().retry(() => directory.partitionsAfter(tenant, at.after, limit));
    const refs = page.filter(({ table }) => this.job.typeOf(table) !== undefined);
    const byHand = context.asked !== undefined;
    const roundMs = roundOf(context);
    const waiting = await book.plan(this.job.name, roundMs, refs, !byHand);
    // Again where a host died here: it is not known what it has sent.
    const texts = waiting.map((ref) => lifecycleWorkText(this.job.name, { ...ref, roundMs }));
    if (!byHand) await sendWork(this.tools, texts);
    const all = planned + refs.length;
    const counts = refs.length === 0 ? {} : { partitions: refs.length, partitionsWaiting: refs.length };
    const after = page.length < limit ? undefined : page.at(-1)?.listedAs;
    if (after !== undefined) return { counts, next: plan({ tenant, after, planned: all }) };
    const following = await tenantAfter(tenant);
    const next = following === undefined ? look(all) : plan({ tenant: following, planned: all });
    return { counts, next };
  }

  /** A hundred rows. One range read; for messages that are overdue a transaction, and each of them. */
  async look(at: Look, context: StepContext): Promise<Step> {
    const { name } = this.job;
    const page = await this.tools.book.page(name, at.pass.after, PAGE);
    let { pass, settled } = at;
    let counts: Counts = {};
    const overdue: KeptWork[] = [];
    const settle = async (): Promise<void> => {
      const done = await this.#settle(pass, settled, context);
      counts = addCounts(counts, done.counts);
      settled = done.settled;
      pass = withoutTenant(pass);
    };
    for (const row of page.rows) {
      const kept = row.work === undefined ? lost(row, context) : row;
      if (kept.work.roundMs !== roundOf(context)) continue;
      if (pass.tenant !== undefined && pass.tenant !== kept.work.tenant) await settle();
      if (kept.work.state === 'waiting' && context.asked !== undefined)
        return this.#byHand({ ...at, pass, settled }, kept, counts, context);
      if (kept.work.state === 'waiting' && isOverdue(kept, at.seen, context.nowMs)) overdue.push(kept);
      pass = withRow(pass, kept);
    }
    const texts = overdue.map(({ work }) => lifecycleWorkText(name, work));
    if (texts.length > 0 && (await this.tools.book.markSent(name, overdue)))
      await sendWork(this.tools, texts);
    const last = page.rows.at(-1)?.rowKey;
    if (page.more && last !== undefined)
      return { counts, next: JSON.stringify({ ...at, pass: { ...pass, after: last }, settled }) };
    if (pass.tenant !== undefined) await settle();
    return this.#ended({ ...at, pass, settled }, counts, context);
  }

  /** The first row that waits, by whoever waits for the round. */
  async #byHand(at: Look, kept: KeptWork, counts: Counts, context: StepContext): Promise<Step> {
    const work = await this.tools.worker.step(this.job, kept, context);
    // Where somebody else was at it, the row is looked at again.
    const done = work === undefined ? {} : difference(countsOfWork(kept.work), countsOfWork(work));
    const next: Look = { ...at, told: addCounts(at.told, done) };
    return { counts: addCounts(counts, done), next: JSON.stringify(next) };
  }

  /** The end of a tenant's rows. Tenants end in their order, each once, and when nothing of theirs waits any more. */
  async #settle(
    { tenant, waiting, failed, blocked, report }: Pass,
    settled: string,
    context: StepContext,
  ): Promise<{ readonly counts: Counts; readonly settled: string }> {
    const prefix = tenant === undefined ? '' : `${tenant}:`;
    if (tenant === undefined || waiting > 0 || blocked || prefix <= settled) return { counts: {}, settled };
    const counts = (await this.job.tenantDone?.(tenant, report, context, failed)) ?? {};
    return { counts, settled: prefix };
  }

  /** The end of a pass: that of the round, or there will be another. */
  #ended(at: Look, counts: Counts, context: StepContext): Step {
    const { counts: told, blocked, error, taken, writtenMs } = at.pass;
    const all = addCounts(counts, difference(at.told, told));
    const said = error === '' ? {} : { error };
    if (!blocked) return { counts: all, next: undefined, ...said };
    const next: Look = { ...at, pass: FIRST_PASS, seen: { taken, writtenMs }, told };
    return { counts: all, next: JSON.stringify(next), ...said, waits: context.asked === undefined };
  }
}

const plan = (at: Omit<Plan, 'phase'>): string => JSON.stringify({ phase: 'plan', ...at });

function look(planned: number): string {
  const told = planned === 0 ? {} : { partitionsWaiting: planned };
  const first: Look = { phase: 'look', pass: FIRST_PASS, settled: '', told };
  return JSON.stringify(first);
}

const roundOf = ({ roundMs, nowMs }: StepContext): number => roundMs ?? nowMs;

/** Of a row that is not what was written nobody knows how far it came: the next round begins it anew. */
function lost({ rowKey, etag }: DamagedWork, context: StepContext): KeptWork {
  const [tenant = '', table = ''] = rowKey.split(':');
  const work = newWork({ tenant, table, partition: '' }, roundOf(context), true);
  return { rowKey, etag, timestampMs: 0, work: { ...work, state: 'failed', error: 'integrity-failure' } };
}
