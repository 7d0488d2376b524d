import pLimit from 'p-limit';
import { parseShape } from '../domain/apply-change.js';
import { LIMITS } from '../domain/limits.js';
import { lifecycleWorkSchema } from '../lifecycle/lifecycle-work.js';
import type { PartitionWorker, Worked } from '../lifecycle/partition-worker.js';
import type { Delivery } from './delivery.js';

/** Does what `lifecycle-work` messages ask for, a few at a time: the host hands over a batch, and callers want answers too. */
export class LifecycleWorkHandler {
  readonly #limit = pLimit(LIMITS.workAtOnce);

  constructor(private readonly worker: Pick<PartitionWorker, 'deliver'>) {}

  /** One delivery. Throwing means deliver it again; throws `record-invalid` for what is no such message. */
  async handle(payload: unknown, { dequeueCount }: Pick<Delivery, 'dequeueCount'>): Promise<Worked> {
    const message = parseShape(lifecycleWorkSchema, payload);
    return this.#limit(() => this.worker.deliver(message, dequeueCount));
  }
}
