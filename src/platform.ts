import type { AnchorReader } from './audit/anchors/anchor-reader.js';
import { openAnchors, type AnchorOptions } from './audit/anchors/open-anchors.js';
import { ActorNames } from './audit/actor-names.js';
import { Actors, ACTORS_TABLE } from './audit/actors.js';
import { AuditEmitter } from './audit/emitter.js';
import { AuditReader } from './audit/audit-reader.js';
import type { FsckTools } from './audit/fsck/tools.js';
import { EventProofs } from './audit/event-proofs.js';
import type { LogKeys } from './audit/log-keys.js';
import { LogReader } from './audit/log-reader.js';
import { ExternalEvents } from './audit/external-events.js';
import { IntegrityAuditor } from './audit/integrity-auditor.js';
import { Receipts } from './audit/receipts.js';
import { Refusals } from './audit/refusals.js';
import { ReadAuditor, type ReadAuditing } from './audit/read-auditor.js';
import { SealScheduler, type SchedulerSettings } from './audit/seal-scheduler.js';
import { Sealer } from './audit/sealer.js';
import { Sweeper } from './audit/sweeper.js';
import type { Clock, Entropy } from './domain/clock.js';
import { HoldBook } from './lifecycle/hold-book.js';
import type { ErasureBook } from './lifecycle/erasure-book.js';
import type { RetentionMode } from './lifecycle/dispose-records.js';
import type { MigrateSettings } from './lifecycle/migrate-settings.js';
import type { JobRunner } from './lifecycle/job-runner.js';
import { JOBS_TABLE } from './lifecycle/jobs-table.js';
import { openErasure } from './platform-erasure.js';
import { openJobs } from './platform-jobs.js';
import { PoisonBox } from './queue/poison-box.js';
import { InboxHandler } from './queue/inbox-handler.js';
import type { LifecycleWorkHandler } from './queue/lifecycle-work-handler.js';
import { SealWorkHandler } from './queue/seal-work-handler.js';
import { DEFAULT_CONFIGURATION } from './domain/tenant-configuration.js';
import type { SecretBox } from './domain/commitment.js';
import type { KeyWrapper } from './domain/key-wrapper.js';
import type { RecordType } from './domain/record-type.js';
import { RECORD_TYPES, RecordRegistry } from './records/registry.js';
import { RateLimiter, type RateLimits } from './security/rate-limiter.js';
import type { DataKeys } from './security/keys/data-keys.js';
import { openKeyRing, type KeyRing } from './security/keys/key-ring.js';
import { KEYS_TABLE } from './security/keys/key-rows.js';
import { keyWrappersOf } from './security/keys/local-key-wrapper.js';
import { Budget } from './storage/backoff.js';
import { BusinessStorageManager } from './storage/business-storage-manager.js';
import { DigestScheduler } from './storage/digest-scheduler.js';
import { Directory, SYSTEM_TABLE } from './storage/directory.js';
import { ERASURES_TABLE } from './storage/erasure-rows.js';
import { HOLDS_TABLE } from './storage/hold-rows.js';
import { IDEMPOTENCY_TABLE } from './storage/idempotency.js';
import { LINEAGE_TABLE } from './storage/lineage-rows.js';
import { LOOKUPS_TABLE } from './storage/record-locator.js';
import { Inbox } from './storage/inbox.js';
import { BLOB_CONTAINERS, QUEUES, SYSTEM_TENANT } from './storage/keys.js';
import type { CallContext } from './storage/manager-types.js';
import type { StoragePorts } from './storage/ports.js';
import { Rehydrator } from './storage/rehydrator.js';
import { SubjectIndex, SUBJECTS_TABLE } from './storage/subject-rows.js';
import { TableConfigurationStore } from './storage/tenant-configuration-store.js';
import { TenantConfigurations } from './storage/tenant-configurations.js';
import { saidOf, type Log } from './telemetry/log.js';

export interface PlatformOptions {
  readonly ports: StoragePorts;
  readonly clock: Clock;
  /** For waiting that must not keep the process alive. */
  readonly backgroundClock: Clock;
  readonly entropy: Entropy;
  readonly cursorKey: Uint8Array;
  /** Wraps the keys of tenants unless `keyVault` does, and opens what is under it. */
  readonly wrappingKey?: Uint8Array | undefined;
  /** What did so before. */
  readonly formerWrappingKeys?: readonly Uint8Array[];
  /** A key in a vault; it then wraps the keys of tenants. */
  readonly keyVault?: KeyWrapper | undefined;
  /** Who signs the logs of tenants. */
  readonly logKeys: LogKeys;
  readonly log: Log;
  readonly types?: readonly RecordType[];
  readonly sealing?: Partial<SchedulerSettings>;
  /** What the timer of the job `migrate` does; by default everything, at any time. */
  readonly migrating?: Partial<MigrateSettings>;
  /** What the timer of the job `dispose` does; by default it disposes of what is past its time. */
  readonly retention?: Partial<RetentionMode>;
  /** What callers over HTTP may ask of this process in a second; by default as much as they like. */
  readonly rateLimits?: Partial<RateLimits>;
  /** Whether what callers over HTTP are shown of records is in the audit trail; by default it is not. */
  readonly auditReads?: ReadAuditing;
  readonly anchoring?: AnchorOptions;
  /** How long backups of table `keys` are kept, in days: erasures are provisional until then. By default 30. */
  readonly keyBackupDays?: number | undefined;
}

/** Everything the functions, the library and the tests use, wired to one storage. Knows no cloud. */
export interface Platform {
  readonly registry: RecordRegistry;
  readonly directory: Directory;
  readonly manager: BusinessStorageManager;
  readonly configurations: TenantConfigurations;
  readonly inbox: Inbox;
  readonly inboxHandler: InboxHandler;
  /** Brings records back from the archive. */
  readonly rehydrator: Rehydrator;
  readonly sealWorkHandler: SealWorkHandler;
  readonly auditReader: AuditReader;
  readonly readAuditor: ReadAuditor;
  readonly poison: PoisonBox;
  readonly externalEvents: ExternalEvents;
  /** What of the verifiable log is served. */
  readonly auditLog: {
    readonly reader: LogReader;
    readonly proofs: EventProofs;
    readonly anchors: AnchorReader;
    readonly vkeys: LogKeys['vkeys'];
  };
  /** What storage is checked with; whether sealed values are opened is for the caller to say. */
  readonly fsck: Omit<FsckTools, 'open'>;
  readonly emitter: AuditEmitter;
  readonly receipts: Receipts;
  readonly refusals: Refusals;
  readonly sealer: Sealer;
  readonly scheduler: SealScheduler;
  readonly sweeper: Sweeper;
  /** Legal holds; whoever deletes anything asks here first. */
  readonly holds: HoldBook;
  readonly erasures: ErasureBook;
  readonly jobs: JobRunner;
  readonly lifecycleWorkHandler: LifecycleWorkHandler;
  readonly actors: Actors;
  readonly actorNames: ActorNames;
  readonly secretBox: SecretBox;
  /** The keys of data subjects, to destroy one. */
  readonly dataKeys: DataKeys;
  readonly keyRotation: KeyRing['rotation'];
  /** Names of the key-encryption keys of this process, the current one first. */
  readonly keyNames: readonly string[];
  readonly rateLimiter: RateLimiter;
}

/** The tables, containers and queues the platform needs; made when they are missing. */
export function storageNames(types: readonly RecordType[] = RECORD_TYPES): {
  readonly tables: readonly string[];
  readonly containers: readonly string[];
  readonly queues: readonly string[];
} {
  const own = [
    SYSTEM_TABLE,
    JOBS_TABLE,
    IDEMPOTENCY_TABLE,
    'operations',
    'auditevents',
    ACTORS_TABLE,
    KEYS_TABLE,
    LOOKUPS_TABLE,
    LINEAGE_TABLE,
    HOLDS_TABLE,
    SUBJECTS_TABLE,
    ERASURES_TABLE,
  ];
  return {
    tables: [...tablesOf(types), ...own],
    containers: Object.values(BLOB_CONTAINERS),
    queues: Object.values(QUEUES),
  };
}

/** Tables of records and of their parts. */
function tablesOf(types: readonly RecordType[]): readonly string[] {
  return types.flatMap(({ table, parts }) =>
    [table, parts?.table, parts?.series?.table].filter((name) => name !== undefined),
  );
}

/** Wires a platform. Nothing is read or written before something is called. */
export function assemblePlatform(options: PlatformOptions): Platform {
  const { ports, clock, backgroundClock, entropy, log, cursorKey } = options;
  const registry = new RecordRegistry(options.types ?? RECORD_TYPES);
  const directory = new Directory(ports.tables, clock);
  const given = [options.wrappingKey, ...(options.formerWrappingKeys ?? [])].filter(
    (key) => key !== undefined,
  );
  const wrappers = keyWrappersOf(options.keyVault, given, entropy);
  const ring = openKeyRing({ tables: ports.tables, clock, entropy, wrappers }, given);
  const { secretBox, blindIndex } = ring;
  const actors = new Actors({ tables: ports.tables, clock, entropy, secretBox, blindIndex });
  const pseudonym = (tenant: string, name: string): Promise<string> =>
    new Budget(clock, entropy).retry(() => actors.pseudonym(tenant, name));
  const sealer = new Sealer({
    ports,
    directory,
    clock,
    signer: options.logKeys.signer,
    beforeClearing: async (tenant, changes, named) => {
      await new SubjectIndex(ports.tables, clock, entropy).add(tenant, named);
      for (const type of registry.types)
        await manager.followChanges(type, tenant, changes.filter(({ recordType }) => recordType === type.recordType)); // prettier-ignore
    },
    onCorrupt: (row) => {
      const finding = {
        recordType: 'audit_event',
        id: row.rowKey.slice('o:'.length),
        revision: 0,
        what: 'pending row',
      };
      void auditor.report(finding, { tenant: row.tenant, actor: 'sealer', correlationId: 'sealer' });
    },
  });
  const scheduler = new SealScheduler(
    {
      sealer,
      queues: ports.queues,
      clock: backgroundClock,
      onError: (error, tenant) => {
        log.warn('sealing failed; the sweep will do it', { tenant, reason: saidOf(error) });
      },
    },
    options.sealing,
  );
  const onCommitted = scheduler.committed.bind(scheduler);
  const emitter = new AuditEmitter({
    tables: ports.tables,
    directory,
    actors: { pseudonym },
    secretBox,
    entropy,
    onCommitted,
  });
  const auditor = new IntegrityAuditor({ emitter, clock, entropy, log });
  const readAuditor = new ReadAuditor(
    { emitter, clock, backgroundClock, entropy, log },
    options.auditReads ?? 'off',
  );
  const onIntegrityFailure = auditor.report.bind(auditor);
  const digest = (type: RecordType, tenant: string, id: string, rounds?: number): Promise<number> =>
    manager.digestParts(type, tenant, id, rounds);
  const digests = new DigestScheduler({
    digest,
    clock: backgroundClock,
    onError: (error, tenant) => {
      log.warn('digesting what was added to a record failed; the job will do it', {
        tenant,
        reason: saidOf(error),
      });
    },
  });
  const common = { ports, clock, entropy, directory, secretBox, blindIndex, pseudonym, onCommitted };
  const configurations = new TenantConfigurations(new TableConfigurationStore(common), clock, onIntegrityFailure); // prettier-ignore
  const managing = { ...common, cursorKey, typeOfId: registry.findById.bind(registry), configurations, onIntegrityFailure }; // prettier-ignore
  const manager = new BusinessStorageManager({ ...managing, onPartAdded: digests.added.bind(digests) });
  const holds = new HoldBook({ ...common, cursorKey, findByCollection: registry.findByCollection.bind(registry), onIntegrityFailure }); // prettier-ignore
  const erasure = openErasure({
    options: managing,
    types: registry.types,
    holds,
    keys: ring.dataKeys,
    actors,
    seal: sealer.sealTenant.bind(sealer),
    disposal: manager.disposal,
    report: onIntegrityFailure,
    backupDays: options.keyBackupDays,
  });
  const auditReader = new AuditReader({ ...common, ...ports, cursorKey, onIntegrityFailure });
  const logReader = new LogReader({ blobs: ports.blobs, clock, entropy });
  const proofs = new EventProofs({ ...common, ...ports, reader: auditReader, log: logReader, onIntegrityFailure }); // prettier-ignore
  const anchors = openAnchors(
    { blobs: ports.blobs, clock, entropy, emitter, events: auditReader, log: logReader, logger: log },
    options.anchoring,
  );
  const anchoring = { ...anchors.job, seal: () => sealer.sealTenant(SYSTEM_TENANT) };
  const disposing = {
    disposal: manager.disposal,
    holds,
    emit: emitter.emit.bind(emitter),
    configurationOf: async (call: CallContext) => (await configurations.stored(call))?.configuration ?? DEFAULT_CONFIGURATION, // prettier-ignore
    mode: options.retention,
  };
  const rehydrator = new Rehydrator({ ...common, typeOfId: registry.findById.bind(registry), onIntegrityFailure }); // prettier-ignore
  const poison = new PoisonBox({ ports, clock, entropy, secretBox, types: registry, audit: emitter });
  const externalEvents = new ExternalEvents({ tables: ports.tables, clock, entropy, emitter, reader: auditReader, blindIndex }); // prettier-ignore
  return {
    registry,
    directory,
    manager,
    configurations,
    inbox: new Inbox({ ...common, onIntegrityFailure, look: rehydrator.look.bind(rehydrator) }),
    rehydrator,
    inboxHandler: new InboxHandler({
      manager,
      types: registry,
      externalEvents,
      ports,
      clock,
      entropy,
      poison,
      secretBox,
    }),
    sealWorkHandler: new SealWorkHandler(sealer),
    auditReader,
    readAuditor,
    poison,
    auditLog: { reader: logReader, proofs, anchors: anchors.reader, vkeys: options.logKeys.vkeys }, // prettier-ignore
    fsck: {
      ...common,
      types: registry.types,
      keyedTenantsAfter: ring.rotation.tenantsAfter.bind(ring.rotation),
      vkeys: options.logKeys.vkeys,
      seal: sealer.sealTenant.bind(sealer),
    },
    externalEvents,
    emitter,
    receipts: new Receipts({ reader: auditReader, scheduler, clock: backgroundClock }),
    refusals: new Refusals({ emitter, clock, backgroundClock, entropy, log }),
    sealer,
    scheduler,
    sweeper: new Sweeper({ tables: ports.tables, directory, sealer, clock }),
    holds,
    erasures: erasure.book,
    ...openJobs({
      ...common,
      log,
      types: registry.types,
      recordTables: tablesOf(registry.types),
      digest,
      migrate: manager.migrate.bind(manager),
      migrating: options.migrating,
      disposing,
      rotation: ring.rotation,
      anchoring,
      vkeys: options.logKeys.vkeys,
      report: onIntegrityFailure,
      holds,
      rehydrator,
      more: erasure.jobs,
    }),
    actors,
    actorNames: new ActorNames({ actors, onIntegrityFailure }),
    secretBox,
    dataKeys: ring.dataKeys,
    keyRotation: ring.rotation,
    keyNames: [wrappers.current, ...wrappers.former].map(({ name }) => name),
    rateLimiter: new RateLimiter(
      { caller: undefined, tenant: undefined, address: undefined, ...options.rateLimits },
      clock,
    ),
  };
}
