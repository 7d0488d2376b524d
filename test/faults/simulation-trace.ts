import { createHash } from 'node:crypto';
import type { StorageContents } from '../support/memory-ports.js';
import type { PortCall } from '../support/wrap-ports.js';
import type { SimulatedHost } from './simulation-host.js';
import type { Fate, Outcome } from './simulation-network.js';
import type { Timeline } from './simulation-time.js';

/**
 * Tells a schedule call by call, a line each: when a process asked something of storage, what became of it, and what
 * the process was told. The same seed tells the same lines.
 */
export class Trace {
  readonly #numbers = new WeakMap<SimulatedHost, number>();
  #hosts = 0;

  constructor(
    private readonly timeline: Timeline,
    private readonly tell: (line: string) => void,
  ) {}

  asked(host: SimulatedHost, call: PortCall, fate: Fate): void {
    this.#line(host, call, `${JSON.stringify(fate)} ${shown(call.args)}`);
  }

  told(host: SimulatedHost, call: PortCall, told: Outcome): void {
    const what = told.kind === 'failed' ? String(told.error) : (shown(told.value) ?? 'nothing');
    this.#line(host, call, `-> ${what}`);
  }

  /** What storage holds in the end, however it got there. */
  ended(contents: StorageContents): void {
    const parts = [...contents.rows, ...contents.blobs, ...contents.messages].map(shown).sort();
    this.tell(`in the end: ${parts.length} things, ${hashOf(parts.join('\n'))}`);
  }

  #line(host: SimulatedHost, { port, method, args }: PortCall, what: string): void {
    const number = this.#numbers.get(host) ?? (this.#hosts += 1);
    this.#numbers.set(host, number);
    this.tell(`${this.timeline.nowMs} host ${number} ${port}.${method} ${String(args[0])} ${what}`);
  }
}

function shown(value: unknown): string | undefined {
  return JSON.stringify(value, (_, member: unknown) =>
    member instanceof Uint8Array ? `${member.length} bytes, ${hashOf(member).slice(0, 8)}` : member,
  );
}

function hashOf(value: string | Uint8Array): string {
  return createHash('sha256').update(value).digest('hex');
}
