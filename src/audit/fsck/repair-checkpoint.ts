import { isAppError } from '../../domain/errors.js';
import type { FsckTools } from './tools.js';

/** Together longer than the lease of a sealer that died. */
const ATTEMPTS = 10;
const PAUSE_MS = 2_000;

/**
 * Lets the sealer make a tenant's checkpoint, as it does for a log that has none; waits 20 s at most for others that are sealing.
 * Throws `integrity-failure` where the ledger does not hold together.
 */
export async function repairCheckpoint(tools: Pick<FsckTools, 'seal' | 'clock'>, tenant: string): Promise<void> {
  for (let attempt = 1; (await othersSeal(tools, tenant)) && attempt < ATTEMPTS; attempt += 1)
    await tools.clock.sleep(PAUSE_MS);
} // prettier-ignore

async function othersSeal({ seal }: Pick<FsckTools, 'seal'>, tenant: string): Promise<boolean> {
  try {
    return (await seal(tenant)).busy;
  } catch (error) {
    // Others were faster each time, or storage does not answer: what is looked at next says which.
    if (isAppError(error, 'storage-unavailable')) return true;
    throw error;
  }
}
