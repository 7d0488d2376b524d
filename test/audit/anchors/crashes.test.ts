import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { verifyAnchor } from '../../../src/audit/verifier/index.js';
import type { StoragePorts } from '../../../src/storage/ports.js';
import { StorageFault } from '../../../src/storage/ports.js';
import { created, newTenant } from '../../support/decisions.js';
import { httpHost } from '../../support/http-harness.js';
import { TEST_LOG_KEYS } from '../../support/log-keys.js';
import { openStorage, STORAGES } from '../../support/platform.js';
import type { StorageUnderTest } from '../../support/storages.js';
import { startWitness, type TestWitness } from '../../support/witness.js';
import { wrapPorts } from '../../support/wrap-ports.js';
import { entriesOf, PLATFORM_VKEY, round, witnessedBy } from './support.js';

const WRITES = ['commit', 'putOnce', 'swap', 'createAppend', 'append', 'delete'];

/** A host that dies at its n-th write, before or after the write was done; `writes` counts. */
function mortal(ports: StoragePorts, dies: { readonly at: number; readonly done: boolean }) {
  const state = { writes: 0, dead: false };
  const wrapped = wrapPorts(ports, async (call, run) => {
    // How long the lease of a dead process keeps others waiting is tried elsewhere; here it is over at once.
    if (call.method === 'releaseLease') return run();
    if (state.dead) throw new StorageFault('refused', 'this process has died');
    if (!WRITES.includes(call.method)) return run();
    state.writes += 1;
    if (state.writes !== dies.at) return run();
    state.dead = true;
    if (dies.done) await run();
    throw new StorageFault('refused', 'this process has died');
  });
  return { state, ports: wrapped };
}

describe.each(STORAGES)('anchors and a host that dies $name', (kind) => {
  let storage: StorageUnderTest;
  let witness: TestWitness;

  beforeEach(async () => {
    storage = await openStorage(kind);
    witness = await startWitness([PLATFORM_VKEY]);
  });
  afterEach(() => {
    witness.close();
    storage.close();
  });

  it('are finished by the next round, whichever write was its last', { timeout: 300_000 }, async () => {
    const anchoring = witnessedBy(witness);
    const host = httpHost(storage.ports, { anchoring });
    const tenant = newTenant();
    const as = { tenant, roles: 'records.auditor' };
    const [vkey = ''] = TEST_LOG_KEYS.vkeys(tenant);
    const options = { vkey, platformVkey: PLATFORM_VKEY, witnessVkeys: [witness.vkey] };
    // On Azurite every third write: they are the same as in memory.
    const stride = kind.realTime ? 3 : 1;
    let size = 0;
    let deaths = 0;
    for (const done of [false, true]) {
      for (let at = 1; ; at += stride) {
        await created(host, {}, { tenant });
        await host.platform.sealer.sealTenant(tenant);
        size += 1;
        const { state, ports } = mortal(storage.ports, { at, done });
        const died = await round(httpHost(ports, { anchoring })).then(() => false, () => true); // prettier-ignore
        await round(host);
        const text = (await host.get('/audit/log/anchor', as)).text;
        const { verdict, proven } = await verifyAnchor(text, options);
        expect([at, done, verdict, proven?.tree_size]).toEqual([at, done, 'yes', size]);
        const entries = await entriesOf(storage.ports.blobs, '_system');
        const logged = entries.map((entry) => JSON.parse(entry) as { event_id: string; details: { checkpoint: string } }); // prettier-ignore
        expect(new Set(logged.map(({ details }) => details.checkpoint)).size).toBe(size);
        expect(logged).toHaveLength(size);
        if (!died && !state.dead) break;
        deaths += 1;
      }
    }
    expect(deaths).toBeGreaterThan(kind.realTime ? 5 : 20);
  });
});
