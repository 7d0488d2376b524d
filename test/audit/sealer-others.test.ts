import { beforeEach, describe, expect, it } from 'vitest';
import { append, leafHash, rootOf } from '../../src/audit/merkle.js';
import { LIMITS } from '../../src/domain/limits.js';
import { StorageFault, type StoragePorts } from '../../src/storage/ports.js';
import { memoryPorts } from '../support/memory-ports.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';
import {
  assertSealed,
  commitChanges,
  creates,
  DECISIONS,
  headOf,
  host,
  streamLines,
  TENANT,
} from './support.js';

const START = Date.UTC(2026, 0, 10, 12);
let clock: VirtualClock;
let ports: StoragePorts;

beforeEach(() => {
  clock = new VirtualClock(START);
  ports = memoryPorts({ clock });
});
const commit = (count: number, atMs = START, prefix = 'dec_') =>
  commitChanges(host(ports, clock), DECISIONS, creates(count, atMs, prefix));
const sealOn = (on: StoragePorts) => host(on, clock).sealer.sealTenant(TENANT, { partitions: [DECISIONS] });

describe('a sealer among others', () => {
  it('stops between two rounds when it has lost the lease, and says that there may be more to do', async () => {
    const ids = await commit(LIMITS.sealRoundEvents + 1);
    const slow = wrapPorts(ports, async (call, run) => {
      const result = await run();
      if (call.method !== 'swap') return result;
      // The round took longer than the lease, and another process has it now.
      await clock.advance(15_000);
      await ports.blobs.acquireLease('ledger', `${TENANT}/lease`, 15);
      return result;
    });
    // Three bundles.
    expect(await sealOn(slow)).toEqual({ sealed: 768, busy: true });
    await clock.advance(15_000);
    expect(await sealOn(ports)).toEqual({ sealed: LIMITS.sealRoundEvents + 1 - 768, busy: false });
    await assertSealed(ports, ids);
  });

  it('leaves a tenant to the others after five commits that it lost', async () => {
    await commit(2);
    let swaps = 0;
    const losing = wrapPorts(ports, (call, run) => {
      if (call.method !== 'swap') return run();
      swaps += 1;
      return Promise.reject(new StorageFault('conflict', 'somebody was faster'));
    });
    expect(await sealOn(losing)).toEqual({ sealed: 0, busy: true });
    expect(swaps).toBe(5);
    expect(await streamLines(ports)).toEqual([]);
  });

  it('does not take the first head of another, made a moment ago, for one that is lost', async () => {
    const ids = [...(await commit(2))];
    let rival = false;
    const late = wrapPorts(ports, async (call, run) => {
      if (call.method === 'acquireLease') return 'a lease of its own';
      if (call.method === 'list' && call.args[0] === 'audit' && !rival) {
        rival = true;
        await sealOn(ports);
        ids.push(...(await commit(1, START + 10, 'late_')));
      }
      return run();
    });
    expect(await sealOn(late)).toEqual({ sealed: 1, busy: false });
    await assertSealed(ports, ids);
  });
});

describe('a sealer after another that died', () => {
  /** Dies after the commit point, at its first write of index rows: the lines are in the stream. */
  async function died(count: number): Promise<void> {
    await commit(count);
    const dying = wrapPorts(ports, (call, run) =>
      call.method === 'commit' && call.args[0] === 'auditevents'
        ? Promise.reject(new StorageFault('unavailable', 'no answer'))
        : run(),
    );
    await expect(sealOn(dying)).rejects.toMatchObject({ code: 'storage-unavailable' });
    await clock.advance(15_000);
  }
  const broken = (what: string) => ({ code: 'integrity-failure', evidence: { tenant: TENANT, what } });

  it('does not seal the same events again where the stage is gone', async () => {
    await died(3);
    await ports.blobs.delete('ledger', (await headOf(ports)).stage);
    await expect(sealOn(ports)).rejects.toMatchObject(broken('the stage of the head is gone'));
    expect(await streamLines(ports)).toHaveLength(3);
  });

  it('does not finish a stage that is not the head’s', async () => {
    await died(2);
    const head = await headOf(ports);
    // A head that is whole in itself, of a log with one event more.
    const tree = append({ size: head.tree_size, edge: head.edge }, leafHash('{}'));
    const forged = { ...head, tree_size: tree.size, edge: tree.edge, root: rootOf(tree) };
    const etag = (await ports.blobs.find('ledger', `${TENANT}/head`))?.etag;
    await ports.blobs.swap('ledger', `${TENANT}/head`, Buffer.from(JSON.stringify(forged)), etag);
    await expect(sealOn(ports)).rejects.toMatchObject(broken('the stage of the head has another size'));
  });
});
