import { RollingCheck } from './audit/rolling/rolling-check.js';
import type { IntegrityAuditor } from './audit/integrity-auditor.js';
import type { LogKeys } from './audit/log-keys.js';
import type { Clock, Entropy } from './domain/clock.js';
import type { RecordType } from './domain/record-type.js';
import { AnchorLogs, type AnchorLogsTools } from './lifecycle/anchor-logs.js';
import { ArchiveRecords } from './lifecycle/archive-records.js';
import { ArchiveSeries } from './lifecycle/archive-series.js';
import { ArchiveStreams } from './lifecycle/archive-streams.js';
import { CheckPartitions } from './lifecycle/check-partitions.js';
import { CollectOrphans } from './lifecycle/collect-orphans.js';
import type { DigestJobTools } from './lifecycle/digest-record.js';
import { DisposeRecords, type DisposeTools, type RetentionMode } from './lifecycle/dispose-records.js';
import { ExpireKeys } from './lifecycle/expire-keys.js';
import type { HoldBook } from './lifecycle/hold-book.js';
import type { Job } from './lifecycle/job.js';
import { JobRunner } from './lifecycle/job-runner.js';
import { JobSwitches } from './lifecycle/job-switches.js';
import { MigrateRecords, type MigrateTools } from './lifecycle/migrate-records.js';
import type { MigrateSettings } from './lifecycle/migrate-settings.js';
import { MoveParts } from './lifecycle/move-parts.js';
import { overQueue } from './lifecycle/over-queue.js';
import { PartitionWorker } from './lifecycle/partition-worker.js';
import { RehydrateRecords } from './lifecycle/rehydrate-records.js';
import { RollUpSeries } from './lifecycle/roll-up-series.js';
import { RotateKeys } from './lifecycle/rotate-keys.js';
import { VerifyLogs } from './lifecycle/verify-logs.js';
import { WorkBook } from './lifecycle/work-book.js';
import { LifecycleWorkHandler } from './queue/lifecycle-work-handler.js';
import type { KeyRing } from './security/keys/key-ring.js';
import { Budget } from './storage/backoff.js';
import type { Directory } from './storage/directory.js';
import { claimedWrapping, retireWrapping } from './storage/key-claim.js';
import { PackTiers } from './storage/pack-tiers.js';
import type { StoragePorts } from './storage/ports.js';
import { SubjectIndex } from './storage/subject-rows.js';
import { RecordArchiver, type ArchiverTools } from './storage/record-archiver.js';
import { CurrentSubjects } from './storage/current-subjects.js';
import { RecordLocator } from './storage/record-locator.js';
import { StreamArchiver } from './storage/stream-archiver.js';
import { StreamTiers } from './storage/stream-tiers.js';
import { SeriesArchiver } from './storage/series-archiver.js';
import type { Rehydrator } from './storage/rehydrator.js';
import type { Log } from './telemetry/log.js';

/** What jobs are made of. */
interface JobParts extends ArchiverTools {
  readonly ports: StoragePorts;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Log;
  readonly types: readonly RecordType[];
  /** Tables of records. */
  readonly recordTables: readonly string[];
  readonly directory: Directory;
  readonly digest: DigestJobTools['digest'];
  readonly migrate: MigrateTools['migrate'];
  readonly migrating: Partial<MigrateSettings> | undefined;
  /** What the job `dispose` destroys with, and whom it asks before. */
  readonly disposing: Pick<DisposeTools, 'holds' | 'emit' | 'configurationOf'> & {
    readonly disposal: Pick<DisposeTools, 'disposer' | 'history' | 'clearer' | 'subjects'>;
    readonly mode: Partial<RetentionMode> | undefined;
  };
  readonly rotation: KeyRing['rotation'];
  readonly anchoring: Omit<AnchorLogsTools, 'directory' | 'budget' | 'log'>;
  readonly vkeys: LogKeys['vkeys'];
  readonly report: IntegrityAuditor['report'];
  readonly holds: HoldBook;
  readonly rehydrator: Rehydrator;
  /** Jobs that are wired elsewhere. */
  readonly more: readonly Job[];
}

/** What runs over everything there is, a piece at a time, and who takes the pieces that come as messages. */
export function openJobs(parts: JobParts): {
  readonly jobs: JobRunner;
  readonly lifecycleWorkHandler: LifecycleWorkHandler;
} {
  const { ports, clock, entropy, log, directory } = parts;
  const budget = (): Budget => new Budget(clock, entropy);
  const book = new WorkBook(ports.tables, entropy, budget);
  const partitionJobs = [disposing(parts, budget), archiving(parts, budget), filing(parts, budget)];
  const switches = new JobSwitches(ports.tables, budget);
  const worker = new PartitionWorker(
    { queues: ports.queues, book, switches, clock, log, budget },
    partitionJobs,
  );
  const tools = { queues: ports.queues, directory, book, worker, budget };
  const queued = partitionJobs.map((job) => overQueue(job, tools));
  const jobs = allJobs(parts, queued, budget);
  return {
    jobs: new JobRunner({ tables: ports.tables, clock, entropy, log }, jobs),
    lifecycleWorkHandler: new LifecycleWorkHandler(worker),
  };
}

function allJobs(parts: JobParts, queued: readonly Job[], budget: () => Budget): readonly Job[] {
  const { ports, clock, entropy, log, types, directory, digest, migrate, rotation, anchoring, vkeys, report } = parts; // prettier-ignore
  const { tables } = ports;
  const settings = {
    enabled: true,
    dryRun: false,
    sample: undefined,
    window: undefined,
    ...parts.migrating,
  };
  return [
    new CollectOrphans({ ports, types, budget, log }),
    new ExpireKeys({ tables, directory, recordTables: parts.recordTables, budget }),
    new CheckPartitions({ tables, directory, budget }),
    new RollUpSeries({ tables, directory, types, digest, budget, log }),
    new MoveParts({ tables, directory, types, digest, budget, log }),
    new RotateKeys({
      current: rotation.current,
      currentVersion: rotation.currentVersion.bind(rotation),
      tenantsAfter: rotation.tenantsAfter.bind(rotation),
      rewrap: rotation.rewrap.bind(rotation),
      claimed: () => budget().retry(() => claimedWrapping(tables)),
      retire: (names) => budget().retry(() => retireWrapping(tables, names)),
      log,
    }),
    new AnchorLogs({ ...anchoring, directory, budget, log }),
    new VerifyLogs({ rolling: new RollingCheck({ ...ports, clock, entropy, vkeys }), report, tables, directory, budget, log }), // prettier-ignore
    new MigrateRecords({ tables, directory, types, migrate, settings, budget, log }),
    ...queued,
    new RehydrateRecords({ tables, rehydrator: parts.rehydrator, budget }),
    ...parts.more,
  ];
}

function disposing(parts: JobParts, budget: () => Budget): DisposeRecords {
  const { ports, types, report, log } = parts;
  const { disposal, ...tools } = parts.disposing;
  const mode = { enabled: true, dryRun: false, ...tools.mode };
  return new DisposeRecords({
    ...disposal,
    ...tools,
    mode,
    tables: ports.tables,
    types,
    report,
    budget,
    log,
  });
}

function archiving(parts: JobParts, budget: () => Budget): ArchiveRecords {
  const { ports, types, holds } = parts;
  const archiver = new RecordArchiver({ ...parts, onIntegrityFailure: parts.report });
  const subjects = new CurrentSubjects(parts);
  const index = new SubjectIndex(ports.tables, parts.clock, parts.entropy);
  const isIndexed = index.isComplete.bind(index);
  const locator = new RecordLocator(ports.tables);
  const streams = new ArchiveStreams({
    ports,
    holds,
    subjects,
    locator,
    archiver: new StreamArchiver({ ...parts, onIntegrityFailure: parts.report, locator }),
    tiers: new StreamTiers(parts),
    isIndexed,
    budget,
  });
  return new ArchiveRecords({ ports, types, holds, subjects, archiver, tiers: new PackTiers(parts), streams, isIndexed, budget }); // prettier-ignore
}

function filing(parts: JobParts, budget: () => Budget): ArchiveSeries {
  const { ports, types, holds, report } = parts;
  const archiver = new SeriesArchiver(parts);
  return new ArchiveSeries({ tables: ports.tables, types, holds, subjects: new CurrentSubjects(parts), archiver, report, budget }); // prettier-ignore
}
