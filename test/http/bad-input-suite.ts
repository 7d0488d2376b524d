import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { LIMITS } from '../../src/domain/limits.js';
import type { RecordType } from '../../src/domain/record-type.js';
import { newTenant } from '../support/decisions.js';
import { httpHost, type HttpHost } from '../support/http-harness.js';
import { inputFaults, membersOf, textOf, type InputFault } from '../support/input-faults.js';
import { openStorage, STORAGES } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';
import { watched } from '../support/watched-ports.js';
import { additionsOf, bodyOf, putOf } from '../support/subjects.js';

/** One way to submit something to a type, and everything that may be wrong with it. */
interface Submission {
  readonly name: string;
  readonly method: 'POST' | 'PUT';
  readonly path: string;
  readonly faults: readonly InputFault[];
}

function submissionsOf(type: RecordType, id: string): readonly Submission[] {
  const { collection } = type;
  const creates = [...inputFaults(type.createSchema, type.example), ...faultsOfCreates(type)];
  return [
    { name: 'create', method: 'POST', path: `/${collection}`, faults: creates },
    { name: 'inbox', method: 'POST', path: `/inbox/${collection}`, faults: creates },
    { name: 'batch', method: 'POST', path: `/${collection}/batch`, faults: batched(type, creates) },
    ...(type.named === undefined ? [] : [putting(type, creates)]),
    ...additionsOf(type).map(({ path, input, example }): Submission => ({
      name: path,
      method: 'POST',
      path: `/${collection}/${id}/${path}`,
      faults: inputFaults(input, example),
    })),
  ];
}

/** What no schema says: members that are not the caller's to set, and a time that is still to come. */
function faultsOfCreates(type: RecordType): readonly InputFault[] {
  const body = bodyOf(type);
  const shape = (schema: z.ZodType): readonly string[] =>
    Object.keys((schema as unknown as { shape: object }).shape);
  const taken = shape(type.createSchema);
  const set = shape(type.schema).filter((member) => !taken.includes(member));
  const wrong = (what: string, member: string, value: unknown): InputFault => ({ what, pointer: `/${member}`, body: { ...body, [member]: value } }); // prettier-ignore
  const ahead = new Date(Date.now() + LIMITS.createdAtAheadMs + 60_000).toISOString();
  const { orderedBy, partition } = type;
  return [
    ...set.map((member) => wrong('set by the platform', member, 'x')),
    ...(orderedBy !== undefined && taken.includes(orderedBy) ? [wrong('ahead', orderedBy, ahead)] : []),
    ...(partition.kind === 'member'
      ? [wrong('too long for a key', partition.member, '\u00fc'.repeat(60))]
      : []),
  ];
}

/** The second of two items is wrong: neither is stored. */
function batched(type: RecordType, faults: readonly InputFault[]): readonly InputFault[] {
  const good = bodyOf(type);
  const many = Array.from({ length: LIMITS.batchItems + 1 }, () => bodyOf(type));
  return [
    ...faults.map(({ what, pointer, body }) => ({ what, pointer: `/items/1${pointer}`, body: { items: [good, body] } })), // prettier-ignore
    ...(type.named === undefined ? [] : [{ what: 'a name twice', pointer: `/items/1/${type.named.member}`, body: { items: [good, good] } }]), // prettier-ignore
    { what: 'too few items', pointer: '/items', body: { items: [] } },
    { what: 'too many items', pointer: '/items', body: { items: many } },
    { what: 'an unknown member', pointer: '/no_such_member', body: { no_such_member: 1, items: [good] } },
    { what: 'of another type', pointer: '/items', body: { items: good } },
  ];
}

/** A PUT takes what a create takes but for what its address says. */
function putting(type: RecordType, creates: readonly InputFault[]): Submission {
  const { path, said } = putOf(type, 'bad');
  const faults = creates.flatMap(({ what, pointer, body }) => {
    if (said.some((member) => pointer === `/${member}`) || typeof body !== 'object' || body === null)
      return [];
    const members = Object.entries(body).filter(([member]) => !said.includes(member));
    return [{ what, pointer, body: Array.isArray(body) ? body : Object.fromEntries(members) }];
  });
  const repeated = said.map((member) => ({ what: 'said by the address', pointer: `/${member}`, body: { [member]: 'x' } })); // prettier-ignore
  return { name: 'put', method: 'PUT', path: `/${type.collection}${path}`, faults: [...faults, ...repeated] };
}

/**
 * What every type answers to bad input, found by walking what it takes: 422, a pointer at exactly what is wrong, and
 * nothing stored. In memory every fault of every member; elsewhere one of each kind.
 */
export function describeBadInput(types: readonly RecordType[]): void {
  describe.each(STORAGES)('bad input to every record type $name', (kind) => {
    let storage: StorageUnderTest;
    let host: HttpHost;
    const changes: string[] = [];
    beforeAll(async () => {
      storage = await openStorage(kind, types);
      host = httpHost(watched(storage.ports, changes), { types });
    });
    afterAll(() => storage.close());

    it.each(types.map((type) => [type.collection, type] as const))(
      '%s refuse it, say where, and store nothing',
      async (_, type) => {
        const tenant = newTenant();
        const made = await host.post(`/${type.collection}`, bodyOf(type), { tenant });
        expect(made.status, made.text).toBe(201);
        const wrong: unknown[] = [];
        for (const { name, method, path, faults } of submissionsOf(type, made.envelope.id)) {
          expect(faults.length, name).toBeGreaterThan(3);
          for (const { what, pointer, body } of kind.realTime ? oneOfEach(faults) : faults) {
            changes.length = 0;
            const text = textOf(body);
            const reply = await host.request(method, path, { raw: text, tenant });
            const answer = { status: reply.status, pointers: reply.status === 422 ? [...new Set(reply.pointers)] : [], stored: [...changes] }; // prettier-ignore
            const right = { status: 422, pointers: [pointer], stored: [] };
            if (JSON.stringify(answer) !== JSON.stringify(right)) wrong.push({ name, what, pointer, text: text.slice(0, 300), ...answer }); // prettier-ignore
          }
        }
        expect(wrong).toEqual([]);
        const { items } = (await host.get(`/${type.collection}`, { tenant })).page;
        expect(items.map((item) => item['id'])).toEqual([made.envelope.id]);
      },
      60_000,
    );

    it.each(types.filter((type) => type.named !== undefined).map((type) => [type.collection, type] as const))(
      '%s refuse a name that is taken, and store nothing',
      async (_, type) => {
        const tenant = newTenant();
        const body = bodyOf(type);
        const made = await host.post(`/${type.collection}`, body, { tenant });
        // The second host has not seen the name.
        const other = httpHost(watched(storage.ports, changes), { types });
        const taken = (to: HttpHost, path: string, sent: unknown) => to.post(path, sent, { tenant });
        for (const to of [host, other]) {
          changes.length = 0;
          const replies = [
            await taken(to, `/${type.collection}`, body),
            await taken(to, `/${type.collection}/batch`, { items: [bodyOf(type), body] }),
          ];
          expect(replies.map(({ status, code }) => [status, code])).toEqual(Array(2).fill([409, 'record-exists'])); // prettier-ignore
          expect(changes).toEqual([]);
          // A key is open again at once: the same request is refused for what it asks.
          for (let time = 0; time < 2; time += 1) {
            const keyed = await to.post(`/${type.collection}`, body, { tenant, key: 'k' });
            expect([keyed.status, keyed.code]).toEqual([409, 'record-exists']);
          }
        }
        const { items } = (await host.get(`/${type.collection}`, { tenant })).page;
        expect(items.map((item) => item['id'])).toEqual([made.envelope.id]);
      },
    );

    it.each(types.map((type) => [type.collection, type] as const))(
      '%s have something wrong tried at every member they take',
      (_, type) => {
        for (const { input, example } of [
          { input: type.createSchema, example: type.example },
          ...additionsOf(type),
        ]) {
          // prettier-ignore
          const tried = inputFaults(input, example).map(({ pointer }) => pointer.replaceAll(/\/\d+(?=\/|$)/g, '/*'));
          expect(membersOf(input).filter((member) => !tried.includes(member))).toEqual([]);
        }
      },
    );

    it.each(types.map((type) => [type.collection, type] as const))(
      '%s refuse what is no JSON as malformed',
      async (_, { collection, example }) => {
        const json = JSON.stringify(example);
        for (const raw of [
          '',
          '{',
          `${json}${json}`,
          json.replace(/:"[^"]*"/, ':NaN'),
          json.replace(/:"[^"]*"/, ':Infinity'),
        ]) {
          // prettier-ignore
          changes.length = 0;
          const reply = await host.request('POST', `/${collection}`, { raw });
          expect([reply.status, reply.code, changes], raw.slice(0, 100)).toEqual([400, 'request-malformed', []]); // prettier-ignore
        }
      },
    );
  });
}

function oneOfEach(faults: readonly InputFault[]): readonly InputFault[] {
  return faults.filter(({ what }, at) => faults.findIndex((other) => other.what === what) === at);
}
