import {
  StorageFault,
  type RangePage,
  type RangeQuery,
  type Row,
  type StoragePorts,
} from '../../src/storage/ports.js';
import { keyAfter } from '../../src/storage/range.js';
import { wrapPorts, type PortCall } from '../support/wrap-ports.js';
import type { Counters } from './simulation-counters.js';
import type { SimulatedHost } from './simulation-host.js';
import type { Timeline } from './simulation-time.js';

/** What becomes of one call. */
export interface Fate {
  /**
   * `lost`: it never happens and fails. `lost-answer`: it happens and fails. `late`: it fails, and happens afterwards.
   * `crash-before`, `crash-after`: its process dies right before or right after it happens.
   */
  readonly kind: 'fine' | 'lost' | 'lost-answer' | 'late' | 'crash-before' | 'crash-after';
  /** How long until it happens. */
  readonly delayMs: number;
  /** How long from then until the answer arrives. */
  readonly answerMs: number;
  /** How long after the answer a late call happens. */
  readonly lateMs?: number;
  /** A range read goes in pieces of so many rows, with so much time before each. */
  readonly pieces?: { readonly rows: number; readonly delayMs: number };
  /** A range read returns at most so many rows. */
  readonly limit?: number;
  /** Whether a request that is on its way when its process dies still arrives. */
  readonly outlivesItsHost?: boolean;
}

export type Outcome =
  { readonly kind: 'answered'; readonly value: unknown } | { readonly kind: 'failed'; readonly error: Error };

export interface NetworkOptions {
  readonly timeline: Timeline;
  readonly counters: Counters;
  readonly storage: StoragePorts;
  /** Decides each call before it begins. */
  readonly fateOf: (host: SimulatedHost, call: PortCall) => Fate;
  /** Sees each call that happened, and what the process was told. */
  readonly observe: (host: SimulatedHost, call: PortCall, told: Outcome) => void;
}

const noAnswer = (): Outcome => ({
  kind: 'failed',
  error: new StorageFault('unavailable', 'no answer'),
});

/** What lies between the processes and the storage they share: every call of a port is a moment of its own. */
export class Network {
  constructor(private readonly options: NetworkOptions) {}

  portsOf(host: SimulatedHost): StoragePorts {
    return wrapPorts(this.options.storage, (call, run) => this.#call(host, call, run));
  }

  #call(host: SimulatedHost, call: PortCall, run: () => Promise<unknown>): Promise<unknown> {
    const { timeline, counters, fateOf, observe } = this.options;
    if (!host.alive) return new Promise(() => undefined);
    const fate = fateOf(host, call);
    if (fate.kind !== 'fine') counters.add(`fault: ${fate.kind}`);
    return new Promise((resolve, reject) => {
      const answer = (told: Outcome): void => {
        host.later(fate.answerMs, () => {
          observe(host, call, told);
          if (told.kind === 'answered') resolve(told.value);
          else reject(told.error);
        });
      };
      const act = async (): Promise<Outcome> => {
        try {
          const value = await (call.method === 'range' ? this.#range(call, fate) : run());
          return { kind: 'answered', value };
        } catch (error) {
          return { kind: 'failed', error: error as Error };
        }
      };
      timeline.after(fate.delayMs, () => {
        if (!host.alive) {
          if (fate.outlivesItsHost !== true) return;
          counters.add('fault: happened after its host died');
          void act();
          return;
        }
        if (fate.kind === 'crash-before') return host.die();
        if (fate.kind === 'lost') return answer(noAnswer());
        if (fate.kind === 'late') {
          timeline.after(fate.answerMs + (fate.lateMs ?? 0), () => void act());
          return answer(noAnswer());
        }
        const acting = act();
        if (fate.kind === 'crash-after') return host.die();
        // What was refused did not happen: the refusal is an answer like any other and can be lost like any other.
        void acting.then((outcome) => answer(fate.kind === 'lost-answer' ? noAnswer() : outcome));
      });
    });
  }

  /** A range read is no snapshot: what is committed behind it while it goes on is missed. */
  async #range(call: PortCall, fate: Fate): Promise<RangePage> {
    const [table, key, query] = call.args as [string, string, RangeQuery];
    const { tables } = this.options.storage;
    const limit = Math.min(query.limit, fate.limit ?? query.limit);
    if (fate.pieces === undefined) return tables.range(table, key, { ...query, limit });
    this.options.counters.add('fault: range read in pieces');
    const rows: Row[] = [];
    for (let from = query.from; ;) {
      const page = await tables.range(table, key, { ...query, from, limit: Math.min(fate.pieces.rows, limit - rows.length) }); // prettier-ignore
      rows.push(...page.rows);
      if (!page.more || rows.length >= limit) return { rows, more: page.more };
      from = keyAfter(rows.at(-1)?.rowKey ?? from);
      await this.options.timeline.sleep(fate.pieces.delayMs);
    }
  }
}
