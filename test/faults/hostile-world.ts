import type { Clock } from '../../src/domain/clock.js';
import { isAppError } from '../../src/domain/errors.js';
import type { RecordData, RecordType } from '../../src/domain/record-type.js';
import { PROBLEMS, problemType } from '../../src/http/problem.js';
import { DISPOSITIONS } from '../../src/queue/disposition.js';
import { RECORD_TYPES } from '../../src/records/registry.js';
import { QUEUES } from '../../src/storage/keys.js';
import { isFault } from '../../src/storage/ports.js';
import { deliver, messageOf, takeAll } from '../support/courier.js';
import { httpHost, type HttpHost, type Reply } from '../support/http-harness.js';
import { additionsOf } from '../support/subjects.js';
import { hostileMessage, hostileRequest, TENANTS, type HostileRequest, type Known } from './hostile.js';
import { dumpOf, HostileStorage } from './hostile-storage.js';
import { Random } from './simulation-random.js';

/** What a request may be answered with (http-api.md, Errors): neither 429, 410 nor 5xx can come of hostile input. */
const ALLOWED = new Set([200, 201, 202, 304, 400, 401, 403, 404, 405, 409, 412, 413, 415, 422, 428]);
/** A request of at most 1 MiB takes milliseconds; this is what a stalled machine may make of it. */
const SLOW_MS = 5_000;
const DUMP_EVERY = 50;
const TENANT_KEYS = /^keys (_system:tenants \S+|\S+:keys (t:1|s:_|k:\S+))$/;

/** A clock that a seed moves: nobody waits, and a run is the same whenever it is made. */
class SeededClock implements Clock {
  #ms = 0;
  now = (): number => Date.UTC(2026, 5, 1) + this.#ms;
  monotonic = (): number => this.#ms;
  sleep = async (ms: number): Promise<void> => void (this.#ms += ms);
}

/** One host under hostile input; everything it does follows from the seed. */
export class HostileWorld {
  readonly clock = new SeededClock();
  readonly storage = new HostileStorage(this.clock);
  readonly host: HttpHost;
  /** How often each status was answered and each way a message ended. */
  readonly counts: Record<string, number> = {};
  #known: Known = { records: [], operations: [], cursors: [], events: [] };

  constructor(
    private readonly seed: number,
    readonly types: readonly RecordType[] = RECORD_TYPES,
  ) {
    this.host = httpHost(this.storage.ports, { clock: this.clock, seed: `hostile ${seed}`, types });
  }

  /** Sends the request of a number. Resolves to what is wrong with the answer. */
  async request(number: number): Promise<readonly string[]> {
    const random = new Random(this.seed, number * 2);
    await this.clock.sleep(random.below(3_000));
    const request = hostileRequest(random, this.#known, this.types, number);
    if (!isAddress(request.path)) return [];
    this.storage.forget();
    // Looking at everything takes longer than the request: now and then, to be sure that nothing goes unnoticed.
    const before = number % DUMP_EVERY === 0 ? dumpOf(this.storage.contents) : undefined;
    const began = performance.now();
    const reply = await this.#send(request);
    const took = performance.now() - began;
    this.#count(String(reply.status));
    const wrong = [...faultsOf(request, reply), ...(took > SLOW_MS ? [`took ${Math.round(took)} ms`] : [])];
    // A tenant's own keys are made when it is first seen, whatever becomes of the request; they tell nothing of it.
    const changes = (await this.storage.changes()).filter((what) => !TENANT_KEYS.test(what));
    if (reply.status >= 400 && changes.length > 0) wrong.push(`${reply.status} stored ${changes.join(', ')}`);
    if (reply.status >= 400 && before !== undefined && dumpOf(this.storage.contents) !== before) wrong.push('changed the storage'); // prettier-ignore
    if (reply.status === 201 && reply.headers['idempotency-replayed'] === undefined && changes.length < leastOf(reply)) wrong.push(`stored only ${changes.join(', ')}`); // prettier-ignore
    this.#achieved(request, reply);
    this.#learn(request, reply);
    return wrong.map((what) => `${what}: ${describe(request, reply)}`);
  }

  /** Delivers the message of a number, as the host does: until it is done with. */
  async message(number: number): Promise<readonly string[]> {
    const random = new Random(this.seed, number * 2 + 1);
    await this.clock.sleep(random.below(3_000));
    const content = hostileMessage(random, this.#known, this.types);
    const text = typeof content === 'string' ? content : Buffer.from(content).toString('latin1');
    const message = messageOf(text, { id: `message-${number}`, insertedMs: this.clock.now() });
    this.storage.forget();
    const wrong: string[] = [];
    try {
      await deliver(this.host.platform, message);
    } catch (error) {
      const transient = isAppError(error)
        ? DISPOSITIONS[error.code] === 'retry'
        : isFault(error, 'unavailable');
      const reason = isAppError(error) ? (error.cause ?? error) : error;
      if (!transient || !isAppError(error, 'idempotency-in-progress')) wrong.push(`threw ${String(reason)}`);
    }
    wrong.push(...(await this.#endOf(message.id, text.includes('"audit-events"') ? 1 : 0)));
    return wrong.map((what) => `${what}: message ${JSON.stringify(text.slice(0, 600))}`);
  }

  /** Whether what the sealer was given can be sealed; then everything is forgotten but what the process remembers. */
  async rest(): Promise<readonly string[]> {
    const { failures } = await this.host.platform.sweeper.sweep();
    const pending = this.storage.contents.rows.filter(({ row }) => row.rowKey.startsWith('o:'));
    await this.storage.empty();
    this.#known = { records: [], operations: [], cursors: [], events: [] };
    return [
      ...failures.map(({ tenant, error }) => `sealing ${tenant} failed: ${String(error)}`),
      ...(pending.length > 0 ? [`${pending.length} events cannot be sealed`] : []),
    ];
  }

  /** Set aside once and with one event, or done with and neither, but for an event that it may have brought itself. */
  async #endOf(id: string, brought: 0 | 1): Promise<readonly string[]> {
    const changes = await this.storage.changes();
    const events = changes.filter((what) => what.startsWith('auditevents ') && what.includes(' o:'));
    const poisoned = await takeAll(this.storage.ports, QUEUES.inboxPoison);
    this.#count(poisoned.length === 0 ? 'message done' : 'message set aside');
    const others = events.length - poisoned.length;
    if (others < 0 || others > (poisoned.length === 0 ? brought : 0) || poisoned.length > 1)
      return [`set aside ${poisoned.length} times with ${events.length} events`];
    return poisoned.every(({ text }) => (JSON.parse(text) as { message_id: string }).message_id === id)
      ? []
      : ['another message was set aside'];
  }

  #send({ method, path, headers, raw }: HostileRequest): Promise<Reply> {
    // The host hands on no body of these.
    const body = raw === undefined || ['GET', 'HEAD'].includes(method) ? {} : { raw };
    return this.host.request(method, path, { headers, ...body });
  }

  #learn({ headers }: HostileRequest, reply: Reply): void {
    if (reply.status >= 400 || reply.text === '') return;
    const keep = <T>(list: T[], item: T): void => {
      if (list.push(item) > 30) list.shift();
    };
    const { json } = reply;
    const tenant = headers['x-dev-tenant'] ?? TENANTS[0];
    const { id, record_type: recordType, data } = json;
    if (typeof id === 'string' && typeof recordType === 'string' && data !== undefined) {
      // What a record was before is known no more.
      const before = this.#known.records.findIndex((known) => known.id === id);
      if (before >= 0) this.#known.records.splice(before, 1);
      keep(this.#known.records, { tenant, recordType, id, etag: reply.etag, data: data as RecordData });
    }
    if (typeof json['operation_id'] === 'string') keep(this.#known.operations, json['operation_id']);
    if (typeof json['next_cursor'] === 'string') keep(this.#known.cursors, json['next_cursor']);
    const [item] = Array.isArray(json['items']) ? (json['items'] as Record<string, unknown>[]) : [];
    if (typeof item?.['event_id'] === 'string') keep(this.#known.events, item['event_id']);
  }

  /** Counts what got as far as a type's own rules: a run in which something never does has not tried it. */
  #achieved({ method, path }: HostileRequest, { status }: Reply): void {
    const [collection = '', second, third] = path.split(/[/?]/).slice(1);
    const type = this.types.find((one) => one.collection === collection);
    if (type === undefined || (status >= 300 && !OF_RULES.has(status))) return;
    const way = additionsOf(type).some((one) => one.path === third) ? third : undefined;
    const what =
      second === undefined || second === '' ? 'create' : second === 'batch' ? second : (way ?? 'one');
    this.#count(`${method} ${collection} ${what}`);
  }

  #count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }
}

/** Answers that a type's schema or the state of its record gives, after everything that is asked of any request. */
const OF_RULES = new Set([409, 412, 422, 428]);

/** Rows and blobs of what was made: an event has two; a record its row, its revision, its detail, a list row, its event. */
function leastOf({ json }: Reply): number {
  return json['event_id'] === undefined ? 5 : 2;
}

/** Whether the host would find a function for the path at all; what it says otherwise is tested on sockets. */
function isAddress(path: string): boolean {
  const { pathname } = new URL(`http://127.0.0.1/api${path}`);
  if (!pathname.startsWith('/api/')) return false;
  try {
    return !decodeURIComponent(pathname).includes('\0');
  } catch {
    return false;
  }
}

/** What is wrong with an answer, whatever was asked. */
export function faultsOf({ marker }: Pick<HostileRequest, 'marker'>, reply: Reply): readonly string[] {
  if (!ALLOWED.has(reply.status)) return [`answered ${reply.status}`];
  const type = reply.headers['content-type'] ?? '';
  if (reply.status === 304) return reply.text === '' ? [] : ['304 has a body'];
  if (reply.status < 400)
    return type.startsWith('application/json') && isJson(reply.text) ? [] : ['is not JSON'];
  if (!type.startsWith('application/problem+json') || !isJson(reply.text)) return ['is no problem document'];
  const { problem, code } = reply;
  const wrong: string[] = [];
  if (code === undefined || PROBLEMS[code].status !== reply.status || problem.status !== reply.status || problem.type !== problemType(code)) wrong.push(`says ${problem.type}`); // prettier-ignore
  if (reply.text.toLowerCase().includes(marker)) wrong.push('repeats what was submitted');
  const members = Object.keys(problem).filter((name) => name !== 'errors').sort(); // prettier-ignore
  if (members.join() !== 'detail,instance,status,title,type') wrong.push(`has the members ${members.join()}`);
  return wrong;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function describe({ method, path, headers, raw }: HostileRequest, reply: Reply): string {
  const body = raw === undefined ? '' : typeof raw === 'string' ? raw : Buffer.from(raw).toString('latin1');
  const shown = `${method} ${path.slice(0, 300)} ${JSON.stringify(headers)} ${JSON.stringify(body.slice(0, 400))}`;
  return `${shown} -> ${reply.status} ${reply.text.slice(0, 300)}`;
}
