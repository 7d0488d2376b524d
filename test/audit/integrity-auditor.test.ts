import { beforeEach, describe, expect, it } from 'vitest';
import type { AuditDraft } from '../../src/audit/emitter.js';
import { IntegrityAuditor } from '../../src/audit/integrity-auditor.js';
import { parseId } from '../../src/domain/ids.js';
import type { Log } from '../../src/telemetry/log.js';
import { seededEntropy } from '../support/entropy.js';
import { caller } from '../support/platform.js';
import { VirtualClock } from '../support/virtual-clock.js';

const FINDING = { recordType: 'decision', id: 'dec_1', revision: 3, what: 'row' };
const HOUR = 3_600_000;
const call = caller({ tenant: 'acme', actor: 'ada', ipAddress: '192.0.2.7', sessionId: 'session-1' });
let clock: VirtualClock;
let emitted: AuditDraft[];
let logged: unknown[];
let failure: Error | undefined;

beforeEach(async () => {
  clock = new VirtualClock();
  await clock.advance(1);
  emitted = [];
  logged = [];
  failure = undefined;
});

function auditor(): IntegrityAuditor {
  const emit = async (drafts: readonly AuditDraft[]): Promise<void> => {
    if (failure !== undefined) throw failure;
    emitted.push(...drafts);
  };
  const log = { warn: (...said: unknown[]) => logged.push(said[1]) } as unknown as Log;
  return new IntegrityAuditor({ emitter: { emit }, clock, entropy: seededEntropy(), log });
}

describe('a record that does not hold together', () => {
  it('is a critical event in the name of who met it', async () => {
    await auditor().report(FINDING, call);
    expect(emitted).toEqual([
      {
        eventId: expect.any(String) as string,
        timestampMs: clock.now(),
        tenant: 'acme',
        actorName: 'ada',
        eventType: 'integrity.failed',
        severity: 'critical',
        action: 'read',
        resourceType: 'decision',
        resourceId: 'dec_1',
        outcome: 'failure',
        details: { revision: 3, what: 'row' },
        correlationId: 'test',
        ipAddress: '192.0.2.7',
        sessionId: 'session-1',
      },
    ]);
    expect(parseId(emitted[0]?.eventId ?? '')).toEqual({ prefix: 'evt', ms: clock.now() });
    expect(logged).toEqual([{ tenant: 'acme', reason: 'dec_1 row' }]);
  });

  it('is told once an hour, however often it is met, and by every process', async () => {
    const one = auditor();
    for (let met = 0; met < 5; met += 1) await one.report({ ...FINDING }, call);
    await clock.advance(HOUR - 1);
    await one.report(FINDING, call);
    expect(emitted).toHaveLength(1);
    await clock.advance(2);
    await one.report(FINDING, call);
    expect(emitted).toHaveLength(2);
    await auditor().report(FINDING, call);
    expect(emitted).toHaveLength(3);
  });

  it('is another finding in another tenant, record, revision or part', async () => {
    const one = auditor();
    await one.report(FINDING, call);
    await one.report(FINDING, { ...call, tenant: 'other' });
    for (const change of [{ id: 'dec_2' }, { revision: 4 }, { what: 'blob missing' }])
      await one.report({ ...FINDING, ...change }, call);
    expect(emitted).toHaveLength(5);
  });

  it('is logged when it cannot be audited, harms nobody, and is tried again the next time', async () => {
    const one = auditor();
    failure = new Error('no answer');
    await one.report(FINDING, call);
    expect(logged[1]).toEqual({ tenant: 'acme', reason: 'Error' });
    failure = undefined;
    await one.report(FINDING, call);
    expect(emitted).toHaveLength(1);
  });
});
