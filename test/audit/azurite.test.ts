import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Actors } from '../../src/audit/actors.js';
import { AuditEmitter } from '../../src/audit/emitter.js';
import { SealScheduler } from '../../src/audit/seal-scheduler.js';
import { Sweeper } from '../../src/audit/sweeper.js';
import { newId } from '../../src/domain/ids.js';
import type { Clock } from '../../src/domain/clock.js';
import { useAzurite, type AzuriteAccount } from '../support/azurite.js';
import { seededEntropy } from '../support/entropy.js';
import { testKeyRing } from '../support/key-ring.js';
import { realClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';
import {
  assertNoOldStages,
  assertSealed,
  commitChanges,
  creates,
  DECISIONS,
  host,
  TENANT,
} from './support.js';

const START = Date.UTC(2026, 0, 10, 12);
const entropy = seededEntropy('azurite');
let azurite: AzuriteAccount;

beforeAll(async () => {
  azurite = useAzurite();
  await azurite.provision({
    tables: ['system', 'decisions', 'auditevents', 'actors', 'keys'],
    containers: ['audit', 'ledger'],
    queues: ['seal-work'],
  });
});
afterAll(() => azurite.close());

describe('the audit trail on Azurite', () => {
  it(
    'takes a tenant through changes, events, rolls, races, a lost answer and the sweep',
    { timeout: 60_000 },
    async () => {
      const { ports } = azurite;
      const app = host(ports, realClock);
      const ring = testKeyRing(ports, { entropy });
      const actors = new Actors({ tables: ports.tables, clock: realClock, entropy, ...ring });
      const errors: unknown[] = [];
      const onError = (error: unknown): number => errors.push(error);
      const seals = new SealScheduler({
        sealer: app.sealer,
        queues: ports.queues,
        clock: realClock,
        onError,
      });
      const emitter = new AuditEmitter({
        tables: ports.tables,
        directory: app.directory,
        actors,
        secretBox: ring.secretBox,
        entropy,
        onCommitted: (ref) => seals.committed(ref),
      });
      const drafts = Array.from({ length: 70 }, (_, n) => ({
        eventId: newId('evt', START + n, entropy),
        timestampMs: START + n,
        tenant: TENANT,
        actorName: 'ann@example.com',
        eventType: 'record.read' as const,
        severity: 'info' as const,
        action: 'read',
        resourceType: 'decision',
        resourceId: 'dec/ünï #1',
        outcome: 'success' as const,
        details: { text: 'line\u2028 "quoted" \\ ü 😀' },
        correlationId: 'c',
        ipAddress: '192.0.2.1',
      }));
      const ids = drafts.map(({ eventId }) => eventId);
      await emitter.emit(drafts.slice(0, 40));
      await emitter.emit(drafts);
      ids.push(...(await commitChanges(app, DECISIONS, creates(60, START))));
      seals.committed(DECISIONS);
      await seals.drain(30_000);
      expect(errors).toEqual([]);
      await assertSealed(ports, ids);

      ids.push(
        ...(await commitChanges(app, DECISIONS, [
          { record: 'dec_0', revision: 2, atMs: START + 1000 },
          { record: 'dec_0', revision: 3, atMs: START + 1001 },
        ])),
      );
      const tomorrow: Clock = { ...realClock, now: () => Date.now() + 86_400_000 };
      let lost = false;
      const losing = wrapPorts(ports, async (call, run) => {
        const result = await run();
        if (call.method !== 'append' || lost) return result;
        lost = true;
        throw new Error('the process died');
      });
      await expect(host(losing, tomorrow).sealer.sealTenant(TENANT)).rejects.toThrow('died');
      await app.sealer.sealTenant(TENANT);
      await assertSealed(ports, ids);
      const { names } = await ports.blobs.list('audit', `${TENANT}/`);
      expect(names).toHaveLength(2);
      expect((await ports.blobs.appendState('audit', names[0] ?? ''))?.sealed).toBe(true);

      ids.push(...(await commitChanges(app, DECISIONS, creates(150, START + 5000, 'race_'))));
      const unleased = (): ReturnType<typeof host> =>
        host(
          wrapPorts(ports, (call, run) =>
            call.method === 'acquireLease' ? Promise.resolve('anybody’s') : run(),
          ),
          realClock,
        );
      await Promise.all([unleased(), unleased(), unleased()].map(({ sealer }) => sealer.sealTenant(TENANT)));
      await assertSealed(ports, ids);

      ids.push(...(await commitChanges(app, DECISIONS, creates(5, START + 9000, 'last_'))));
      const { tables } = ports;
      const sweeper = new Sweeper({ tables, directory: app.directory, sealer: app.sealer, clock: realClock });
      expect(await sweeper.sweep()).toEqual({ tenants: 1, sealed: 5, cleaned: 0, failures: [] });
      await assertSealed(ports, ids);
      await assertNoOldStages(ports);

      const actor = await actors.pseudonym(TENANT, 'ann@example.com');
      expect(
        await new Actors({ tables, clock: realClock, entropy, ...testKeyRing(ports) }).nameOf(TENANT, actor),
      ).toBe('ann@example.com');
    },
  );
});
