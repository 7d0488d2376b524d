import type { Clock } from '../domain/clock.js';
import { isDigested } from '../domain/parts.js';
import type { RecordType } from '../domain/record-type.js';

export interface DigestSchedulerTools {
  readonly digest: (type: RecordType, tenant: string, id: string) => Promise<number>;
  /** For waiting that must not keep the process alive. */
  readonly clock: Clock;
  readonly onError: (error: unknown, tenant: string) => void;
}

const AFTER_MS = 2_000;
/** Records that wait at once; the jobs take care of any others. */
const WAITING = 1_000;

/** Digests the parts of a record soon after something was added, once for many that come together. Nothing relies on it. */
export class DigestScheduler {
  readonly #waiting = new Set<string>();

  constructor(private readonly tools: DigestSchedulerTools) {}

  /** Free; does nothing for a type whose parts nothing is made of. */
  added(type: RecordType, { tenant, id }: { readonly tenant: string; readonly id: string }): void {
    const key = `${tenant}/${id}`;
    if (type.parts === undefined || !isDigested(type.parts)) return;
    if (this.#waiting.has(key) || this.#waiting.size >= WAITING) return;
    this.#waiting.add(key);
    void this.#soon(type, tenant, id, key);
  }

  async #soon(type: RecordType, tenant: string, id: string, key: string): Promise<void> {
    await this.tools.clock.sleep(AFTER_MS);
    this.#waiting.delete(key);
    try {
      await this.tools.digest(type, tenant, id);
    } catch (error) {
      this.tools.onError(error, tenant);
    }
  }
}
