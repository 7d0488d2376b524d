import { RollingCheck } from './audit/rolling/rolling-check.js';
import type { IntegrityAuditor } from './audit/integrity-auditor.js';
import type { LogKeys } from './audit/log-keys.js';
import type { Clock, Entropy } from './domain/clock.js';
import type { RecordType } from './domain/record-type.js';
import { AnchorLogs, type AnchorLogsTools } from './lifecycle/anchor-logs.js';
import { ArchiveRecords } from './lifecycle/archive-records.js';
import { ArchiveStreams } from './lifecycle/archive-streams.js';
import { CheckPartitions } from './lifecycle/check-partitions.js';
import { CollectOrphans } from './lifecycle/collect-orphans.js';
import type { DigestJobTools } from './lifecycle/digest-record.js';
import { DisposeRecords, type DisposeTools, type RetentionMode } from './lifecycle/dispose-records.js';
import { ExpireKeys } from './lifecycle/expire-keys.js';
import type { HoldBook } from './lifecycle/hold-book.js';
import type { Job } from './lifecycle/job.js';
import { MigrateRecords, type MigrateTools } from './lifecycle/migrate-records.js';
import type { MigrateSettings } from './lifecycle/migrate-settings.js';
import { MoveParts } from './lifecycle/move-parts.js';
import { overPartitions } from './lifecycle/over-partitions.js';
import { RehydrateRecords } from './lifecycle/rehydrate-records.js';
import { RollUpSeries } from './lifecycle/roll-up-series.js';
import { RotateKeys } from './lifecycle/rotate-keys.js';
import { VerifyLogs } from './lifecycle/verify-logs.js';
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

/** What runs over everything there is, a piece at a time. */
export function jobsOf(parts: JobParts): readonly Job[] {
  const {
    ports,
    clock,
    entropy,
    log,
    types,
    directory,
    digest,
    migrate,
    rotation,
    anchoring,
    vkeys,
    report,
    disposing,
  } = parts;
  const { disposal } = disposing;
  const { tables } = ports;
  const budget = (): Budget => new Budget(clock, entropy);
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
    overPartitions(new DisposeRecords({ ...disposal, ...disposing, mode: { enabled: true, dryRun: false, ...disposing.mode }, tables, types, report, budget, log }), { directory, budget }), // prettier-ignore
    new RehydrateRecords({ tables, rehydrator: parts.rehydrator, budget }),
    overPartitions(archiving(parts, budget), { directory, budget }),
    ...parts.more,
  ];
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
