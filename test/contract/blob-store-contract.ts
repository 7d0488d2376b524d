import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BlobStore } from '../../src/storage/ports.js';
import { expectFault } from '../support/expect-fault.js';
import type { StorageKind, StorageUnderTest } from '../support/storages.js';

const RECORDS = 'records';
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (content: { bytes: Uint8Array } | undefined): string | undefined =>
  content === undefined ? undefined : new TextDecoder().decode(content.bytes);

/** What every `BlobStore` must do. */
export function blobStoreContract(kind: StorageKind): void {
  describe(`a blob store ${kind.name}`, () => {
    let storage: StorageUnderTest;
    let blobs: BlobStore;
    let names = 0;
    /** A name that no other test uses. */
    const fresh = (): string => `default/decision/2026-11/dec_${++names}/é 1.json`;
    const put = (name: string, content = '{}'): Promise<string> =>
      blobs.putOnce(RECORDS, name, bytes(content), 'application/json');

    beforeAll(async () => {
      storage = await kind.open({ tables: [], containers: [RECORDS, 'lists'], queues: [] }, { listPage: 3 });
      blobs = storage.ports.blobs;
    });
    afterAll(() => storage.close());

    it('refuses a container that does not exist, and never calls it a missing blob', async () => {
      const nowhere = 'nosuchcontainer';
      await expectFault('refused', blobs.find(nowhere, 'a'));
      await expectFault('refused', blobs.putOnce(nowhere, 'a', bytes('x'), 'text/plain'));
      await expectFault('refused', blobs.swap(nowhere, 'a', bytes('x'), undefined));
      await expectFault('refused', blobs.swap(nowhere, 'a', bytes('x'), '"0x1"'));
      await expectFault('refused', blobs.createAppend(nowhere, 'a'));
      await expectFault('refused', blobs.append(nowhere, 'a', bytes('x'), 0));
      const seal = kind.sealsNowhereAsMissing === true ? 'missing' : 'refused';
      await expectFault(seal, blobs.seal(nowhere, 'a'));
      await expectFault('refused', blobs.appendState(nowhere, 'a'));
      await expectFault('refused', blobs.list(nowhere, ''));
      await expectFault('refused', blobs.delete(nowhere, 'a'));
      await expectFault('refused', blobs.stageBlock(nowhere, 'a', '0', bytes('x')));
      await expectFault('refused', blobs.commitBlocks(nowhere, 'a', ['0'], 'text/plain'));
      await expectFault('refused', blobs.setTier(nowhere, 'a', 'cool'));
      await expectFault('refused', blobs.copyToHot(nowhere, 'a', 'b', 'standard'));
      await expectFault('refused', blobs.blockState(nowhere, 'a'));
      await expectFault('refused', blobs.acquireLease(nowhere, 'a', 15));
      await expectFault('refused', blobs.releaseLease(nowhere, 'a', crypto.randomUUID()));
    });

    describe('write-once objects', () => {
      it('finds nothing where there is no blob', async () => {
        expect(await blobs.find(RECORDS, fresh())).toBeUndefined();
      });

      it('gives back the bytes and the ETag of the write', async () => {
        const name = fresh();
        const content = Uint8Array.from({ length: 70_000 }, (_, index) => (index * 31) % 256);
        const etag = await blobs.putOnce(RECORDS, name, content, 'application/octet-stream');
        const found = await blobs.find(RECORDS, name);
        expect(found?.etag).toBe(etag);
        expect(Buffer.compare(found?.bytes ?? bytes(''), content)).toBe(0);
      });

      it('keeps an empty blob', async () => {
        const name = fresh();
        await put(name, '');
        expect(text(await blobs.find(RECORDS, name))).toBe('');
      });

      it('refuses a second write with exists and keeps the first', async () => {
        const name = fresh();
        await put(name, 'first');
        await expectFault('exists', put(name, 'second'));
        expect(text(await blobs.find(RECORDS, name))).toBe('first');
      });

      it('lets exactly one of twenty concurrent writes win', async () => {
        const name = fresh();
        const writes = Array.from({ length: 20 }, (_, writer) => put(name, `writer ${writer}`));
        const results = await Promise.allSettled(writes);
        const winner = results.findIndex((result) => result.status === 'fulfilled');
        expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
        expect(text(await blobs.find(RECORDS, name))).toBe(`writer ${winner}`);
      });

      it('reads a range of bytes, and what there is of one that reaches beyond the end', async () => {
        const name = fresh();
        await put(name, '0123456789');
        expect(text(await blobs.find(RECORDS, name, { offset: 2, length: 3 }))).toBe('234');
        expect(text(await blobs.find(RECORDS, name, { offset: 8, length: 100 }))).toBe('89');
        expect(await blobs.find(RECORDS, fresh(), { offset: 0, length: 1 })).toBeUndefined();
      });

      it('refuses a range that begins beyond the end, or holds nothing', async () => {
        const name = fresh();
        await put(name, '0123456789');
        await expectFault('range', blobs.find(RECORDS, name, { offset: 10, length: 1 }));
        await expectFault('refused', blobs.find(RECORDS, name, { offset: 0, length: 0 }));
      });

      it('hands out copies: changing what was read or written changes nothing stored', async () => {
        const name = fresh();
        const content = bytes('kept');
        await blobs.putOnce(RECORDS, name, content, 'text/plain');
        content[0] = 0;
        const read = await blobs.find(RECORDS, name);
        if (read !== undefined) read.bytes[1] = 0;
        expect(text(await blobs.find(RECORDS, name))).toBe('kept');
      });

      it('deletes, and deleting nothing is harmless', async () => {
        const name = fresh();
        await put(name);
        await blobs.delete(RECORDS, name);
        await blobs.delete(RECORDS, name);
        expect(await blobs.find(RECORDS, name)).toBeUndefined();
        await put(name, 'again');
      });

      it('answers a read of an archived blob with archived until it is back', async () => {
        const name = fresh();
        await put(name, 'cold');
        await blobs.setTier(RECORDS, name, 'cool');
        expect(text(await blobs.find(RECORDS, name))).toBe('cold');
        await blobs.setTier(RECORDS, name, 'archive');
        await expectFault('archived', blobs.find(RECORDS, name));
        await expectFault('archived', blobs.find(RECORDS, name, { offset: 0, length: 1 }));
        await expectFault('exists', put(name, 'second'));
        await blobs.setTier(RECORDS, name, 'hot');
        expect(text(await blobs.find(RECORDS, name))).toBe('cold');
      });

      it('copies an archived blob to a hot one and leaves it where it is', async () => {
        const [name, copy] = [fresh(), fresh()];
        await put(name, 'cold');
        await blobs.setTier(RECORDS, name, 'archive');
        await blobs.setTier(RECORDS, name, 'archive');
        await blobs.copyToHot(RECORDS, name, copy, 'high');
        expect(await blobs.blockState(RECORDS, copy)).toEqual({ length: 4, tier: 'hot' });
        expect(text(await blobs.find(RECORDS, copy, { offset: 1, length: 2 }))).toBe('ol');
        expect(await blobs.blockState(RECORDS, name)).toEqual({ length: 4, tier: 'archive' });
        await expectFault('archived', blobs.find(RECORDS, name));
        await blobs.delete(RECORDS, copy);
        expect(await blobs.blockState(RECORDS, copy)).toBeUndefined();
        expect(await blobs.blockState(RECORDS, name)).toEqual({ length: 4, tier: 'archive' });
      });

      it('copies over nothing, and nothing from nowhere', async () => {
        const [name, copy] = [fresh(), fresh()];
        await put(name, 'one');
        await put(copy, 'other');
        await expectFault('exists', blobs.copyToHot(RECORDS, name, copy, 'standard'));
        expect(text(await blobs.find(RECORDS, copy))).toBe('other');
        await expectFault('missing', blobs.copyToHot(RECORDS, fresh(), fresh(), 'standard'));
      });

      it('says the tier of a blob, and of nothing else', async () => {
        const name = fresh();
        await put(name, 'state');
        expect(await blobs.blockState(RECORDS, name)).toEqual({ length: 5, tier: 'hot' });
        await blobs.setTier(RECORDS, name, 'cool');
        expect(await blobs.blockState(RECORDS, name)).toEqual({ length: 5, tier: 'cool' });
        const stream = fresh();
        await blobs.createAppend(RECORDS, stream);
        await expectFault('refused', blobs.blockState(RECORDS, stream));
      });

      it('answers a tier for no blob with missing', async () => {
        await expectFault('missing', blobs.setTier(RECORDS, fresh(), 'cool'));
      });
    });

    describe('block blobs made of blocks', () => {
      it('are the blocks that are named, in that order, and nothing before', async () => {
        const name = fresh();
        await blobs.stageBlock(RECORDS, name, '01', bytes('one '));
        await blobs.stageBlock(RECORDS, name, '02', bytes('two '));
        await blobs.stageBlock(RECORDS, name, '03', bytes('three '));
        await blobs.stageBlock(RECORDS, name, '01', bytes('first '));
        expect(await blobs.find(RECORDS, name)).toBeUndefined();
        expect(await blobs.blockState(RECORDS, name)).toBeUndefined();
        expect((await blobs.list(RECORDS, name)).names).toEqual([]);
        await blobs.commitBlocks(RECORDS, name, ['03', '01'], 'text/plain');
        expect(text(await blobs.find(RECORDS, name))).toBe('three first ');
        expect(text(await blobs.find(RECORDS, name, { offset: 6, length: 5 }))).toBe('first');
        expect(await blobs.blockState(RECORDS, name)).toEqual({ length: 12, tier: 'hot' });
        await blobs.setTier(RECORDS, name, 'archive');
        await expectFault('archived', blobs.find(RECORDS, name));
      });

      it('are written once', async () => {
        const name = fresh();
        await blobs.stageBlock(RECORDS, name, '01', bytes('one'));
        await blobs.commitBlocks(RECORDS, name, ['01'], 'text/plain');
        await expectFault('exists', blobs.commitBlocks(RECORDS, name, ['01'], 'text/plain'));
        await expectFault('exists', put(name, 'other'));
        await blobs.stageBlock(RECORDS, name, '02', bytes('two'));
        await expectFault('exists', blobs.commitBlocks(RECORDS, name, ['02'], 'text/plain'));
        expect(text(await blobs.find(RECORDS, name))).toBe('one');
      });

      it('are not made of what was not staged, and no block is empty or too large', async () => {
        const name = fresh();
        const largest = new Uint8Array(4 * 1024 * 1024);
        await blobs.stageBlock(RECORDS, name, '01', bytes('one'));
        await expectFault('missing', blobs.commitBlocks(RECORDS, name, ['01', '02'], 'text/plain'));
        expect(await blobs.find(RECORDS, name)).toBeUndefined();
        await expectFault('refused', blobs.stageBlock(RECORDS, name, '02', bytes('')));
        await expectFault('too-large', blobs.stageBlock(RECORDS, name, '02', Buffer.concat([largest, bytes('x')]))); // prettier-ignore
        await blobs.stageBlock(RECORDS, name, '02', largest);
        await blobs.commitBlocks(RECORDS, name, ['01', '02'], 'text/plain');
        expect(await blobs.blockState(RECORDS, name)).toEqual({ length: largest.length + 3, tier: 'hot' });
      });
    });

    describe('compare-and-swap objects', () => {
      it('creates without an ETag, replaces under one, and changes it each time', async () => {
        const name = fresh();
        const first = await blobs.swap(RECORDS, name, bytes('1'), undefined);
        const second = await blobs.swap(RECORDS, name, bytes('2'), first);
        expect(second).not.toBe(first);
        expect(await blobs.find(RECORDS, name)).toEqual({ bytes: bytes('2'), etag: second });
      });

      it('answers a creation over a blob with exists', async () => {
        const name = fresh();
        await blobs.swap(RECORDS, name, bytes('1'), undefined);
        await expectFault('exists', blobs.swap(RECORDS, name, bytes('2'), undefined));
      });

      it('answers an old version with conflict, and no blob with missing', async () => {
        const name = fresh();
        const first = await blobs.swap(RECORDS, name, bytes('1'), undefined);
        await blobs.swap(RECORDS, name, bytes('2'), first);
        await expectFault('conflict', blobs.swap(RECORDS, name, bytes('3'), first));
        await expectFault('missing', blobs.swap(RECORDS, fresh(), bytes('3'), first));
        expect(text(await blobs.find(RECORDS, name))).toBe('2');
      });

      it('lets exactly one of twenty concurrent swaps of a version win', async () => {
        const name = fresh();
        let etag = await blobs.swap(RECORDS, name, bytes('0'), undefined);
        for (let round = 0; round < 3; round++) {
          const swaps = Array.from({ length: 20 }, () => blobs.swap(RECORDS, name, bytes(`${round}`), etag));
          const results = await Promise.allSettled(swaps);
          const won = results.filter((result) => result.status === 'fulfilled');
          expect(won).toHaveLength(1);
          for (const result of results) {
            if (result.status === 'rejected') expect(result.reason).toMatchObject({ kind: 'conflict' });
          }
          etag = won[0]?.value ?? '';
        }
      });
    });

    describe('append streams', () => {
      it('appends at its length and tells length and seal', async () => {
        const name = fresh();
        expect(await blobs.appendState(RECORDS, name)).toBeUndefined();
        await blobs.createAppend(RECORDS, name);
        expect(await blobs.appendState(RECORDS, name)).toEqual({ length: 0, sealed: false });
        await blobs.append(RECORDS, name, bytes('one\n'), 0);
        await blobs.append(RECORDS, name, bytes('two\n'), 4);
        expect(await blobs.appendState(RECORDS, name)).toEqual({ length: 8, sealed: false });
        expect(text(await blobs.find(RECORDS, name))).toBe('one\ntwo\n');
        expect(text(await blobs.find(RECORDS, name, { offset: 4, length: 3 }))).toBe('two');
      });

      it('refuses to create one that exists, and keeps what is in it', async () => {
        const name = fresh();
        await blobs.createAppend(RECORDS, name);
        await blobs.append(RECORDS, name, bytes('kept'), 0);
        await expectFault('exists', blobs.createAppend(RECORDS, name));
        expect(text(await blobs.find(RECORDS, name))).toBe('kept');
      });

      it('answers an append at any other length with position, and writes nothing', async () => {
        const name = fresh();
        await blobs.createAppend(RECORDS, name);
        await blobs.append(RECORDS, name, bytes('1234'), 0);
        await expectFault('position', blobs.append(RECORDS, name, bytes('x'), 0));
        await expectFault('position', blobs.append(RECORDS, name, bytes('x'), 3));
        await expectFault('position', blobs.append(RECORDS, name, bytes('x'), 5));
        expect(text(await blobs.find(RECORDS, name))).toBe('1234');
      });

      it('lets exactly one of ten concurrent appends win each position', async () => {
        const name = fresh();
        await blobs.createAppend(RECORDS, name);
        for (let position = 0; position < 3; position++) {
          const appends = Array.from({ length: 10 }, (_, n) =>
            blobs.append(RECORDS, name, bytes(`${n}`), position),
          );
          const results = await Promise.allSettled(appends);
          expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
          for (const result of results) {
            if (result.status === 'rejected') expect(result.reason).toMatchObject({ kind: 'position' });
          }
        }
        expect(await blobs.appendState(RECORDS, name)).toEqual({ length: 3, sealed: false });
      });

      it('answers an append to no blob with missing', async () => {
        await expectFault('missing', blobs.append(RECORDS, fresh(), bytes('x'), 0));
      });

      it('takes nothing more once sealed, stays readable, and may be sealed again', async () => {
        const name = fresh();
        await blobs.createAppend(RECORDS, name);
        await blobs.append(RECORDS, name, bytes('done'), 0);
        await blobs.seal(RECORDS, name);
        await blobs.seal(RECORDS, name);
        await expectFault('sealed', blobs.append(RECORDS, name, bytes('x'), 4));
        expect(await blobs.appendState(RECORDS, name)).toEqual({ length: 4, sealed: true });
        expect(text(await blobs.find(RECORDS, name))).toBe('done');
      });

      it('answers the seal of no blob with missing', async () => {
        await expectFault('missing', blobs.seal(RECORDS, fresh()));
      });

      it('refuses an append over 4 MiB with too-large, and takes one of 4 MiB', async () => {
        const name = fresh();
        await blobs.createAppend(RECORDS, name);
        const most = new Uint8Array(4 * 1024 * 1024);
        await expectFault('too-large', blobs.append(RECORDS, name, new Uint8Array(most.length + 1), 0));
        await blobs.append(RECORDS, name, most, 0);
        expect(await blobs.appendState(RECORDS, name)).toEqual({ length: most.length, sealed: false });
      });

      it('refuses an empty append, and the state of a blob of another kind', async () => {
        const [stream, object] = [fresh(), fresh()];
        await blobs.createAppend(RECORDS, stream);
        await expectFault('refused', blobs.append(RECORDS, stream, new Uint8Array(), 0));
        await put(object);
        await expectFault('refused', blobs.appendState(RECORDS, object));
        await expectFault('refused', blobs.append(RECORDS, object, bytes('x'), 2));
      });
    });

    describe('lists', () => {
      it('pages through the names with a prefix in order', async () => {
        const wanted = Array.from({ length: 8 }, (_, n) => `a/${n}.json`);
        for (const name of ['b/1', ...wanted.toReversed(), 'a'])
          await blobs.putOnce('lists', name, bytes(''), 'text/plain');
        const seen: string[] = [];
        let pages = 0;
        let next: string | undefined;
        do {
          const page = await blobs.list('lists', 'a/', next);
          seen.push(...page.names);
          next = page.next;
          pages++;
        } while (next !== undefined);
        expect(seen).toEqual(wanted);
        expect(pages).toBeGreaterThan(1);
      });

      it('gives an empty page where nothing begins with the prefix', async () => {
        expect(await blobs.list('lists', 'zzz/')).toEqual({ names: [] });
      });
    });

    describe('leases', () => {
      it('makes the blob if need be, and gives the lease to one at a time', async () => {
        const name = fresh();
        const lease = await blobs.acquireLease(RECORDS, name, 15);
        expect(lease).toBeTypeOf('string');
        expect(await blobs.acquireLease(RECORDS, name, 15)).toBeUndefined();
        await blobs.releaseLease(RECORDS, name, lease as string);
        expect(await blobs.acquireLease(RECORDS, name, 15)).toBeTypeOf('string');
      });

      it('gives a lease to exactly one of ten who ask at once', async () => {
        const name = fresh();
        const leases = await Promise.all(
          Array.from({ length: 10 }, () => blobs.acquireLease(RECORDS, name, 15)),
        );
        expect(leases.filter((lease) => lease !== undefined)).toHaveLength(1);
      });

      it('gives back a lost lease without harm to the one who holds it now', async () => {
        const name = fresh();
        const lost = (await blobs.acquireLease(RECORDS, name, 15)) as string;
        await blobs.releaseLease(RECORDS, name, lost);
        await blobs.releaseLease(RECORDS, name, lost);
        await blobs.acquireLease(RECORDS, name, 15);
        await blobs.releaseLease(RECORDS, name, lost);
        expect(await blobs.acquireLease(RECORDS, name, 15)).toBeUndefined();
        await blobs.releaseLease(RECORDS, fresh(), lost);
      });

      // The shortest lease is 15 s: too long to wait for in real time on every run.
      it.skipIf(kind.realTime)('gives a lease that ran out to the next who asks', async () => {
        const name = fresh();
        await blobs.acquireLease(RECORDS, name, 15);
        await storage.wait(14_000);
        expect(await blobs.acquireLease(RECORDS, name, 15)).toBeUndefined();
        await storage.wait(1_000);
        expect(await blobs.acquireLease(RECORDS, name, 15)).toBeTypeOf('string');
      });

      it('refuses to change a leased blob without the lease', async () => {
        const name = fresh();
        const etag = await blobs.swap(RECORDS, name, bytes('1'), undefined);
        const lease = await blobs.acquireLease(RECORDS, name, 15);
        expect(lease).toBeTypeOf('string');
        await expectFault('refused', blobs.delete(RECORDS, name));
        await expectFault('refused', blobs.swap(RECORDS, name, bytes('2'), etag));
        await expectFault('exists', blobs.swap(RECORDS, name, bytes('2'), undefined));
      });
    });
  });
}
