import type { Clock } from '../domain/clock.js';
import type { RecordType } from '../domain/record-type.js';

export interface DigestSchedulerTools {
  readonly digest: (type: RecordType, tenant: string, id: string) => Promise<number>;
  /** For waiting that must not keep the process alive. */
  readonly clock: Clock;
  readonly onError: (error: unknown, tenant: string) => void;
}

const AFTER_MS = 2_000;
/** Series that wait at once; the job takes care of any others. */
const WAITING = 1_000;

/** Digests a series soon after values were added to it, once for many that come together. Nothing relies on it. */
export class DigestScheduler {
  readonly #waiting = new Set<string>();

  constructor(private readonly tools: DigestSchedulerTools) {}

  /** Free; does nothing for a type without series. */
  added(type: RecordType, { tenant, id }: { readonly tenant: string; readonly id: string }): void {
    const key = `${tenant}/${id}`;
    if (type.parts?.series === undefined || this.#waiting.has(key) || this.#waiting.size >= WAITING) return;
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
