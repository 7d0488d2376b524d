import type { ErasureStore } from '../storage/erasure-store.js';
import type { Job, Step, StepContext } from './job.js';
import type { SubjectEraser } from './subject-eraser.js';

/** Put on the list by a request that died before it wrote its row, or is about to: an hour tells. */
const DIED_MS = 3_600_000;

export interface EraseTools {
  readonly store: Pick<ErasureStore, 'openAfter' | 'close'>;
  readonly eraser: Pick<SubjectEraser, 'goOn'>;
}

/**
 * Goes on with every erasure that is not done: one range read and one point read each where there is nothing to do yet.
 */
export class Erase implements Job {
  readonly name = 'erase';
  readonly everyMs = 60_000;

  constructor(private readonly tools: EraseTools) {}

  /** One erasure, or a piece of one. */
  async step(cursor: string, { nowMs, timeIsUp }: StepContext): Promise<Step> {
    const { store, eraser } = this.tools;
    const [next] = await store.openAfter(cursor === '' ? undefined : cursor, 1);
    if (next === undefined) return { counts: {}, next: undefined };
    const { tenant, id, sinceMs, listedAs } = next;
    const outcome = await eraser.goOn(tenant, id, timeIsUp);
    // The same again, so that no erasure that has begun waits for another round.
    if (outcome === 'more') return { counts: {}, next: cursor };
    if (outcome === 'gone' && nowMs - sinceMs > DIED_MS) await store.close(tenant, id);
    return { counts: { erasures: 1, [outcome]: 1 }, next: listedAs };
  }
}
