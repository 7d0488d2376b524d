import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RecordType } from '../../src/domain/record-type.js';
import { newTenant, walk } from '../support/decisions.js';
import { httpHost, type HttpHost } from '../support/http-harness.js';
import { openStorage, STORAGES } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';
import { additionsOf, bodyOf, patchOf, putOf, type Addition } from '../support/subjects.js';

/** An action whose revision has an address of its own is answered as a create is. */
const created = (type: RecordType, { of, path }: Addition): boolean =>
  of === 'action' && type.actions[path]?.makesRevision === true;

/** The routes that every type has, as http-api.md says them. */
export function describeRoutes(types: readonly RecordType[]): void {
  describe.each(STORAGES)('the routes of every record type $name', (kind) => {
    let storage: StorageUnderTest;
    let host: HttpHost;
    beforeAll(async () => {
      storage = await openStorage(kind, types);
      host = httpHost(storage.ports, { types });
    });
    afterAll(() => storage.close());

    describe.each(types.map((type) => [type.collection, type] as const))('/%s', (collection, type) => {
      it('creates, answers again under a key, reads, and lists page by page', async () => {
        const tenant = newTenant();
        const body = bodyOf(type);
        const made = await host.post(`/${collection}`, body, { tenant, key: 'k' });
        expect(made.status, made.text).toBe(201);
        const { id } = made.envelope;
        expect(made.headers['location']).toBe(`/api/${collection}/${id}`);
        const again = await host.post(`/${collection}`, body, { tenant, key: 'k' });
        expect([again.status, again.envelope, again.headers['idempotency-replayed']]).toEqual([201, made.envelope, 'true']); // prettier-ignore
        const read = await host.get(`/${collection}/${id}`, { tenant });
        expect([read.status, read.envelope, read.etag]).toEqual([200, made.envelope, made.etag]);
        const same = await host.get(`/${collection}/${id}`, {
          tenant,
          headers: { 'if-none-match': made.etag },
        });
        expect([same.status, same.text]).toEqual([304, '']);
        expect((await host.get(`/${collection}/${id}`, { tenant: newTenant() })).status).toBe(404);
        for (let more = 0; more < 2; more += 1) await host.post(`/${collection}`, bodyOf(type), { tenant });
        const { ids } = await walk(host, `/${collection}?limit=1`, { tenant });
        expect([ids.length, new Set(ids).size, ids.includes(id)]).toEqual([3, 3, true]);
      });

      it('creates a batch, in order', async () => {
        const tenant = newTenant();
        const items = [1, 2, 3].map(() => bodyOf(type));
        const made = await host.post(`/${collection}/batch`, { items }, { tenant, key: 'k' });
        expect(made.status, made.text).toBe(201);
        const ids = made.heads.map((head) => head.id);
        const again = await host.post(`/${collection}/batch`, { items }, { tenant, key: 'k' });
        expect(again.heads.map((head) => head.id)).toEqual(ids);
        expect((await walk(host, `/${collection}`, { tenant })).ids.sort()).toEqual([...ids].sort());
        for (const id of ids) expect((await host.get(`/${collection}/${id}`, { tenant })).status).toBe(200);
      });

      it('patches what may be patched under If-Match, and shows what was before', async () => {
        const tenant = newTenant();
        const made = await host.post(`/${collection}`, bodyOf(type), { tenant });
        const { id, data, stored_at: storedAt } = made.envelope;
        const patch = patchOf(type, data, Date.parse(storedAt) + 1);
        if (patch === undefined) return;
        const path = `/${collection}/${id}`;
        expect((await host.patch(path, patch, undefined, { tenant })).status).toBe(428);
        const changed = await host.patch(path, patch, made.etag, { tenant });
        expect(changed.status, changed.text).toBe(200);
        expect(changed.envelope).toMatchObject({ id, revision: 2, data: patch });
        expect((await host.patch(path, patch, made.etag, { tenant })).status).toBe(412);
        expect((await host.get(`${path}/revisions/1`, { tenant })).envelope).toEqual(made.envelope);
        expect((await host.get(`${path}/revisions`, { tenant })).heads.map((head) => head.revision)).toEqual([1, 2]); // prettier-ignore
      });

      it('takes every addition, once under a key', async () => {
        for (const way of additionsOf(type)) {
          const tenant = newTenant();
          const { id } = (await host.post(`/${collection}`, bodyOf(type), { tenant })).envelope;
          const post = (to: Addition, key: string) => host.post(`/${collection}/${id}/${to.path}`, to.example, { tenant, key }); // prettier-ignore
          for (const first of way.after)
            expect((await post(first, `before-${first.path}`)).status).toBeLessThan(300);
          const added = await post(way, 'k');
          expect([way.path, added.status], added.text).toEqual([way.path, created(type, way) ? 201 : 200]);
          const again = await post(way, 'k');
          expect([again.envelope, again.headers['idempotency-replayed']]).toEqual([added.envelope, 'true']);
          expect((await host.get(`/${collection}/${id}`, { tenant })).envelope).toEqual(added.envelope);
          await host.platform.sealer.sealTenant(tenant);
          const events = (await host.get('/audit-events', { tenant })).page.items;
          expect(events).toHaveLength(2 + way.after.length);
          if (way.of !== 'parts' || type.parts?.series !== undefined) continue;
          const parts = (await host.get(`/${collection}/${id}/${type.parts?.path ?? ''}`, { tenant })).page;
          // Those that came with the record have no number.
          const entries = parts.items.filter((item) => Number(item['seq']) > 0);
          expect(entries).toHaveLength(1 + way.after.filter(({ of }) => of === 'parts').length);
        }
      });

      it('puts and reads under a name, where records have names', async () => {
        if (type.named === undefined) return;
        const tenant = newTenant();
        const { path, body } = putOf(type, 'näme 1');
        const at = `/${collection}${path}`;
        expect((await host.get(at, { tenant })).status).toBe(404);
        const made = await host.request('PUT', at, { body, tenant, headers: { 'if-none-match': '*' } });
        expect(made.status, made.text).toBe(201);
        const over = await host.request('PUT', at, { body, tenant, ifMatch: made.etag });
        expect([over.status, over.envelope.id, over.envelope.revision]).toEqual([200, made.envelope.id, 2]);
        expect((await host.get(at, { tenant })).envelope).toEqual(over.envelope);
        expect((await host.request('PUT', at, { body, tenant, ifMatch: made.etag })).status).toBe(412);
      });

      it('refuses what no record has, and methods it does not take', async () => {
        const { id } = (await host.post(`/${collection}`, bodyOf(type))).envelope;
        // Below a collection of named records there are names, which take other methods.
        expect((await host.post(`/${collection}/${id}/no-such-action`, {})).status).toBe(type.named === undefined ? 404 : 405); // prettier-ignore
        expect((await host.get(`/${collection}/${id}/no-such-action`)).status).toBe(404);
        expect((await host.get(`/${collection}/${type.idPrefix}_none`)).status).toBe(404);
        expect((await host.get(`/${collection}/${id}?no_such=1`)).status).toBe(400);
        expect((await host.get(`/${collection}?no_such_filter=1`)).status).toBe(400);
        for (const method of ['PUT', 'DELETE']) expect((await host.request(method, `/${collection}`, { body: {} })).status).toBe(405); // prettier-ignore
      });
    });
  });
}
