import type { Clock, Entropy } from '../../src/domain/clock.js';
import { QUEUES } from '../../src/storage/keys.js';
import type { StoragePorts } from '../../src/storage/ports.js';
import { countingPorts, type CountingPorts } from '../support/counting-ports.js';
import { deliver, messageOf, takeAll } from '../support/courier.js';
import { seededEntropy } from '../support/entropy.js';
import { httpHost, type HttpHost, type Reply, type RequestOptions } from '../support/http-harness.js';

/** A request as it was sent, by whom, and at which step of the script. */
export interface Sent {
  readonly step: number;
  readonly tenant: string;
  readonly method: string;
  readonly path: string;
  readonly options: RequestOptions;
}

/** Something that happens to the storage as a whole, whoever is in it. */
export type Happening = 'seal' | 'deliver' | 'jobs';

/** A message that somebody of a tenant put into the inbox by hand. */
export interface Dropped {
  readonly step: number;
  readonly tenant: string;
  readonly message: Readonly<Record<string, unknown>>;
}

/** What a caller can learn of an answer: all of it but the name of the invocation, and what it took of storage. */
export interface Seen {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  readonly calls: readonly string[];
}

/** The delivery of a message has the name of its invocation, which the test does not draw. */
const RANDOM = /(?<="correlation_id":")[0-9a-f-]{36}(?=")/g;
/** In base64: what checkpoints and proofs are made of. */
const HASHES = /(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{43,}={0,2}/g;
const START_MS = Date.UTC(2026, 0, 1);
const STEP_MS = 1_000;
const JOBS = [
  'collect-orphans',
  'expire-keys',
  'check-partitions',
  'roll-up-series',
  'move-parts',
  'migrate',
];

/**
 * One host on one storage in which time and chance follow from the step of a script and who acts in it alone. So what a
 * tenant is told in a world is, byte for byte, what it would be told in a world without the others: unless something of
 * theirs shows.
 */
export class World {
  readonly host: HttpHost;
  readonly #counting: CountingPorts;
  #entropy: Entropy = seededEntropy();
  #nowMs = START_MS;
  #sleptMs = 0;

  /** `plant` stands between the host and its storage; calls are counted below it. */
  constructor(
    private readonly ports: StoragePorts,
    plant: (ports: StoragePorts) => StoragePorts = (same) => same,
  ) {
    const clock: Clock = {
      now: () => this.#nowMs,
      monotonic: () => this.#nowMs + this.#sleptMs,
      // Only budgets see that time went by: they end, whatever a planted mistake makes somebody try again.
      sleep: (ms) => {
        this.#sleptMs += ms;
        return new Promise((resolve) => setImmediate(resolve));
      },
    };
    this.#counting = countingPorts(ports);
    this.host = httpHost(plant(this.#counting.ports), {
      clock,
      entropy: { bytes: (count) => this.#entropy.bytes(count) },
    });
  }

  async send({
    step,
    tenant,
    method,
    path,
    options,
  }: Sent): Promise<{ readonly reply: Reply; readonly seen: Seen }> {
    this.#at(step, tenant);
    this.#counting.reset();
    const reply = await this.host.request(method, path, { ...options, headers: { 'x-correlation-id': `step-${step}`, ...options.headers }, tenant }); // prettier-ignore
    const calls = this.#counting.calls.map((call) => `${call.port}.${call.method} ${String(call.args[0])}`);
    await this.#settle();
    const said = reply.code === undefined ? reply.text : reply.text.replace(reply.problem.instance, '');
    // Hashes and signatures are over what is random in events; that there are as many says the rest.
    const text = path.startsWith('/audit/log/tile/')
      ? String(said.length > 0)
      : said.replace(RANDOM, '').replace(HASHES, (hash) => `<${hash.length}>`);
    return { reply, seen: { status: reply.status, headers: reply.headers, text, calls } };
  }

  async drop({ message }: Dropped): Promise<void> {
    await this.ports.queues.send(QUEUES.inbox, JSON.stringify(message));
  }

  /** All tenants that are here, one after the other, so that none has anything of another's chance. */
  async happen(step: number, what: Happening, tenants: readonly string[]): Promise<void> {
    if (what === 'deliver') await this.#deliverAll(step, tenants);
    for (const tenant of tenants) {
      this.#at(step, tenant);
      await this.host.platform.sealer.sealTenant(tenant);
    }
    if (what !== 'jobs') return this.#settle();
    this.#at(step, 'jobs');
    for (const name of JOBS) await this.host.request('POST', `/jobs/${name}/run`);
    await this.#settle();
  }

  async #deliverAll(step: number, tenants: readonly string[]): Promise<void> {
    const messages = await takeAll(this.ports, QUEUES.inbox);
    for (const tenant of tenants) {
      const own = messages.filter(({ text }) => (JSON.parse(text) as { tenant: string }).tenant === tenant);
      for (const [n, { text }] of own.entries()) {
        this.#at(step, `${tenant} ${n}`);
        await deliver(
          this.host.platform,
          messageOf(text, { id: `${step}-${tenant}-${n}`, insertedMs: this.#nowMs }),
        );
        await this.#settle();
      }
    }
  }

  #at(step: number, who: string): void {
    this.#nowMs = START_MS + step * STEP_MS;
    this.#sleptMs = 0;
    this.#entropy = seededEntropy(`${step} ${who}`);
  }

  /** What goes on after an answer is over before the next step. */
  async #settle(): Promise<void> {
    for (let n = 0; n < 5; n += 1) await new Promise((resolve) => setImmediate(resolve));
  }
}
