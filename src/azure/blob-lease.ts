import { randomUUID } from 'node:crypto';
import type { BlobClient } from '@azure/storage-blob';
import { answerOf } from './faults.js';

const TAKEN = new Set(['LeaseAlreadyPresent', 'LeaseIsBreakingAndCannotBeAcquired']);
const LOST = new Set(['LeaseIdMismatchWithLeaseOperation', 'LeaseNotPresentWithLeaseOperation']);

/** Takes the lease of a blob that exists; undefined when somebody else holds it. */
export async function acquireLease(
  blob: BlobClient,
  seconds: number,
  abortSignal: AbortSignal,
): Promise<string | undefined> {
  const lease = blob.getBlobLeaseClient(randomUUID());
  try {
    const { leaseId } = await lease.acquireLease(seconds, { abortSignal });
    return leaseId ?? lease.leaseId;
  } catch (error) {
    if (TAKEN.has(answerOf(error)?.code ?? '')) return undefined;
    throw error;
  }
}

/** Gives a lease back; harmless when it is lost already. */
export async function releaseLease(
  blob: BlobClient,
  leaseId: string,
  abortSignal: AbortSignal,
): Promise<void> {
  try {
    await blob.getBlobLeaseClient(leaseId).releaseLease({ abortSignal });
  } catch (error) {
    if (!LOST.has(answerOf(error)?.code ?? '')) throw error;
  }
}
