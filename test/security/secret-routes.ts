import type { z } from 'zod';
import type { RecordData, RecordType } from '../../src/domain/record-type.js';
import { LIMITS } from '../../src/domain/limits.js';
import { QUEUES } from '../../src/storage/keys.js';
import type { StoragePorts } from '../../src/storage/ports.js';
import { deliver, messageOf, takeAll } from '../support/courier.js';
import { newTenant } from '../support/decisions.js';
import type { HttpHost, Reply, RequestOptions } from '../support/http-harness.js';
import { caller } from '../support/platform.js';
import { filled, planted, rounded, Secrets, sensitivePatterns, sensitiveTexts, withoutSensitive } from '../support/secret-planting.js'; // prettier-ignore
import { coreOf, type Trace } from '../support/secret-search.js';
import { add, additionsOf, bodyOf, putOf } from '../support/subjects.js';

/** Patches that a new record takes one after the other, by record type: what nothing but they can fill. */
const PATCHES: Readonly<Record<string, readonly RecordData[]>> = {
  workflow_execution: [{ status: 'running' }, { status: 'failed', error_info: { code: 'E1', message: 'text', retryable: false } }],
}; // prettier-ignore
/** Made by the platform from others: no secret stands there as it is. */
const DERIVED: readonly string[] = ['/posted_checksum'];
const READER = 'records.reader,records.auditor,records.operator';

/** Sends secrets into records of a type by every way there is, and keeps what is told to those who may not see them. */
export class SecretRoutes {
  readonly secrets: Secrets;
  readonly tenant = newTenant();
  readonly traces: Trace[] = [];
  /** What the platform shows to who may see it. */
  readonly #shown: { readonly data: RecordData; readonly patterns: readonly string[] }[] = [];
  readonly #options: RequestOptions;

  constructor(
    private readonly host: HttpHost,
    private readonly ports: StoragePorts,
    private readonly type: RecordType,
    word: string,
  ) {
    this.secrets = new Secrets(word);
    this.#options = { tenant: this.tenant, actor: this.secrets.plain(), headers: { 'x-session-id': this.secrets.plain() } }; // prettier-ignore
  }

  /** Secrets that may be nowhere in clear: all but those that are shown in places that are not sensitive. */
  hidden(): readonly string[] {
    const open = this.#shown.map(({ data, patterns }) => JSON.stringify(withoutSensitive(data, patterns)));
    return this.secrets.all.filter((secret) => !open.some((text) => text.includes(coreOf(secret))));
  }

  /** Sensitive places that no secret was ever in. */
  uncovered(): readonly string[] {
    const { shownAt = '/none' } = this.type.parts ?? {};
    const all = new Set(this.#shown.flatMap(({ patterns }) => patterns));
    // What an entry has and the record does not show of it is covered by the list of entries.
    const wanted = [...all].filter((pattern) => !DERIVED.includes(pattern) && !(pattern.startsWith(shownAt) && !Object.hasOwn(this.type.sensitive, pattern))); // prettier-ignore
    return wanted.filter((pattern) => !this.#shown.some(({ data, patterns }) => patterns.includes(pattern) && this.secrets.all.some((secret) => sensitiveTexts(data, [pattern]).includes(coreOf(secret))))); // prettier-ignore
  }

  async all(): Promise<void> {
    await this.#creates();
    await this.#messages();
    await this.#puts();
    await this.#patches();
    await this.#additions();
    await this.#refusals();
    await this.#holds();
    await this.host.platform.sealer.sealTenant(this.tenant);
    for (const path of [`/${this.type.collection}`, '/audit-events', '/jobs', '/configuration', '/holds'])
      await this.#look('GET', path, {});
  }

  /** What who may not see sensitive values is answered; whatever is refused is a trace, whoever asked. */
  async #look(method: string, path: string, sent: RequestOptions): Promise<Reply> {
    const reply = await this.host.request(method, path, { ...this.#options, roles: READER, ...sent });
    this.#keep(`answer to ${method} ${path}`, reply);
    return reply;
  }

  async #send(method: string, path: string, sent: RequestOptions): Promise<Reply> {
    const reply = await this.host.request(method, path, { ...this.#options, ...sent });
    if (reply.status >= 400) this.#keep(`refusal of ${method} ${path}`, reply);
    return reply;
  }

  #keep(where: string, { headers, text }: Reply): void {
    this.traces.push({ where, content: `${JSON.stringify(headers)} ${text}` });
  }

  get #body(): RecordData {
    return filled(this.type.createSchema, bodyOf(this.type), Object.keys(this.type.sensitive));
  }

  /** Sends a body full of secrets, with fewer of them where it is refused; the answer is one that was taken. */
  async #accepted(schema: z.ZodType, body: unknown, send: (body: unknown) => Promise<Reply>, own: readonly string[] = [], plain = body): Promise<Reply> {
    const kept = [...own];
    for (let attempt = 0; attempt < 8; attempt += 1) {
      const reply = await send(planted(schema, body, this.secrets, kept));
      if (reply.status < 400) return reply;
      if (reply.code !== 'record-invalid') break;
      kept.push(...reply.pointers.flatMap((pointer) => pointer.split('/')));
    }
    const reply = await send(plain);
    if (reply.status >= 400) throw new Error(`nothing is taken: ${reply.text}`);
    return reply;
  } // prettier-ignore

  async #creates(): Promise<void> {
    const { collection, createSchema } = this.type;
    const post = (path: string, wrap: (body: unknown) => unknown) => (body: unknown) =>
      this.#send('POST', path, { body: wrap(body), key: this.secrets.plain() });
    const made = await this.#accepted(createSchema, this.#body, post(`/${collection}`, (body) => body)); // prettier-ignore
    await this.#read(made.envelope.id);
    const batch = await this.#accepted(createSchema, this.#body, post(`/${collection}/batch`, (body) => ({ items: [body] }))); // prettier-ignore
    await this.#read(batch.heads[0]?.id ?? '');
    await this.#accepted(
      createSchema,
      this.#body,
      post(`/inbox/${collection}`, (body) => body),
    );
    for (const message of await takeAll(this.ports, QUEUES.inbox)) await deliver(this.host.platform, message);
  }

  async #messages(): Promise<void> {
    const { collection, createSchema } = this.type;
    const from = (actor: string, data: unknown) => ({ schema_version: '1.0', tenant: this.tenant, collection, idempotency_key: this.secrets.plain(), actor, data }); // prettier-ignore
    const bad = { ...planted(createSchema, this.#body, this.secrets), no_such_member: this.secrets.next() };
    const messages = [
      from(this.secrets.next(), this.#body),
      from(this.secrets.next(), bad),
      from(this.secrets.next(), `${this.secrets.next()}${'x'.repeat(40_000)}`),
      { ...from(this.secrets.next(), bad), tenant: undefined },
      `not JSON: ${this.secrets.next()}`,
    ];
    for (const message of messages) await deliver(this.host.platform, messageOf(message));
    await this.#readAll();
  }

  async #puts(): Promise<void> {
    if (this.type.named === undefined) return;
    const { path, body, said } = putOf(this.type, 'name');
    const whole = filled(this.type.createSchema, { ...bodyOf(this.type), ...body }, Object.keys(this.type.sensitive)); // prettier-ignore
    const without = (one: unknown) => Object.fromEntries(Object.entries(one as RecordData).filter(([member]) => !said.includes(member))); // prettier-ignore
    const put = (one: unknown) =>
      this.#send('PUT', `/${this.type.collection}${path}`, { body: without(one) });
    await this.#read((await this.#accepted(this.type.createSchema, whole, put, said)).envelope.id);
  }

  async #patches(): Promise<void> {
    const { collection, schema, immutable } = this.type;
    const { envelope } = await this.#send('POST', `/${collection}`, { body: this.#body });
    const path = `/${collection}/${envelope.id}`;
    for (const member of Object.keys(envelope.data).filter((one) => !immutable.includes(one))) {
      const now = await this.#send('GET', path, {});
      const next = planted(schema, now.envelope.data, this.secrets, immutable);
      await this.#send('PATCH', path, { body: { [member]: next[member] }, ifMatch: now.etag });
      await this.#send('PATCH', path, { body: { [member]: this.secrets.next() }, ifMatch: '"stale"' });
    }
    for (const patch of PATCHES[this.type.recordType] ?? []) {
      const now = await this.#send('GET', path, {});
      const next = planted(schema, { ...now.envelope.data, ...patch }, this.secrets, immutable);
      const body = Object.fromEntries(Object.keys(patch).map((member) => [member, next[member]]));
      const reply = await this.#send('PATCH', path, { body, ifMatch: now.etag });
      if (reply.status >= 400) throw new Error(`not taken: ${reply.text}`);
    }
    await this.#read(envelope.id);
  }

  async #additions(): Promise<void> {
    const call = caller({ tenant: this.tenant, actor: this.#options.actor ?? '' });
    const { platform } = this.host;
    for (const way of additionsOf(this.type)) {
      const { id } = (await this.#send('POST', `/${this.type.collection}`, { body: this.#body })).envelope;
      for (const before of way.after) await add(platform.manager, this.type, id, before, call);
      const path = `/${this.type.collection}/${id}/${way.path}`;
      const name = this.type.parts?.nameMember;
      const example = rounded(way.input, way.example);
      await this.#accepted(way.input, example, (body) => this.#send('POST', path, { body, key: this.secrets.plain() }), name === undefined ? [] : [name], way.example); // prettier-ignore
      await this.#read(id);
      await platform.manager.digestParts(this.type, this.tenant, id);
      await this.#read(id);
    }
  }

  /** Bodies that are refused, each with a secret in it. */
  async #refusals(): Promise<void> {
    const { collection } = this.type;
    const body = this.#body;
    const wrong = Object.keys(body).map((member) => ({ ...body, [member]: [[{ text: this.secrets.next() }]] })); // prettier-ignore
    const bodies = [...wrong, { ...body, no_such_member: this.secrets.next() }, { ...body, metadata: { $commitment: this.secrets.next() } }, [this.secrets.next()], this.secrets.next(), { items: Array(101).fill({ ...body, note: this.secrets.next() }) }]; // prettier-ignore
    for (const path of [`/${collection}`, `/${collection}/batch`, `/inbox/${collection}`])
      for (const one of bodies) await this.#refused('POST', path, { body: one, key: this.secrets.plain() });
    const raw = [`{"title": "${this.secrets.plain()}`, `{"a": "${this.secrets.plain()}", "a": 1}`, `${JSON.stringify({ text: this.secrets.next() })}${' '.repeat(LIMITS.bodyBytes)}`]; // prettier-ignore
    for (const text of raw) await this.#refused('POST', `/${collection}`, { raw: text });
    await this.#refused('POST', `/${collection}`, { body: { text: this.secrets.next() }, headers: { 'content-type': 'text/plain' } }); // prettier-ignore
    for (const path of [
      `/${collection}/${this.secrets.plain()}`,
      `/${collection}?cursor=${this.secrets.plain()}`,
    ])
      await this.#look('GET', path, {});
    const key = this.secrets.plain();
    await this.#send('POST', `/${collection}`, { body, key });
    await this.#refused('POST', `/${collection}`, { body: { ...body, no_such_member: this.secrets.next() }, key }); // prettier-ignore
  }

  /** Holds that name people: whom they are on, why, and what a field of records is to be. */
  async #holds(): Promise<void> {
    const { collection, blindMembers } = this.type;
    const fields = blindMembers.map((member) => ({ query: { collection, field: { [member]: this.secrets.next() } } })); // prettier-ignore
    for (const scope of [{ subject: this.secrets.next() }, ...fields]) {
      const body = { scope, reason: this.secrets.next(), reference: this.secrets.next() };
      const { status, json } = await this.#send('POST', '/holds', { body, key: this.secrets.plain() });
      if (status !== 201) throw new Error('no hold is placed');
      const path = `/holds/${String(json['hold_id'])}`;
      await this.#look('GET', path, {});
      await this.#refused('POST', `${path}/release`, { body: { reason: [this.secrets.next()] } });
      await this.#send('POST', `${path}/release`, { body: { reason: this.secrets.next() }, key: this.secrets.plain() }); // prettier-ignore
      await this.#refused('POST', `${path}/release`, { body: { reason: this.secrets.next() } });
      await this.#refused('POST', '/holds', { body: { ...body, note: this.secrets.next() } });
      await this.#refused('POST', '/holds', { body: { ...body, scope: { record: { collection, id: this.secrets.plain() } } } }); // prettier-ignore
      await this.#refused('POST', '/holds', { body: { ...body, scope: { query: { collection: this.secrets.plain(), all: true } } } }); // prettier-ignore
    }
    for (const query of ['state', 'cursor']) await this.#look('GET', `/holds?${query}=${this.secrets.plain()}`, {}); // prettier-ignore
  }

  async #refused(method: string, path: string, sent: RequestOptions): Promise<void> {
    const { status, text } = await this.#send(method, path, sent);
    if (status < 400) throw new Error(`${method} ${path} takes what it should not: ${text.slice(0, 300)}`);
  }

  async #readAll(): Promise<void> {
    const { items } = (await this.#send('GET', `/${this.type.collection}`, {})).page;
    for (const { id } of items) await this.#read(String(id));
  }

  /** A record as who may see it sees it, and all of it as anybody else does. */
  async #read(id: string): Promise<void> {
    const path = `/${this.type.collection}/${id}`;
    const { envelope } = await this.#send('GET', path, {});
    this.#shown.push({ data: envelope.data, patterns: sensitivePatterns(this.type) });
    await this.#look('GET', path, {});
    await this.#look('GET', `${path}/revisions`, {});
    const { parts } = this.type;
    if (parts === undefined || parts.series !== undefined) return;
    const listed = (await this.#send('GET', `${path}/${parts.path}`, {})).json['items'] as readonly RecordData[]; // prettier-ignore
    for (const data of listed) this.#shown.push({ data, patterns: Object.keys(parts.sensitive ?? {}) });
    await this.#look('GET', `${path}/${parts.path}`, {});
  }
}
