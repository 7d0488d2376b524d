import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checksumOf, type Json } from '../../src/domain/canonical-json.js';
import { parseId } from '../../src/domain/ids.js';
import type { RecordData, RecordType } from '../../src/domain/record-type.js';
import type { Platform } from '../../src/platform.js';
import { partitionKey, recordKey, revisionKey } from '../../src/storage/keys.js';
import type { CallContext } from '../../src/storage/manager-types.js';
import type { Row } from '../../src/storage/ports.js';
import { committedOf } from '../support/committed.js';
import { newTenant } from '../support/decisions.js';
import { caller, openStorage, STORAGES, testPlatform } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';
import { add, additionsOf, bodyOf, patchOf } from '../support/subjects.js';

/** What holds for every record type, told from its declaration alone, on every storage. */
export function describeTypes(types: readonly RecordType[]): void {
  describe.each(STORAGES)('every record type $name', (kind) => {
    let storage: StorageUnderTest;
    let platform: Platform;
    const call = caller();
    /** Nothing of a test is looked for among what other tests stored. */
    const alone = (): CallContext => caller({ tenant: newTenant() });

    beforeAll(async () => {
      storage = await openStorage(kind, types);
      platform = testPlatform(storage.ports, { types });
    });
    afterAll(() => {
      storage.close();
    });

    /** A row of a type's table, and the partition it was found in, whatever the type's rule of partitions. */
    async function rowOf(
      type: RecordType,
      tenant: string,
      rowKey: string,
    ): Promise<{ key: string; row: Row }> {
      for (const partition of await platform.directory.partitions(tenant, type.table)) {
        const key = partitionKey(tenant, partition);
        const row = await storage.ports.tables.find(type.table, key, rowKey);
        if (row !== undefined) return { key, row };
      }
      throw new Error(`no partition of ${tenant} has ${rowKey}`);
    }

    async function storedBlob(type: RecordType, tenant: string, id: string): Promise<RecordData> {
      const { row } = await rowOf(type, tenant, revisionKey(id, 1));
      const blob = await storage.ports.blobs.find('records', String(row.properties['blob']));
      return JSON.parse(Buffer.from(blob?.bytes ?? []).toString('utf8')) as RecordData;
    }

    describe.each(types.map((type) => [type.recordType, type] as const))('%s', (_, type) => {
      it('stores its example and gives it back, on this host and on another', async () => {
        const { manager } = platform;
        const created = await manager.create(type, bodyOf(type), call);
        const read = await manager.get(type, created.envelope.id, call);
        expect(read.envelope).toEqual(created.envelope);
        expect(read.etag).toBe(created.etag);
        const other = testPlatform(storage.ports, { types });
        expect(await other.manager.get(type, created.envelope.id, call)).toEqual(read);
      });

      it('has the id of its time and prefix, and an envelope of exactly the contract’s members', async () => {
        const { envelope } = await platform.manager.create(type, bodyOf(type), call);
        const members = ['record_type', 'id', 'tenant', 'revision', 'schema_version', 'stored_at', 'tier', 'checksum_algorithm', 'checksum', 'data']; // prettier-ignore
        const salted = secretsIn(type, envelope.data).length > 0 ? ['salts'] : [];
        expect(Object.keys(envelope).sort()).toEqual([...members, ...salted].sort());
        const { prefix, ms } = parseId(envelope.id) ?? {};
        expect(prefix).toBe(type.idPrefix);
        if (type.orderedBy !== undefined) expect(ms).toBe(Date.parse(String(envelope.data[type.orderedBy])));
        if (type.idField !== undefined) expect(envelope.data[type.idField]).toBe(envelope.id);
      });

      it('keeps a committed form whose checksum is that of the envelope, and no sensitive value', async () => {
        const mine = alone();
        const { envelope } = await platform.manager.create(type, bodyOf(type), mine);
        const stored = await storedBlob(type, mine.tenant, envelope.id);
        expect(checksumOf(stored['data'] as Json)).toBe(envelope.checksum);
        const secrets = secretsIn(type, envelope.data);
        if (secrets.length === 0) expect(stored['data']).toEqual(envelope.data);
        expect(shownIn(JSON.stringify(stored), secrets)).toEqual([]);
      });

      it('shows who may not see them commitments in the places of sensitive values, whatever is asked for', async () => {
        const { manager } = platform;
        const mine = alone();
        const masked = { ...mine, maySeeSensitive: false };
        const { envelope, etag } = await manager.create(type, bodyOf(type), mine);
        const { id } = envelope;
        const patch = patchOf(type, envelope.data, Date.parse(envelope.stored_at) + 1);
        const clear = [await manager.get(type, id, mine)];
        const seen = [
          await manager.create(type, bodyOf(type), masked),
          await manager.get(type, id, masked),
          await manager.getRevision(type, id, 1, masked),
          await manager.getAsOf(type, id, '2999-01-01T00:00:00.000Z', masked),
        ];
        if (patch !== undefined) {
          seen.push(await manager.patch(type, id, patch, etag, masked));
          clear.push(await manager.get(type, id, mine));
        }
        for (const way of additionsOf(type)) {
          const made = await manager.create(type, bodyOf(type), mine);
          seen.push(await add(manager, type, made.envelope.id, way, masked));
          clear.push(await manager.get(type, made.envelope.id, mine));
          seen.push(await manager.get(type, made.envelope.id, masked));
        }
        const secrets = clear.flatMap((record) => secretsIn(type, record.envelope.data));
        const views = await Promise.all(Object.keys(type.views ?? {}).map((path) => manager.getView(type, id, path, masked))); // prettier-ignore
        const page = await manager.list(type, { filters: {}, limit: 10 }, mine);
        const lineage = await manager.lineage(type, id, { direction: 'up', depth: 1 }, mine);
        for (const answer of [...seen, ...views, page, lineage])
          expect(shownIn(JSON.stringify(answer), secrets)).toEqual([]);
        for (const { envelope: shown } of seen) {
          expect(shown).not.toHaveProperty('salts');
          expect(checksumOf(shown.data as Json)).toBe(shown.checksum);
        }
        for (const { envelope: shown } of clear)
          expect(checksumOf(committedOf(shown) as Json)).toBe(shown.checksum);
      });

      it('refuses to change an immutable member, whatever is said about it', async () => {
        const { envelope, etag } = await platform.manager.create(type, bodyOf(type), call);
        for (const member of type.immutable) {
          const patched = platform.manager.patch(type, envelope.id, { [member]: null }, etag, call);
          await expect(patched).rejects.toMatchObject({ code: 'record-immutable' });
        }
        expect((await platform.manager.get(type, envelope.id, call)).envelope.revision).toBe(1);
      });

      it('takes a patch of what is not immutable, where there is any', async () => {
        const { envelope, etag } = await platform.manager.create(type, bodyOf(type), call);
        const patch = patchOf(type, envelope.data, Date.parse(envelope.stored_at) + 1);
        const mutable = Object.keys(envelope.data).filter((member) => !type.immutable.includes(member));
        expect(patch === undefined, `patch of one of ${mutable.join(', ')}`).toBe(mutable.length === 0);
        if (patch === undefined) return;
        const { envelope: next } = await platform.manager.patch(type, envelope.id, patch, etag, call);
        expect([next.revision, next.data]).toMatchObject([2, patch]);
      });

      it('declares for each action an example that a new record takes', async () => {
        for (const way of additionsOf(type)) {
          expect(way.example, `${type.recordType}: the ${way.of} ${way.path} needs an example`).toBeDefined();
          const { envelope } = await platform.manager.create(type, bodyOf(type), call);
          const after = await add(platform.manager, type, envelope.id, way, call);
          const acts = [way, ...way.after].filter(({ of }) => of === 'action');
          expect([after.envelope.id, after.envelope.revision]).toEqual([envelope.id, 1 + acts.length]);
        }
      });

      it('is found by every filter, with exactly its summary', async () => {
        const mine = alone();
        const { envelope } = await platform.manager.create(type, bodyOf(type), mine);
        const filters = type.filters.filter((name) => typeof envelope.data[name] === 'string');
        for (const chosen of [[], ...filters.map((name) => [name]), filters]) {
          const wanted = Object.fromEntries(chosen.map((name) => [name, String(envelope.data[name])]));
          const { items } = await platform.manager.list(type, { filters: wanted, limit: 10 }, mine);
          expect(items.map((item) => item['id'])).toEqual([envelope.id]);
          const present = type.summary.filter((name) => envelope.data[name] !== undefined);
          for (const name of present) expect(items[0]?.[name]).toEqual(envelope.data[name]);
        }
      });

      it('refuses unknown members and stores nothing', async () => {
        const mine = alone();
        const body = { ...bodyOf(type), no_such_member: 1 };
        await expect(platform.manager.create(type, body, mine)).rejects.toMatchObject({
          code: 'record-invalid',
          issues: [{ pointer: '/no_such_member' }],
        });
        expect((await platform.manager.list(type, { filters: {}, limit: 10 }, mine)).items).toEqual([]);
      });

      it('follows its declared transitions and no others', async () => {
        const rule = type.transitions;
        // Where only actions move it, their own tests say how.
        if (rule === undefined || type.immutable.includes(rule.field)) return;
        for (const [from, allowed] of Object.entries(rule.moves)) {
          const made = await inState(type, rule, from);
          for (const to of Object.keys(rule.moves)) {
            const fresh = await inState(type, rule, from);
            const { id, revision } = fresh.envelope;
            const moved = platform.manager.patch(type, id, { [rule.field]: to }, fresh.etag, call);
            if (allowed.includes(to)) expect((await moved).envelope.data[rule.field]).toBe(to);
            else if (to !== from)
              await expect(moved).rejects.toMatchObject({ code: 'transition-not-allowed' });
            else if (allowed.length > 0) expect((await moved).envelope.revision).toBe(revision + 1);
            else await expect(moved).rejects.toMatchObject({ code: 'record-immutable' });
          }
          expect(made.envelope.data[rule.field]).toBe(from);
        }
      });

      it('answers integrity-failure for any flipped byte of blob or row, and harms no other record', async () => {
        const { manager } = platform;
        const mine = alone();
        const victim = await manager.create(type, bodyOf(type), mine);
        const witness = await manager.create(type, bodyOf(type), mine);
        const { table } = type;
        const rowKey = recordKey(victim.envelope.id);
        const { key, row } = await rowOf(type, mine.tenant, rowKey);
        const set = (properties: Row['properties']) =>
          storage.ports.tables.commit(table, key, [{ kind: 'merge', rowKey, properties, etag: '*' }]);
        for (const [name, value] of Object.entries(row.properties)) {
          const flipped =
            typeof value === 'string' ? flip(value) : typeof value === 'number' ? value + 1 : !value;
          await set({ [name]: flipped });
          await expect(manager.get(type, victim.envelope.id, mine)).rejects.toMatchObject({
            code: 'integrity-failure',
          });
          await set({ [name]: value });
        }
        expect((await manager.get(type, victim.envelope.id, mine)).envelope).toEqual(victim.envelope);
        expect((await manager.get(type, witness.envelope.id, mine)).envelope).toEqual(witness.envelope);
      });
    });

    /** A new record in a state: made so where a create takes it, else brought there by legal moves. */
    async function inState(
      type: RecordType,
      { field, moves }: NonNullable<RecordType['transitions']>,
      state: string,
    ) {
      const { manager } = platform;
      const body = { ...bodyOf(type), [field]: state };
      if (type.createSchema.safeParse(body).success) return manager.create(type, body, call);
      let made = await manager.create(type, bodyOf(type), call);
      for (const to of wayTo(moves, String(made.envelope.data[field]), state))
        made = await manager.patch(type, made.envelope.id, { [field]: to }, made.etag, call);
      return made;
    }
  });
}

/** The moves from one state to another, the fewest there are. */
function wayTo(
  moves: Readonly<Record<string, readonly string[]>>,
  from: string,
  to: string,
): readonly string[] {
  const ways: string[][] = [[]];
  for (const way of ways) {
    const at = way.at(-1) ?? from;
    if (at === to) return way;
    ways.push(...(moves[at] ?? []).filter((next) => !way.includes(next)).map((next) => [...way, next]));
  }
  throw new Error(`no move leads from ${from} to ${to}`);
}

/** The sensitive values of a record's data. */
function secretsIn(type: RecordType, data: RecordData): readonly unknown[] {
  return Object.keys(type.sensitive).flatMap((pattern) => valuesAt(data, pattern));
}

/** Those of them that a text of JSON shows; an empty list or object says nothing. */
function shownIn(text: string, secrets: readonly unknown[]): readonly unknown[] {
  return secrets.filter((secret) => !isEmpty(secret) && text.includes(JSON.stringify(secret)));
}

function isEmpty(secret: unknown): boolean {
  return typeof secret === 'object' && secret !== null && Object.keys(secret).length === 0;
}

/** The values that a pointer pattern names. */
function valuesAt(data: unknown, pattern: string): readonly unknown[] {
  const [, member = '', ...rest] = pattern.split('/');
  if (typeof data !== 'object' || data === null) return [];
  const next = member === '*' ? Object.values(data) : [(data as RecordData)[member]];
  const there = next.filter((value) => value !== undefined);
  return rest.length === 0 ? there : there.flatMap((value) => valuesAt(value, `/${rest.join('/')}`));
}

/** The text with one bit of its middle character changed. */
function flip(text: string): string {
  if (text === '') return 'x';
  const at = Math.floor(text.length / 2);
  return text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ 1) + text.slice(at + 1);
}
