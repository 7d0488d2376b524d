import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/domain/errors.js';
import { decisionType } from '../../src/records/decision.js';
import {
  broken,
  envelopeHead,
  indexKeysOf,
  integrityEvidence,
  parseRecordRow,
  parseRevisionRow,
  recordRowColumns,
  revisionRowColumns,
  summaryColumns,
  summaryMembers,
  summaryOf,
  type RevisionFacts,
} from '../../src/storage/record-row.js';
import type { Properties, Row } from '../../src/storage/ports.js';
import { withRowChecksum } from '../../src/storage/row-checksum.js';

const KEY = 'acme:2026-11';
const ID = 'dec_1';
const CREATED = '2026-11-21T08:00:00.000Z';
const facts: RevisionFacts = {
  id: ID,
  revision: 2,
  schemaVersion: '1.0',
  tier: 'hot',
  checksum: 'cc',
  previousChecksum: 'bb',
  storedAt: '2026-11-21T09:00:00.000Z',
  eventId: 'evt_1',
  action: 'patch',
  location: { blob: 'the/blob', offset: 3, length: 5 },
};
const data = { decision_type: 'strategic', title: 'T', status: 'queued', created_by: 'ada', created_at: CREATED, inputs: {} }; // prettier-ignore
const rowOf = (rowKey: string, columns: Properties): Row => ({
  partitionKey: KEY,
  rowKey,
  etag: '"7"',
  timestampMs: 0,
  properties: withRowChecksum(KEY, rowKey, columns),
});
const recordRow = (of = facts): Row =>
  rowOf('r:dec_1', recordRowColumns(decisionType, of, CREATED, ['i:a', 'i:b'], summaryMembers(decisionType, data), [])); // prettier-ignore
const revisionRow = (of = facts): Row => rowOf('v:dec_1:0000000002', revisionRowColumns(decisionType, of));

describe('the row of a record', () => {
  it('comes back with its facts, its index keys and its version', () => {
    expect(parseRecordRow(recordRow(), ID)).toEqual({
      ...facts,
      createdAt: CREATED,
      indexKeys: ['i:a', 'i:b'],
      links: [],
      etag: '"7"',
    });
    expect(parseRevisionRow(revisionRow(), ID)).toEqual(facts);
  });

  it('of a first revision names no previous checksum', () => {
    const first = { ...facts, revision: 1, previousChecksum: undefined };
    expect('previous_checksum' in recordRow(first).properties).toBe(false);
    expect(parseRecordRow(recordRow(first), ID)).toMatchObject(first);
    expect(parseRevisionRow(revisionRow(first), ID)).toEqual(first);
  });

  it('is another record’s, or altered, and says so', () => {
    const failure = (what: string, id = ID) =>
      expect.objectContaining({ code: 'integrity-failure', evidence: { id, revision: 2, what } }) as Error;
    expect(() => parseRecordRow(recordRow(), 'dec_2')).toThrow(failure('row', 'dec_2'));
    expect(() => parseRevisionRow(revisionRow(), 'dec_2')).toThrow(failure('revision row', 'dec_2'));
    const altered = (row: Row): Row => ({ ...row, properties: { ...row.properties, tier: 'cool' } });
    expect(() => parseRecordRow(altered(recordRow()), ID)).toThrow(failure('row'));
    expect(() => parseRevisionRow(altered(revisionRow()), ID)).toThrow(failure('revision row'));
  });

  it('makes evidence that the auditor understands, and of nothing else', () => {
    expect(integrityEvidence(broken(ID, 2, 'row'))).toEqual({ id: ID, revision: 2, what: 'row' });
    expect(integrityEvidence(new AppError('integrity-failure', 'x', { evidence: { tenant: 't' } }))).toBeUndefined(); // prettier-ignore
    expect(integrityEvidence(new AppError('forbidden', 'x', { evidence: { id: ID } }))).toBeUndefined();
    expect(integrityEvidence(new Error('x'))).toBeUndefined();
  });
});

describe('the head of an envelope', () => {
  it('is what a revision row says, and how its checksum was made', () => {
    expect(envelopeHead(decisionType, 'acme', facts)).toEqual({
      ...{ record_type: 'decision', id: ID, tenant: 'acme', revision: 2, schema_version: '1.0', tier: 'hot' },
      ...{ stored_at: facts.storedAt, checksum_algorithm: 'SHA-256', checksum: 'cc' },
    });
  });
});

describe('a summary', () => {
  it('holds the declared members that are text, numbers or booleans', () => {
    const type = { ...decisionType, summary: ['a', 'b', 'c', 'd', 'e', 'f'] };
    const members = summaryMembers(type, {
      a: 'x',
      b: 1,
      c: false,
      d: null,
      e: { deep: 1 },
      g: 'undeclared',
    });
    expect(members).toEqual({ a: 'x', b: 1, c: false });
  });

  it('is the same from a record’s row and from an index row, without what else they hold', () => {
    const expected = {
      ...{ record_type: 'decision', id: ID, revision: 2, schema_version: '1.0', tier: 'hot', checksum: 'cc' },
      ...{ created_at: CREATED, updated_at: facts.storedAt },
      ...{ decision_type: 'strategic', title: 'T', status: 'queued' },
    };
    const listed = summaryColumns(decisionType, facts, CREATED, summaryMembers(decisionType, data));
    expect(listed).toEqual(expected);
    expect(summaryOf(decisionType, rowOf('i:a', listed))).toEqual(expected);
    expect(summaryOf(decisionType, recordRow())).toEqual(expected);
  });
});

describe('the index keys of a record', () => {
  it('are those of the indexes whose fields it has, the one of all first', () => {
    const inverted = String(9_999_999_999_999 - Date.parse(CREATED));
    expect(indexKeysOf(decisionType, ID, data, {})).toEqual([
      `i:all::${inverted}:${ID}`,
      `i:status:queued:${inverted}:${ID}`,
      `i:decision_type:strategic:${inverted}:${ID}`,
      `i:status.decision_type:queued=00strategic:${inverted}:${ID}`,
    ]);
    expect(
      indexKeysOf(
        decisionType,
        ID,
        { created_at: CREATED, status: 1, decision_type: 'x' },
        { created_by: 'ab12' },
      ),
    ).toEqual([
      `i:all::${inverted}:${ID}`,
      `i:decision_type:x:${inverted}:${ID}`,
      `i:created_by:ab12:${inverted}:${ID}`,
    ]);
  });
});
