import { beforeEach, describe, expect, it } from 'vitest';
import { Budget } from '../../src/storage/backoff.js';
import { findKeyedResult, findOwnResult, keyedRow, keyHash } from '../../src/storage/keyed-result.js';
import { partitionKey } from '../../src/storage/keys.js';
import type { Properties, Row, RowOperation, StoragePorts } from '../../src/storage/ports.js';
import { rowIntact, withRowChecksum } from '../../src/storage/row-checksum.js';
import { isVoid, voidRow } from '../../src/storage/void-row.js';
import { seededEntropy } from '../support/entropy.js';
import { memoryPorts } from '../support/memory-ports.js';
import { VirtualClock } from '../support/virtual-clock.js';

const REF = { tenant: 'acme', table: 'decisions', partition: '2026-11' };
const KEY = partitionKey('acme', '2026-11');
const NOW = Date.UTC(2026, 10, 21);
const RESULT = { fingerprint: 'print', revisions: [{ id: 'dec_1', revision: 2 }] };
let ports: StoragePorts;
let budget: Budget;

beforeEach(() => {
  const clock = new VirtualClock(NOW);
  ports = memoryPorts({ clock });
  budget = new Budget(clock, seededEntropy());
});

/** A row as it would come back from storage. */
function rowOf(operation: RowOperation, properties?: Properties): Row {
  const stored = properties ?? ('properties' in operation ? operation.properties : {});
  return { partitionKey: KEY, rowKey: operation.rowKey, etag: '"1"', timestampMs: 0, properties: stored };
}

describe('the row of an idempotency key', () => {
  it('is spelt as it is documented, with a checksum, and kept for seven days', () => {
    const row = keyedRow(KEY, 'abc', RESULT, NOW);
    expect(row).toMatchObject({
      kind: 'insert',
      rowKey: 'k:abc',
      properties: {
        schema_version: '1.0',
        fingerprint: 'print',
        revisions: '[{"id":"dec_1","revision":2}]',
        expires_ms: NOW + 7 * 86_400_000,
      },
    });
    expect(rowIntact(rowOf(row))).toBe(true);
  });

  it('takes the place of an expired one only under its ETag', () => {
    const { kind, ...row } = keyedRow(KEY, 'abc', RESULT, NOW);
    expect(kind).toBe('insert');
    expect(keyedRow(KEY, 'abc', RESULT, NOW, '"7"')).toEqual({ kind: 'replace', etag: '"7"', ...row });
  });

  it('says which revisions answered the key, to whoever sent the same body', async () => {
    expect(await findOwnResult(ports.tables, REF, { hash: 'abc', fingerprint: 'x' }, budget)).toBeUndefined();
    const [etag] = await ports.tables.commit('decisions', KEY, [keyedRow(KEY, 'abc', RESULT, NOW)]);
    const found = { ...RESULT, expiresMs: NOW + 7 * 86_400_000, etag };
    expect(await findKeyedResult(ports.tables, REF, 'abc', budget)).toEqual(found);
    const own = { hash: 'abc', fingerprint: 'print' };
    expect(await findOwnResult(ports.tables, REF, own, budget)).toEqual(found);
    await expect(
      findOwnResult(ports.tables, REF, { ...own, fingerprint: 'another' }, budget),
    ).rejects.toMatchObject({ code: 'idempotency-key-reused' });
  });

  it('is believed only as it was written', async () => {
    await ports.tables.commit('decisions', KEY, [keyedRow(KEY, 'abc', RESULT, NOW)]);
    await ports.tables.commit('decisions', KEY, [
      { kind: 'merge', rowKey: 'k:abc', properties: { revisions: '[]' }, etag: '*' },
    ]);
    await expect(findKeyedResult(ports.tables, REF, 'abc', budget)).rejects.toMatchObject({
      code: 'integrity-failure',
      evidence: { id: 'k:abc', what: 'idempotency row' },
    });
  });

  it('is named by tenant, scope and key, and no two of these can be taken for one another', () => {
    const hash = keyHash('t', { scope: 's', key: 'k' });
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
    expect(keyHash('t', { scope: 's', key: 'k' })).toBe(hash);
    const others = [
      keyHash('u', { scope: 's', key: 'k' }),
      keyHash('t', { scope: 'k', key: 's' }),
      keyHash('t', { scope: 's', key: 'l' }),
      keyHash('t', { scope: 'sk', key: '' }),
      keyHash('ts', { scope: '', key: 'k' }),
    ];
    expect(new Set([hash, ...others]).size).toBe(6);
  });
});

describe('a void row', () => {
  const row = voidRow(KEY, 'dec_1');

  it('is an insert at the place of the record, and told from a record’s row', () => {
    expect(row).toMatchObject({
      kind: 'insert',
      rowKey: 'r:dec_1',
      properties: { void: true, schema_version: '1.0' },
    });
    expect(isVoid(rowOf(row))).toBe(true);
    expect(isVoid(rowOf(row, withRowChecksum(KEY, 'r:dec_1', { id: 'dec_1' })))).toBe(false);
    // Nothing writes this; what is not void is not taken for it.
    expect(isVoid(rowOf(row, withRowChecksum(KEY, 'r:dec_1', { void: false })))).toBe(false);
  });

  it('is nothing that a damaged row of a record could be: who reads the record finds the damage', () => {
    const damaged = { ...withRowChecksum(KEY, 'r:dec_1', { id: 'dec_1' }), id: 'dec_2' };
    expect(isVoid(rowOf(row, damaged))).toBe(false);
  });

  it('is not believed when it was altered, nor when a record was made to look void', () => {
    for (const properties of [
      { ...rowOf(row).properties, schema_version: '1.1' },
      { ...withRowChecksum(KEY, 'r:dec_1', { id: 'dec_1' }), void: true },
    ]) {
      expect(() => isVoid(rowOf(row, properties))).toThrow(
        expect.objectContaining({ code: 'integrity-failure', evidence: { id: 'dec_1', revision: 0, what: 'row' } }), // prettier-ignore
      );
    }
  });
});
