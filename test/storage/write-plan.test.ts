import { describe, expect, it } from 'vitest';
import { eventText } from '../../src/domain/audit-event.js';
import { buildEvent } from '../../src/domain/build-event.js';
import { LIMITS } from '../../src/domain/limits.js';
import { newId } from '../../src/domain/ids.js';
import { decisionType } from '../../src/records/decision.js';
import type { Properties } from '../../src/storage/ports.js';
import { describePlan, revisionPlan, type RevisionToWrite } from '../../src/storage/write-plan.js';
import type { RecordRow, RevisionFacts } from '../../src/storage/record-row.js';
import { indexKeysOf } from '../../src/storage/record-row.js';
import { seededEntropy } from '../support/entropy.js';

const entropy = seededEntropy('plan');
const ms = Date.parse('2026-11-21T08:00:00.000Z');
const id = newId('dec', ms, entropy);
const partition = { tenant: 'acme', table: 'decisions', partition: '2026-11' };
const blob = { container: 'records', name: 'acme/decision/2026-11/x.json', bytes: new Uint8Array(3), contentType: 'application/json' }; // prettier-ignore

/** What rows have of `ada`. */
const BLINDS = { created_by: 'ab'.repeat(16) };

const data = (changes: Record<string, unknown> = {}) => ({
  decision_id: id, decision_type: 'strategic', title: 'Warehouse', status: 'queued', created_at: '2026-11-21T08:00:00.000Z',
  created_by: 'ada', inputs: {}, agent_votes: [], metadata: {}, ...changes,
}); // prettier-ignore

function write(
  revision: number,
  changes: Record<string, unknown>,
  previous: RecordRow | undefined,
): RevisionToWrite {
  const eventId = newId('evt', ms + revision, entropy);
  const facts: RevisionFacts = {
    id, revision, schemaVersion: '1.0', tier: 'hot', checksum: 'c'.repeat(64), previousChecksum: previous?.checksum,
    storedAt: '2026-11-21T08:00:00.001Z', eventId, action: 'create', location: { blob: blob.name, offset: 0, length: 3 },
  }; // prettier-ignore
  const { event } = buildEvent(
    {
      eventId, timestampMs: ms + revision, tenant: 'acme', actor: newId('act', ms, entropy), eventType: 'record.created',
      severity: 'info', action: 'create', resourceType: 'decision', resourceId: id, outcome: 'success', details: {},
      correlationId: 'c',
    },
    entropy,
  ); // prettier-ignore
  return {
    type: decisionType,
    facts,
    data: data(changes),
    blinds: BLINDS,
    subjects: [],
    event,
    sealedEvent: {},
    previous,
  };
}

describe('a write plan', () => {
  it('of a new decision is a blob and one transaction of eight rows, and can be printed', () => {
    const plan = revisionPlan(partition, write(1, {}, undefined), blob, []);
    const inverted = String(9_999_999_999_999 - ms);
    expect(describePlan(plan).split('\n')).toEqual([
      'put records/acme/decision/2026-11/x.json (3 bytes, once)',
      'commit decisions acme:2026-11',
      `  insert r:${id}`,
      `  insert v:${id}:0000000001`,
      `  insert i:all::${inverted}:${id}`,
      `  insert i:status:queued:${inverted}:${id}`,
      `  insert i:decision_type:strategic:${inverted}:${id}`,
      `  insert i:status.decision_type:queued=00strategic:${inverted}:${id}`,
      `  insert i:created_by:${BLINDS.created_by}:${inverted}:${id}`,
      `  insert o:${plan.witness.eventId}`,
    ]);
  });

  it('of a move compares the row’s ETag, and removes exactly the index rows that no longer hold', () => {
    const previous: RecordRow = {
      ...write(1, {}, undefined).facts,
      createdAt: '2026-11-21T08:00:00.000Z',
      indexKeys: indexKeysOf(decisionType, id, data(), BLINDS),
      links: [],
      history: undefined,
      etag: 'W/"7"',
    };
    const plan = revisionPlan(partition, write(2, { status: 'failed', completed_at: '2026-11-21T08:00:00.000Z' }, previous), blob, []); // prettier-ignore
    const steps = plan.operations.map(
      (step) => `${step.kind} ${step.rowKey.split(':').slice(0, 3).join(':')}`,
    );
    expect(steps).toEqual([
      `replace r:${id}`,
      `insert v:${id}:0000000002`,
      'upsert i:all:',
      'upsert i:status:failed',
      'upsert i:decision_type:strategic',
      'upsert i:status.decision_type:failed=00strategic',
      `upsert i:created_by:${BLINDS.created_by}`,
      'delete i:status:queued',
      'delete i:status.decision_type:queued=00strategic',
      `insert o:${plan.witness.eventId}`,
    ]);
    expect(plan.operations[0]).toMatchObject({ kind: 'replace', etag: 'W/"7"' });
  });

  it('never holds content in print, and never more rows than a transaction takes', () => {
    const plan = revisionPlan(partition, write(1, { title: 'Confidential' }, undefined), blob, []);
    expect(describePlan(plan)).not.toContain('Confidential');
    expect(plan.operations.length).toBeLessThanOrEqual(LIMITS.transactionRows);
  });

  it('holds the event as it will be in the log, and its sealed values where it has any', () => {
    const bare = write(1, {}, undefined);
    const pendingOf = (written: RevisionToWrite) =>
      revisionPlan(partition, written, blob, []).operations.at(-1) as { readonly properties: Properties };
    const { row_checksum, ...properties } = pendingOf(bare).properties;
    expect(row_checksum).toMatch(/^[0-9a-f]{32}$/);
    expect(properties).toEqual({
      event: eventText(bare.event),
      record_id: id,
      revision: 1,
      schema_version: '1.0',
    });
    const sealedEvent = { '/ip_address': 'v1.x' };
    const sealed = pendingOf({ ...bare, sealedEvent }).properties['sealed'];
    expect(sealed).toBe('{"/ip_address":"v1.x"}');
  });

  it('may be one without a blob, when printed', () => {
    const plan = { ...revisionPlan(partition, write(1, {}, undefined), blob, []), blob: undefined };
    expect(describePlan(plan).split('\n')[0]).toBe('commit decisions acme:2026-11');
  });
});
