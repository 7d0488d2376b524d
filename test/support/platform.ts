import { assemblePlatform, storageNames, type Platform, type PlatformOptions } from '../../src/platform.js';
import type { Clock, Entropy } from '../../src/domain/clock.js';
import type { RecordType } from '../../src/domain/record-type.js';
import type { RateLimits } from '../../src/security/rate-limiter.js';
import type { CallContext } from '../../src/storage/manager-types.js';
import type { StoragePorts } from '../../src/storage/ports.js';
import { createLog, type Log } from '../../src/telemetry/log.js';
import { seededEntropy } from './entropy.js';
import { TEST_LOG_KEYS } from './log-keys.js';
import { STORAGES, type StorageKind } from './storages.js';
import { realClock } from './virtual-clock.js';

export interface TestPlatformOptions {
  readonly clock?: Clock;
  readonly types?: readonly RecordType[];
  /** Different hosts draw different ids. */
  readonly seed?: string;
  readonly migrating?: PlatformOptions['migrating'];
  readonly retention?: PlatformOptions['retention'];
  /** Where ids come from, instead of `seed`. */
  readonly entropy?: Entropy;
  /** Silent, unless a test reads it. */
  readonly log?: Log;
  /** Those of an unconfigured process, unless a test says otherwise. */
  readonly rateLimits?: PlatformOptions['rateLimits'];
  /** Off, unless a test is about it: events of reads are in nobody's counts. */
  readonly auditReads?: PlatformOptions['auditReads'];
  /** Without a witness and copies, unless a test says otherwise. */
  readonly anchoring?: PlatformOptions['anchoring'];
  readonly keyBackupDays?: number;
  /** That of background work; by default one on which waiting never ends. */
  readonly backgroundClock?: Clock;
}

const RATE_LIMITS: RateLimits = {
  caller: { perSecond: 2000, burst: 2000 },
  tenant: { perSecond: 10_000, burst: 10_000 },
  address: { perSecond: 2000, burst: 2000 },
};

let hosts = 0;

/** One host of the platform on any ports, with fixed keys and no log; nothing is sealed until a test says so. */
export function testPlatform(ports: StoragePorts, options: TestPlatformOptions = {}): Platform {
  hosts += 1;
  const clock = options.clock ?? realClock;
  return assemblePlatform({
    ports,
    clock,
    // Background sealing waits for a time that never comes: tests drive the sealer themselves.
    backgroundClock: options.backgroundClock ?? { now: () => clock.now(), monotonic: () => clock.monotonic(), sleep: () => new Promise(() => undefined) }, // prettier-ignore
    entropy:
      options.entropy ?? seededEntropy(options.seed ?? `host ${String(hosts)} of ${String(process.pid)}`),
    cursorKey: new Uint8Array(32).fill(1),
    wrappingKey: new Uint8Array(32).fill(2),
    logKeys: TEST_LOG_KEYS,
    log: options.log ?? createLog('silent'),
    ...(options.types === undefined ? {} : { types: options.types }),
    rateLimits: options.rateLimits ?? RATE_LIMITS,
    auditReads: options.auditReads ?? 'off',
    ...(options.anchoring === undefined ? {} : { anchoring: options.anchoring }),
    ...(options.keyBackupDays === undefined ? {} : { keyBackupDays: options.keyBackupDays }),
    ...(options.retention === undefined ? {} : { retention: options.retention }),
    ...(options.migrating === undefined ? {} : { migrating: options.migrating }),
  });
}

/** A storage of the given kind with everything the platform needs in it. */
export function openStorage(kind: StorageKind, types?: readonly RecordType[]) {
  return kind.open(storageNames(types));
}

/** A caller of the default tenant, who may see sensitive values. */
export function caller(changes: Partial<CallContext> = {}): CallContext {
  return { tenant: 'default', actor: 'ada', correlationId: 'test', maySeeSensitive: true, ...changes };
}

export { STORAGES };
