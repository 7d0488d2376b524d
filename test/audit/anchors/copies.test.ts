import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StorageFault, type BlobStore } from '../../../src/storage/ports.js';
import { storageNames } from '../../../src/platform.js';
import { created, newTenant } from '../../support/decisions.js';
import { httpHost } from '../../support/http-harness.js';
import { STORAGES } from '../../support/platform.js';
import type { StorageUnderTest } from '../../support/storages.js';
import { entriesOf, replaceLog, rewritten, round } from './support.js';

const PREFIX = 'records.test/_system/';

describe.each(STORAGES)('copies of the platform checkpoint $name', (kind) => {
  let here: StorageUnderTest;
  let there: StorageUnderTest;
  let down = false;
  const tenant = newTenant();

  beforeEach(async () => {
    down = false;
    here = await kind.open(storageNames());
    there = await kind.open({ tables: [], containers: ['anchors'], queues: [] });
  });
  afterEach(() => {
    here.close();
    there.close();
  });

  const hostOf = (every: number) => {
    const refuse = (): Promise<never> => Promise.reject(new StorageFault('refused', 'not today'));
    const blobs: Pick<BlobStore, 'putOnce' | 'find'> = {
      putOnce: (...args) => (down ? refuse() : there.ports.blobs.putOnce(...args)),
      find: (...args) => (down ? refuse() : there.ports.blobs.find(...args)),
    };
    return httpHost(here.ports, { anchoring: { copies: { blobs, container: 'anchors', every } } });
  };
  const grow = async (host = hostOf(1)): Promise<void> => {
    await created(host, {}, { tenant });
    await host.platform.sealer.sealTenant(tenant);
  };
  const copies = async () => (await there.ports.blobs.list('anchors', PREFIX)).names;
  const nameOf = (size: number): string => `${PREFIX}${String(size).padStart(16, '0')}.checkpoint`;

  it('are made of every second that is published, once', async () => {
    const host = hostOf(2);
    for (let n = 1; n <= 4; n += 1) {
      await grow(host);
      expect((await round(host))['copied'] ?? 0).toBe(n % 2 === 0 ? 1 : 0);
    }
    await round(host);
    expect(await copies()).toEqual([nameOf(2), nameOf(4)]);
    const copy = Buffer.from((await there.ports.blobs.find('anchors', nameOf(4)))?.bytes ?? []).toString();
    const as = { tenant, roles: 'records.auditor' };
    expect(copy).toBe((await host.get('/audit/platform/checkpoint', as)).text);
  });

  it('that fail are made in the next round, and nothing waits for them', async () => {
    const host = hostOf(1);
    down = true;
    for (let n = 1; n <= 2; n += 1) {
      await grow(host);
      expect(await round(host)).toMatchObject({ logged: 1, published: 1, notCopied: 1, copied: 0 });
    }
    expect(await copies()).toEqual([]);
    down = false;
    expect(await round(host)).toMatchObject({ published: 0, copied: 1 });
    expect(await copies()).toEqual([nameOf(2)]);
  });

  it('are not written over, and tell of a platform log that was replaced', async () => {
    await grow();
    await round(hostOf(1));
    const { blobs } = here.ports;
    const before = (await there.ports.blobs.find('anchors', nameOf(1)))?.bytes;
    await replaceLog(blobs, '_system', rewritten(await entriesOf(blobs, '_system')));
    await blobs.delete('ledger', '_system/published');
    expect(await round(hostOf(1))).toMatchObject({ published: 1, copied: 0, notCopied: 1, refused: 1 });
    expect((await there.ports.blobs.find('anchors', nameOf(1)))?.bytes).toEqual(before);
  });
});
