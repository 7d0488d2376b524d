import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Envelope, EnvelopeHead } from '../../src/domain/envelope.js';
import { MINIMAL, vote } from '../support/decisions.js';
import { ask, askUntilAnswered, retryable, type Answered, type Ask, type Attempt } from './kill-client.js';

/** A write that a client asked for: what it should leave behind, and what it was answered. */
export interface Deed {
  readonly kind: 'create' | 'batch' | 'vote' | 'patch' | 'promise';
  /** Titles of the records it makes; each is made by nothing else. */
  readonly titles: readonly string[];
  /** For a vote or a patch: the record, and what nothing else adds to it. */
  readonly record?: string;
  readonly mark?: string;
  readonly request: Ask;
  /** Undefined until it was acknowledged, and for ever if that got lost. */
  answer?: Answered;
}

const CLIENTS = 8;
const RECENT = 12;

/** Clients that write all the time, through whatever hosts there are, and remember what they were told. */
export class Load {
  readonly deeds: Deed[] = [];
  /** Keyed requests that had no answer yet when the load ended: there is more to come of them. */
  readonly open: Deed[] = [];
  /** Answers that there should never be. */
  readonly wrong: string[] = [];
  readonly counts: Record<string, number> = {};
  readonly #records: string[] = [];
  #stopping = false;
  #running: Promise<unknown> = Promise.resolve();
  #number = 0;

  constructor(
    private readonly hosts: () => readonly string[],
    readonly tenant: string,
  ) {}

  get acknowledged(): number {
    return this.deeds.filter(({ answer }) => answer !== undefined).length;
  }

  start(): void {
    this.#running = Promise.all(Array.from({ length: CLIENTS }, () => this.#client()));
  }

  /** Ends the load; what is in flight is answered or given up. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
  }

  /** Asks once more, with the same keys, for what was left open, until all of it is answered. */
  async finish(before: (deed: Deed) => Promise<void>): Promise<void> {
    for (const deed of this.open.splice(0)) {
      await before(deed);
      this.#settle(deed, await askUntilAnswered(this.hosts, this.tenant, deed.request, () => false));
    }
  }

  async #client(): Promise<void> {
    while (!this.#stopping) {
      const deed = this.#next();
      this.deeds.push(deed);
      if (deed.kind === 'patch') await this.#patch(deed);
      else if (deed.request.key === undefined) this.#settle(deed, await this.#once(deed.request));
      else {
        const attempt = await askUntilAnswered(this.hosts, this.tenant, deed.request, () => this.#stopping);
        if (retryable(attempt) === undefined) this.#settle(deed, attempt);
        else this.open.push(deed);
      }
    }
  }

  /** Without a key nothing may be repeated: what got lost stays unknown. */
  async #once(request: Ask): Promise<Attempt> {
    const hosts = this.hosts();
    const host = hosts[Math.floor(Math.random() * hosts.length)];
    if (host !== undefined) return ask(host, this.tenant, request);
    await delay(20);
    return 'lost';
  }

  #settle(deed: Deed, attempt: Attempt): void {
    const why = retryable(attempt);
    const outcome = why ?? (attempt as Answered).status;
    this.counts[`${deed.kind}: ${outcome}`] = (this.counts[`${deed.kind}: ${outcome}`] ?? 0) + 1;
    if (attempt === 'lost') return;
    if (attempt.status === 503 && attempt.retryAfter === null) this.wrong.push('503 without Retry-After');
    if (why !== undefined) return;
    if (attempt.status >= 300) {
      this.wrong.push(`${deed.request.method} ${deed.request.path}: ${attempt.status} ${JSON.stringify(attempt.json)}`); // prettier-ignore
      return;
    }
    deed.answer = attempt;
    if (deed.kind === 'create') this.#remember((attempt.json as unknown as Envelope).id);
    if (deed.kind === 'batch')
      for (const { id } of attempt.json['items'] as EnvelopeHead[]) this.#remember(id);
  }

  #remember(id: string): void {
    if (this.#records.push(id) > RECENT) this.#records.shift();
  }

  /** `If-Match` is what makes a repeated PATCH safe: it is made again only on a revision that does not have it. */
  async #patch(deed: Deed): Promise<void> {
    while (!this.#stopping) {
      const read = await this.#once({ method: 'GET', path: deed.request.path });
      if (read === 'lost' || read.status !== 200) continue;
      const { data } = read.json as unknown as Envelope;
      if (Object.hasOwn(data['metadata'] as object, deed.mark ?? '')) return;
      const attempt = await this.#once({ ...deed.request, ifMatch: read.etag });
      if (attempt !== 'lost' && attempt.status === 412) continue;
      this.#settle(deed, attempt);
      if (deed.answer !== undefined) return;
    }
  }

  #next(): Deed {
    this.#number += 1;
    const name = `${this.#number}`;
    const keyed = Math.random() < 0.7 ? { key: randomUUID() } : {};
    const record = this.#records[Math.floor(Math.random() * this.#records.length)];
    const kind = Math.random();
    if (record === undefined || kind < 0.25) {
      const body = { ...MINIMAL, title: name };
      return {
        kind: 'create',
        titles: [name],
        request: { method: 'POST', path: '/decisions', body, ...keyed },
      };
    }
    if (kind < 0.35) {
      const titles = Array.from({ length: 1 + Math.floor(Math.random() * 20) }, (_, n) => `${name}.${n}`);
      const body = { items: titles.map((title) => ({ ...MINIMAL, title })) };
      return { kind: 'batch', titles, request: { method: 'POST', path: '/decisions/batch', body, ...keyed } };
    }
    if (kind < 0.65) {
      const path = `/decisions/${record}/votes`;
      return { kind: 'vote', titles: [], record, mark: name, request: { method: 'POST', path, body: vote(name), ...keyed } }; // prettier-ignore
    }
    if (kind < 0.8) {
      const body = { metadata: { [name]: true } };
      return { kind: 'patch', titles: [], record, mark: name, request: { method: 'PATCH', path: `/decisions/${record}`, body } }; // prettier-ignore
    }
    const body = { ...MINIMAL, title: name };
    return {
      kind: 'promise',
      titles: [name],
      request: { method: 'POST', path: '/inbox/decisions', body, ...keyed },
    };
  }
}
