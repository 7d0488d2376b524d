import { AppError, isAppError } from '../domain/errors.js';
import { LIMITS } from '../domain/limits.js';
import type { RecordType } from '../domain/record-type.js';
import type { Budget } from '../storage/backoff.js';
import type { Directory, ListedPartition } from '../storage/directory.js';
import { partitionKey } from '../storage/keys.js';
import type { CallContext } from '../storage/manager-types.js';
import { isFault, type RecordTable, type Row } from '../storage/ports.js';
import { keyAfter } from '../storage/range.js';
import { rowIntact } from '../storage/row-checksum.js';
import type { Log } from '../telemetry/log.js';
import {
  addCounts,
  DAILY_MS,
  type Asked,
  type Counts,
  type Job,
  type Step,
  type StepContext,
} from './job.js';
import { readCursor } from './job-cursor.js';
import { inWindow, type MigrateSettings } from './migrate-settings.js';
import { walk, type Place } from './partition-walk.js';

export interface MigrateTools {
  readonly tables: RecordTable;
  readonly directory: Directory;
  readonly types: readonly RecordType[];
  /** Stores a record anew in the current version, or says that it could; false when there is nothing to do. */
  readonly migrate: (type: RecordType, id: string, dryRun: boolean, call: CallContext) => Promise<boolean>;
  readonly settings: MigrateSettings;
  readonly budget: () => Budget;
  readonly log: Log;
}

interface Cursor extends Place {
  /** Of each record type, how many the round has taken on; kept where a sample is asked for. */
  readonly taken?: Readonly<Record<string, number>> | undefined;
}

/** Rows up to the last of a few records that are stored in an older version. */
interface Piece {
  readonly counts: Counts;
  readonly older: readonly string[];
  readonly last: string;
}

type Outcome = 'migrated' | 'wouldMigrate' | 'alreadyCurrent' | 'invalid' | 'skipped';

/** Records that one step takes on: what a process that dies does again at most, to find it done. */
const STEP_RECORDS = 40;
const PARALLEL = 4;
const ACTOR = 'job:migrate';

/**
 * Brings every record that is stored in an older schema version to the current one (REQ-STO-017): a revision more, with
 * the same content and an audit event, on final records too. Rows of an index say which they are, so a record that is
 * current costs its share of one range read for 1,000; one that is not costs what an action costs. What is not valid
 * under the current rules is counted, logged and left as it is.
 */
export class MigrateRecords implements Job {
  readonly name = 'migrate';
  readonly everyMs = DAILY_MS;
  readonly takes = ['dry_run', 'sample'] as const;
  readonly #types: readonly RecordType[];

  constructor(private readonly tools: MigrateTools) {
    this.#types = tools.types.filter(({ migrations }) => migrations.length > 0);
  }

  readonly mayWork = (nowMs: number): boolean => {
    const { enabled, window } = this.tools.settings;
    return enabled && (window === undefined || inWindow(window, nowMs));
  };

  /** Up to 40 records of a partition, or the way to the next partition that has some. */
  async step(cursor: string, context: StepContext): Promise<Step> {
    if (this.#types.length === 0) return { counts: {}, next: undefined };
    const budget = this.tools.budget();
    const asked = context.asked ?? this.tools.settings;
    const from = readCursor<Cursor>(cursor);
    const typeOf = (table: string): RecordType | undefined => this.#typeOf(table, asked, from.taken);
    const walked = await walk(this.tools.directory, from, typeOf, budget);
    if (walked.kind === 'end') return { counts: {}, next: undefined };
    if (walked.kind === 'passed')
      return { counts: {}, next: cursorText({ ...walked.place, taken: from.taken }) };
    const { type, ref, row } = walked;
    const { counts, taken, last } = await this.#partition(type, ref, { ...from, row }, asked, context);
    const all = asked.sample === undefined ? {} : { taken: { ...from.taken, [type.recordType]: taken } };
    return { counts, next: cursorText({ ...walked.placeAfter(last), ...all }) };
  }

  /** The type whose records a table holds, as long as the round is to take on more of them. */
  #typeOf(table: string, { sample = Infinity }: Asked, taken: Cursor['taken'] = {}): RecordType | undefined {
    return this.#types.find((type) => type.table === table && (taken[type.recordType] ?? 0) < sample);
  }

  /** A part of a partition. `last` is the row it came to; undefined at the end. */
  async #partition(
    type: RecordType,
    { tenant, table, partition }: ListedPartition,
    { row, taken: takenBefore }: Cursor,
    { dryRun = false, sample = Infinity }: Asked,
    context: StepContext,
  ): Promise<{ readonly counts: Counts; readonly taken: number; readonly last: string | undefined }> {
    const key = partitionKey(tenant, partition);
    const range = {
      from: row === undefined ? 'i:all:' : keyAfter(row),
      to: 'i:all;',
      limit: LIMITS.rangeRows,
    };
    const page = await this.tools.budget().retry(() => this.tools.tables.range(table, key, range));
    const before = takenBefore?.[type.recordType] ?? 0;
    let taken = before;
    let counts: Counts = {};
    for (const { older, counts: seen, last } of piecesOf(type, page.rows)) {
      const ids = older.slice(0, sample - taken);
      const outcomes = await settled(ids.map((id) => this.#migrate(type, tenant, id, dryRun)));
      counts = [seen, ...outcomes.map((outcome) => ({ lookedAt: 1, [outcome]: 1 }))].reduce(addCounts, counts); // prettier-ignore
      taken += ids.length;
      const end = taken >= sample || taken - before >= STEP_RECORDS || context.timeIsUp();
      if (end && (page.more || last !== page.rows.at(-1)?.rowKey)) return { counts, taken, last };
    }
    return { counts, taken, last: page.more ? page.rows.at(-1)?.rowKey : undefined };
  }

  /** One record. Throws only what storage throws: a record that cannot be migrated is in no other's way. */
  async #migrate(type: RecordType, tenant: string, id: string, dryRun: boolean): Promise<Outcome> {
    try {
      const call = { tenant, actor: ACTOR, correlationId: ACTOR };
      if (!(await this.tools.migrate(type, id, dryRun, call))) return 'alreadyCurrent';
      return dryRun ? 'wouldMigrate' : 'migrated';
    } catch (error) {
      if (isFault(error) || isAppError(error, 'storage-unavailable')) throw error;
      const wrong = isAppError(error) ? error : new AppError('internal-error', 'A rule of the type failed.');
      // Not there any more, or damaged, which was audited, or in an archive: nothing that a migration is about.
      if (!isAppError(wrong, 'record-invalid', 'payload-too-large', 'internal-error')) return 'skipped';
      const pointers = wrong.issues.map(({ pointer }) => pointer).join(' ');
      this.tools.log.warn('a record cannot be migrated and is left as it is', { tenant, reason: `${id} ${wrong.code} ${pointers}`.trim() }); // prettier-ignore
      return 'invalid';
    }
  }
}

function cursorText(cursor: Cursor): string {
  return JSON.stringify(cursor);
}

/** All results; the first failure once none is under way any more. */
async function settled<T>(work: readonly Promise<T>[]): Promise<readonly T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

/** Rows of the index of all records in pieces with a few older records each. Pure. */
function piecesOf(type: RecordType, rows: readonly Row[]): readonly Piece[] {
  const versions = type.migrations.map(({ from }) => from);
  const pieces: Piece[] = [];
  let older: string[] = [];
  let counts: Counts = {};
  for (const [at, row] of rows.entries()) {
    const { record_type: recordType, schema_version: version } = row.properties;
    // What a damaged row says proves nothing: the record itself will say what it is.
    if (!rowIntact(row) || (recordType === type.recordType && versions.includes(String(version))))
      older.push(row.rowKey.slice(row.rowKey.lastIndexOf(':') + 1));
    // Rows of anything else than records are passed over.
    else if (recordType === type.recordType)
      // Neither current nor known: a newer build wrote it, and will read it.
      counts = addCounts(counts, { lookedAt: 1, [version === type.schemaVersion ? 'alreadyCurrent' : 'unknown']: 1 }); // prettier-ignore
    if (older.length < PARALLEL && at < rows.length - 1) continue;
    pieces.push({ counts, older, last: row.rowKey });
    older = [];
    counts = {};
  }
  return pieces;
}
