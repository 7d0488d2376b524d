interface Moment {
  readonly atMs: number;
  readonly order: number;
  run: (() => void) | undefined;
}

/** More moments than any schedule has: what goes on after them goes on for ever. */
const MOMENTS = 60_000;

/** Lets everything that is ready to run do so: promises settle before the next turn of the event loop. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * Virtual time and the order of everything. Each moment runs alone, with all that follows from it, before the next; so
 * the times that a seed draws for the moments are the schedule, and the same seed is the same schedule.
 */
export class Timeline {
  #nowMs = 0;
  #moments = 0;
  /** A binary heap. */
  readonly #heap: Moment[] = [];

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Runs something after a while, unless the function that this returns is called before. */
  after(delayMs: number, run: () => void): () => void {
    const moment: Moment = { atMs: this.#nowMs + Math.max(0, delayMs), order: (this.#moments += 1), run };
    this.#heap.push(moment);
    this.#rise(this.#heap.length - 1);
    return () => {
      moment.run = undefined;
    };
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(ms, resolve);
    });
  }

  /** Does some work: moment after moment until none is left. Throws when there is no end to them, or none to the work. */
  async run<T>(work: Promise<T>): Promise<T> {
    let ended = false;
    const end = (): void => void (ended = true);
    work.then(end, end);
    await settle();
    for (let count = 0; ;) {
      const next = this.#take();
      if (next === undefined && !ended) throw new Error('somebody waits for ever');
      if (next === undefined) return work;
      if (next.run === undefined) continue;
      if ((count += 1) === MOMENTS) throw new Error('it goes on for ever');
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.run();
      await settle();
    }
  }

  /** Passes time in which nothing is to happen. */
  skip(ms: number): void {
    this.#nowMs += ms;
  }

  #take(): Moment | undefined {
    const first = this.#heap[0];
    const last = this.#heap.pop();
    if (first !== undefined && last !== undefined && first !== last) {
      this.#heap[0] = last;
      this.#sink(0);
    }
    return first;
  }

  #rise(from: number): void {
    for (let at = from; at > 0;) {
      const parent = (at - 1) >> 1;
      if (!this.#swapIfBefore(at, parent)) return;
      at = parent;
    }
  }

  #sink(from: number): void {
    for (let at = from; ;) {
      const left = 2 * at + 1;
      const right = left + 1;
      const child = right < this.#heap.length && this.#before(right, left) ? right : left;
      if (child >= this.#heap.length || !this.#swapIfBefore(child, at)) return;
      at = child;
    }
  }

  #before(a: number, b: number): boolean {
    const [one, other] = [this.#heap[a] as Moment, this.#heap[b] as Moment];
    return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
  }

  #swapIfBefore(child: number, parent: number): boolean {
    if (!this.#before(child, parent)) return false;
    [this.#heap[child], this.#heap[parent]] = [this.#heap[parent] as Moment, this.#heap[child] as Moment];
    return true;
  }
}
