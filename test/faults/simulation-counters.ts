import type { CounterName } from './simulation-names.js';

/** How often each thing happened, by name. */
export class Counters {
  readonly counts = new Map<CounterName, number>();

  add(name: CounterName, count = 1): void {
    this.counts.set(name, this.of(name) + count);
  }

  of(name: CounterName): number {
    return this.counts.get(name) ?? 0;
  }

  addAll(other: Counters): void {
    for (const [name, count] of other.counts) this.add(name, count);
  }
}
