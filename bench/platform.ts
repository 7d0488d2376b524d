import { randomUUID } from 'node:crypto';
import { logKeysOf } from '../src/audit/log-keys.js';
import { assemblePlatform, type Platform } from '../src/platform.js';
import type { CallContext } from '../src/storage/manager-types.js';
import type { StoragePorts } from '../src/storage/ports.js';
import { systemClock, systemEntropy } from '../src/system.js';
import { createLog } from '../src/telemetry/log.js';

/** Background sealing waits for a time that never comes: the bench seals when it says so. */
const never = { ...systemClock, sleep: () => new Promise<void>(() => undefined) };

/** A key of no value, the same in every thread. */
const key = Buffer.from(`302e020100300506032b657004220420${'07'.repeat(32)}`, 'hex').toString('base64');
/** Who signs the logs of the bench. */
export const KEYS = logKeysOf(
  'bench.local',
  `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`,
);

/** One host of the platform, as composition wires it, on any ports. */
export function benchPlatform(ports: StoragePorts, clock = systemClock): Platform {
  return assemblePlatform({
    ports,
    clock,
    backgroundClock: never,
    entropy: systemEntropy,
    cursorKey: new Uint8Array(32).fill(1),
    wrappingKey: new Uint8Array(32).fill(2),
    logKeys: KEYS,
    log: createLog('silent'),
  });
}

/** A call as an HTTP request makes it: its event hides an address. */
export function benchCall(tenant: string): CallContext {
  return { tenant, actor: 'developer', correlationId: randomUUID(), ipAddress: '127.0.0.1' };
}
