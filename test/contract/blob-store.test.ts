import { describe, expect, it } from 'vitest';
import { expectFault } from '../support/expect-fault.js';
import { memoryStorage } from '../support/memory-ports.js';
import { STORAGES } from '../support/storages.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { blobStoreContract } from './blob-store-contract.js';

for (const kind of STORAGES) blobStoreContract(kind);

describe('a copy from the archive that takes its time', () => {
  const begun = async () => {
    const storage = memoryStorage({ clock: new VirtualClock(), copiesWait: () => true });
    const { blobs } = storage.ports;
    await blobs.putOnce('records', 'pack', Buffer.from('cold'), 'text/plain');
    await blobs.setTier('records', 'pack', 'archive');
    await blobs.copyToHot('records', 'pack', 'copy', 'standard');
    return { storage, blobs };
  };

  it('is pending, cannot be read and not be begun again, until it is there', async () => {
    const { storage, blobs } = await begun();
    expect(await blobs.blockState('records', 'copy')).toMatchObject({ copy: 'pending' });
    await expectFault('archived', blobs.find('records', 'copy'));
    await expectFault('exists', blobs.copyToHot('records', 'pack', 'copy', 'high'));
    storage.endCopies();
    expect(await blobs.blockState('records', 'copy')).toEqual({ length: 4, tier: 'hot' });
    expect(Buffer.from((await blobs.find('records', 'copy'))?.bytes ?? []).toString()).toBe('cold');
  });

  it('may come to nothing', async () => {
    const { storage, blobs } = await begun();
    storage.endCopies('failed');
    expect(await blobs.blockState('records', 'copy')).toMatchObject({ copy: 'failed' });
    await expectFault('archived', blobs.find('records', 'copy'));
  });
});
