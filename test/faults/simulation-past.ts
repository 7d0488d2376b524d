import { newId } from '../../src/domain/ids.js';
import { BEFORE } from './simulation-names.js';
import { START_MS } from './simulation-host.js';
import type { Random } from './simulation-random.js';
import { calmHost } from './simulation-recovery.js';
import type { World } from './simulation-world.js';

/** Leaves of a full tile. */
const FULL = 256;
const HOUR = 3_600_000;

/**
 * What a tenant's log holds from before the schedule begins: so many events that what happens in it fills a tile, and
 * partial tiles have to go while somebody may still build on them.
 */
export async function longLog(world: World, random: Random, tenant: string): Promise<void> {
  const { platform, entropy } = calmHost(world);
  const left = FULL - random.between(1, 9);
  const drafts = Array.from({ length: left }, (_, at) => {
    const timestampMs = START_MS - HOUR + at;
    return {
      eventId: newId('evt', timestampMs, entropy),
      timestampMs,
      tenant,
      actorName: 'somebody before',
      eventType: 'job.completed' as const,
      severity: 'info' as const,
      action: 'run',
      resourceType: 'job',
      resourceId: 'before',
      outcome: 'success' as const,
      details: {},
      correlationId: BEFORE,
    };
  });
  await platform.emitter.emit(drafts);
  await platform.sealer.sealTenant(tenant);
}
