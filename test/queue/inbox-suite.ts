import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RecordType } from '../../src/domain/record-type.js';
import { QUEUES } from '../../src/storage/keys.js';
import { deliver, messageOf, takeAll, takePoison } from '../support/courier.js';
import { newTenant } from '../support/decisions.js';
import { httpHost, type HttpHost, type Reply } from '../support/http-harness.js';
import { openStorage, STORAGES } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';
import { bodyOf } from '../support/subjects.js';

/** A collection as somebody who posts to it sees it. */
export interface PostedCollection {
  readonly collection: string;
  /** A body that may be stored, with whatever has to be its own. */
  readonly body: () => Readonly<Record<string, unknown>>;
  /** Members that make a body too large for a message; undefined where no body can be. */
  readonly large: Readonly<Record<string, unknown>> | undefined;
  /** Of what is stored, what follows from the body and not from when and where it was stored. */
  readonly content: (stored: Readonly<Record<string, unknown>>) => unknown;
}

/** Free content, lists and texts of more than 48 KiB, which is what a message carries. */
const LARGE: readonly unknown[] = [
  { texts: Array<string>(20).fill('☃'.repeat(1200)) },
  '☃'.repeat(20_000),
  ['☃'.repeat(20_000)],
];

/** Copies of a value in each of which one text is long. */
function longer(value: unknown): readonly unknown[] {
  if (typeof value === 'string') return [LARGE[1]];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(
    ([name, member]) =>
    longer(member).map((more): unknown => Array.isArray(value) ? value.map((item: unknown, at) => (String(at) === name ? more : item)) : { ...value, [name]: more }), // prettier-ignore
  );
}

/** Records of a type. */
export function postedRecords(type: RecordType): PostedCollection {
  const members = Object.keys((type.createSchema as unknown as { shape: object }).shape);
  const bodies = [
    ...members.flatMap((member) => LARGE.map((value) => ({ [member]: value }))),
    ...Object.entries(type.example as object).flatMap(([member, value]) => longer(value).map((more) => ({ [member]: more }))), // prettier-ignore
  ];
  const large = bodies.find((more) => type.createSchema.safeParse({ ...bodyOf(type), ...more }).success);
  if (large === undefined) throw new Error(`no member of a ${type.recordType} takes much`);
  return {
    collection: type.collection,
    body: () => bodyOf(type),
    large,
    content: (stored) => {
      const { record_type, tenant, revision, schema_version, data } = stored;
      const { [type.idField ?? '']: _, ...members } = data as Record<string, unknown>;
      const named = type.named === undefined ? members : { ...members, [type.named.member]: 'any' };
      return { record_type, tenant, revision, schema_version, data: timeless(named) };
    },
  };
}

/** Times that default to now differ between one that was posted and one that was promised. */
function timeless(value: unknown): unknown {
  if (typeof value === 'string' && Date.parse(value) > Date.now() - 600_000) return 'now';
  if (Array.isArray(value)) return value.map(timeless);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, timeless(member)]));
}

/** The inbox of every collection: what it stores, how often, and what it says of it. */
export function describeInbox(collections: readonly PostedCollection[], types?: readonly RecordType[]): void {
  describe.each(STORAGES)('the inbox $name', (kind) => {
    let storage: StorageUnderTest;
    let host: HttpHost;
    let other: HttpHost;
    let tenant: string;
    beforeAll(async () => {
      storage = await openStorage(kind, types);
      const options = types === undefined ? {} : { types };
      [host, other] = [httpHost(storage.ports, options), httpHost(storage.ports, options)];
    });
    beforeEach(async () => {
      tenant = newTenant();
      await takeAll(storage.ports, QUEUES.inbox);
    });
    afterAll(() => storage.close());

    describe.each(collections.map((posted) => [posted.collection, posted] as const))('of %s', (_, posted) => {
      const { collection, body, content } = posted;
      const promise = (sent: unknown, more: object = {}): Promise<Reply> =>
        host.post(`/inbox/${collection}`, sent, { tenant, ...more });
      const operation = async (reply: Reply): Promise<Record<string, unknown>> =>
        (await other.get(String(reply.headers['location']).slice('/api'.length), { tenant })).json;
      const read = async (id: unknown): Promise<Record<string, unknown>> => {
        const reply = await other.get(`/${collection}/${String(id)}`, { tenant });
        expect(reply.status, reply.text).toBe(200);
        return reply.json;
      };
      const sealed = async (): Promise<number> => (await host.platform.sealer.sealTenant(tenant)).sealed;

      it('stores what a POST stores, once, however often it is delivered, and with one event', async () => {
        const sent = body();
        const reply = await promise(sent);
        expect([reply.status, reply.json['status'], reply.json['record_id']], reply.text).toEqual([202, 'pending', null]); // prettier-ignore
        expect(await operation(reply)).toEqual(reply.json);
        const messages = await takeAll(storage.ports, QUEUES.inbox);
        expect(messages.map(({ text }) => JSON.parse(text) as unknown)).toMatchObject([{ tenant, collection, sealed: expect.any(String) as unknown }]); // prettier-ignore
        for (const message of messages)
          await Promise.all([host, other, host].map(({ platform }) => deliver(platform, message)));
        const done = await operation(reply);
        expect(done).toMatchObject({ status: 'succeeded', problem: null });
        expect(await sealed()).toBe(1);
        const stored = await read(done['record_id']);
        for (const message of messages) await deliver(other.platform, message);
        expect(await sealed()).toBe(0);
        const made = await host.post(`/${collection}`, body(), { tenant });
        expect(made.status, made.text).toBe(201);
        expect(await sealed()).toBe(1);
        const location = String(made.headers['location']);
        const beside = await read(location.slice(location.lastIndexOf('/') + 1));
        expect(content(stored)).toEqual(content(beside));
        expect(await takePoison(storage.ports)).toEqual([]);
      });

      it('carries what is too large for a message by data_ref', async () => {
        const { large } = posted;
        if (large === undefined) return;
        const reply = await promise({ ...body(), ...large });
        expect(reply.status, reply.text).toBe(202);
        const [message] = await takeAll(storage.ports, QUEUES.inbox);
        const sent = JSON.parse(message?.text ?? '') as Record<string, unknown>;
        expect(sent).not.toHaveProperty('data');
        expect(String(sent['data_ref'])).toContain(`${tenant}/_inbox/`);
        for (const { platform } of [host, other]) await deliver(platform, messageOf(sent));
        const done = await operation(reply);
        expect(done['status']).toBe('succeeded');
        expect(JSON.stringify(await read(done['record_id']))).toContain('☃'.repeat(1200));
        expect(await sealed()).toBe(1);
      });

      it('repeated with its key is the same operation, and another body under it is refused', async () => {
        const sent = body();
        const first = await promise(sent, { key: 'k' });
        const second = await promise(sent, { key: 'k' });
        expect([second.status, second.json, second.headers['idempotency-replayed']]).toEqual([202, first.json, 'true']); // prettier-ignore
        const messages = await takeAll(storage.ports, QUEUES.inbox);
        for (const message of messages) await deliver(other.platform, message);
        expect(await sealed()).toBe(1);
        const third = await promise(sent, { key: 'k' });
        expect([third.status, third.json['status']]).toEqual([202, 'succeeded']);
        const changed = await promise({ ...sent, no_such_member: 1 }, { key: 'k' });
        expect(changed.status).toBe(422);
        expect(await takeAll(storage.ports, QUEUES.inbox)).toEqual([]);
      });

      it('validates before it promises', async () => {
        const reply = await promise({ ...body(), no_such_member: 1 });
        expect([reply.status, reply.pointers]).toEqual([422, ['/no_such_member']]);
        expect(await takeAll(storage.ports, QUEUES.inbox)).toEqual([]);
      });

      it('takes messages of other systems, once for their key, and sets bad ones aside', async () => {
        const message = { schema_version: '1.0', tenant, collection, idempotency_key: 'crm-1', actor: 'crm', data: body() }; // prettier-ignore
        for (const { platform } of [host, other, host]) await deliver(platform, messageOf(message));
        expect(await sealed()).toBe(1);
        const bad = { ...message, idempotency_key: 'crm-2', data: { ...body(), no_such_member: 1 } };
        await deliver(host.platform, messageOf(bad));
        expect(await takePoison(storage.ports)).toMatchObject([
          { reason: { code: 'record-invalid', errors: [{ pointer: '/no_such_member' }] } },
        ]);
      });
    });
  });
}
