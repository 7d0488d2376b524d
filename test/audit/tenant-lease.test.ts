import { beforeEach, describe, expect, it } from 'vitest';
import { TenantLease } from '../../src/audit/tenant-lease.js';
import { StorageFault } from '../../src/storage/ports.js';
import { countingPorts, type CountingPorts } from '../support/counting-ports.js';
import { memoryPorts } from '../support/memory-ports.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';

let clock: VirtualClock;
let counted: CountingPorts;
const lease = (on = counted.ports): TenantLease => new TenantLease(on.blobs, clock, 'acme');

beforeEach(() => {
  clock = new VirtualClock();
  counted = countingPorts(memoryPorts({ clock }));
});

describe('the lease of a tenant', () => {
  it('is one holder’s until it is given back, or fifteen seconds have passed', async () => {
    const [first, second] = [lease(), lease()];
    expect([await first.hold(), await second.hold()]).toEqual([true, false]);
    expect(counted.calls[0]?.args).toEqual(['ledger', 'acme/lease', 15]);
    await first.release();
    expect([await second.hold(), await first.hold()]).toEqual([true, false]);
    await clock.advance(14_999);
    expect(await first.hold()).toBe(false);
    await clock.advance(1);
    expect(await first.hold()).toBe(true);
  });

  it('costs nothing to keep for eight seconds, and is then taken anew', async () => {
    const holder = lease();
    await holder.hold();
    counted.reset();
    await clock.advance(7999);
    expect(await holder.hold()).toBe(true);
    expect(counted.calls).toEqual([]);
    await clock.advance(1);
    expect(await holder.hold()).toBe(true);
    expect(counted.counts()).toEqual({ 'blobs.releaseLease': 1, 'blobs.acquireLease': 1 });
    counted.reset();
    await clock.advance(7999);
    expect(await holder.hold()).toBe(true);
    expect(counted.calls).toEqual([]);
    await clock.advance(7000);
    expect(await lease().hold()).toBe(false);
  });

  it('is given back once, and only by who has it', async () => {
    const holder = lease();
    await holder.release();
    await holder.hold();
    await holder.release();
    await holder.release();
    expect(counted.counts()).toEqual({ 'blobs.acquireLease': 1, 'blobs.releaseLease': 1 });
  });

  it('may fail to be given back: it ends by itself; a mistake of ours may not', async () => {
    let failure: Error = new StorageFault('unavailable', 'no answer');
    const failing = wrapPorts(counted.ports, (call, run) =>
      call.method === 'releaseLease' ? Promise.reject(failure) : run(),
    );
    const holder = lease(failing);
    await holder.hold();
    await holder.release();
    await clock.advance(15_000);
    await holder.hold();
    failure = new Error('a mistake of ours');
    await expect(holder.release()).rejects.toBe(failure);
  });
});
