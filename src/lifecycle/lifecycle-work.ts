import pLimit from 'p-limit';
import { z } from 'zod';
import { LIMITS } from '../domain/limits.js';
import type { Budget } from '../storage/backoff.js';
import { isTenant, QUEUES } from '../storage/keys.js';
import type { WorkQueue } from '../storage/ports.js';
import type { Work } from './work-row.js';

/**
 * A message of `lifecycle-work`: somebody should look after one partition. What there is to do is in its row
 * (`work-row.ts`); a message that comes twice, late, for nothing or from anybody changes nothing by itself.
 */
export const lifecycleWorkSchema = z.strictObject({
  schema_version: z.literal('1.0'),
  job: z.string().regex(/^[a-z][a-z-]{0,62}$/),
  tenant: z.string().refine(isTenant, 'must be the name of a tenant'),
  table: z.string().regex(/^[A-Za-z][A-Za-z0-9]{2,62}$/),
  partition: z.string().max(LIMITS.workPartitionChars),
  /** When the round began, milliseconds since 1970. */
  round: z.int().min(0),
});
export type LifecycleWork = z.infer<typeof lifecycleWorkSchema>;

/** The text of a message. */
export function lifecycleWorkText(
  job: string,
  { tenant, table, partition, roundMs }: Pick<Work, 'tenant' | 'table' | 'partition' | 'roundMs'>,
): string {
  const message: LifecycleWork = { schema_version: '1.0', job, tenant, table, partition, round: roundMs };
  return JSON.stringify(message);
}

export interface SendTools {
  readonly queues: Pick<WorkQueue, 'send'>;
  readonly budget: () => Budget;
}

/** Sends messages, some at a time. Throws `storage-unavailable`; some may have been sent then. */
export async function sendWork(
  { queues, budget }: SendTools,
  texts: readonly string[],
  delayS = 0,
): Promise<void> {
  const limit = pLimit(LIMITS.workSends);
  const sending = texts.map((text) =>
    limit(() => budget().retry(() => queues.send(QUEUES.lifecycle, text, { delayS }))),
  );
  // None is under way any more when it throws.
  await Promise.allSettled(sending);
  await Promise.all(sending);
}
