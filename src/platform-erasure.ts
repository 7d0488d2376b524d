import type { Actors } from './audit/actors.js';
import type { RecordType } from './domain/record-type.js';
import { Erase } from './lifecycle/erase.js';
import { ErasureBook } from './lifecycle/erasure-book.js';
import type { HoldBook } from './lifecycle/hold-book.js';
import { IndexSubjects } from './lifecycle/index-subjects.js';
import type { Job } from './lifecycle/job.js';
import { SubjectEraser, type EraserTools, type SubjectKeys } from './lifecycle/subject-eraser.js';
import { SubjectRecords } from './lifecycle/subject-records.js';
import { WholeRecords } from './lifecycle/whole-records.js';
import { Budget } from './storage/backoff.js';
import { ErasureStore } from './storage/erasure-store.js';
import type { ManagerParts } from './storage/manager-parts.js';
import type { StorageManagerOptions } from './storage/manager-types.js';
import { SubjectIndex } from './storage/subject-rows.js';
import { SubjectScan } from './storage/subject-scan.js';

const DAY_MS = 24 * 3_600_000;
/** How long backups of the table of keys are kept unless it is said otherwise (docs/keys.md). */
const BACKUP_DAYS = 30;

interface ErasureParts {
  readonly options: StorageManagerOptions;
  readonly types: readonly RecordType[];
  readonly holds: Pick<HoldBook, 'activeOf'>;
  readonly keys: SubjectKeys;
  readonly actors: Actors;
  readonly seal: EraserTools['seal'];
  readonly disposal: ManagerParts['disposal'];
  readonly report: EraserTools['report'];
  readonly backupDays: number | undefined;
}

/** Wires the erasure of subjects: what is asked for, and the jobs that do it. Nothing is read or written before a call. */
export function openErasure(parts: ErasureParts): {
  readonly book: ErasureBook;
  readonly jobs: readonly Job[];
} {
  const { options, types, holds, keys, actors, seal, disposal, report, backupDays = BACKUP_DAYS } = parts;
  const { ports, clock, entropy, directory } = options;
  const budget = (): Budget => new Budget(clock, entropy);
  const index = new SubjectIndex(ports.tables, clock, entropy);
  const records = new SubjectRecords({ tables: ports.tables, index, holds, types, budget });
  const { disposer, subjects, forgetReads: forget } = disposal;
  const whole = new WholeRecords({ tables: ports.tables, index, blindIndex: options.blindIndex, holds, disposer, subjects, types, budget }); // prettier-ignore
  const store = new ErasureStore(options);
  const eraser = new SubjectEraser({ store, records, whole, index, keys, actors, seal, forget, clock, backupMs: backupDays * DAY_MS, report }); // prettier-ignore
  const scan = new SubjectScan(options);
  return {
    book: new ErasureBook({ store, records, seal, report }),
    jobs: [
      new IndexSubjects({ directory, types, index, scan, budget, report }),
      new Erase({ store, eraser }),
    ],
  };
}
