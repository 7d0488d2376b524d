import { describe, expect, it } from 'vitest';
import {
  BLOB_CONTAINERS,
  compoundKeyValue,
  dayOf,
  idempotencyKey,
  indexKey,
  indexRange,
  invertedTime,
  keyValue,
  listedKey,
  monthOf,
  partitionKey,
  pendingEventKey,
  prefixRange,
  QUEUES,
  recordKey,
  revisionKey,
  SYSTEM_TENANT,
} from '../../src/storage/keys.js';

/** Keys and names as they are written down (docs/storage-layout.md): others read the storage by them. */
const ID = 'dec_01980000-0000-7000-8000-000000000000';

describe('the storage layout', () => {
  it('spells row keys as it is documented', () => {
    expect(recordKey(ID)).toBe(`r:${ID}`);
    expect(revisionKey(ID, 1)).toBe(`v:${ID}:0000000001`);
    expect(revisionKey(ID, 9_999_999_999)).toBe(`v:${ID}:9999999999`);
    expect(pendingEventKey('evt_1')).toBe('o:evt_1');
    expect(listedKey(ID)).toBe(`s:${ID}`);
    expect(idempotencyKey('abc')).toBe('k:abc');
    expect(indexKey('status', 'queued', 1_700_000_000_000, ID)).toBe(`i:status:queued:8299999999999:${ID}`);
  });

  it('spells partitions as it is documented', () => {
    expect(partitionKey('acme', '2026-11')).toBe('acme:2026-11');
    expect(partitionKey('acme', 'a b')).toBe('acme:a=20b');
    const late = Date.UTC(2026, 10, 30, 23, 59, 59, 999);
    expect([monthOf(late), dayOf(late)]).toEqual(['2026-11', '2026-11-30']);
    expect([monthOf(late + 1), dayOf(late + 1)]).toEqual(['2026-12', '2026-12-01']);
  });

  it('pads what it encodes, and joins compound values by an encoded NUL', () => {
    expect(keyValue('\t')).toBe('=09');
    expect(compoundKeyValue(['queued', 'strategic'])).toBe('queued=00strategic');
    expect(compoundKeyValue([])).toBe('');
  });

  it('hashes the end of a long value away', () => {
    // printf 'a%.0s' {1..129} | sha256sum
    const hash = 'c12cb024a2e5551cca0e08fce8f1c5e314555cc3fef6329ee994a3db752166ae';
    expect(keyValue('a'.repeat(129))).toBe(`${'a'.repeat(64)}=${hash.slice(0, 32)}`);
  });

  it('measures a value as it is encoded', () => {
    const encoded = `${'a'.repeat(122)}=C3=BC`;
    expect(keyValue(`${'a'.repeat(122)}ü`)).toBe(encoded);
    expect(keyValue(`${'a'.repeat(123)}ü`)).toMatch(/^a{64}=[0-9a-f]{32}$/);
  });

  it('inverts times within 1970 to 2286', () => {
    expect(invertedTime(0)).toBe('9999999999999');
    expect(invertedTime(9_999_999_999_998)).toBe('0000000000001');
    expect([invertedTime(-5), invertedTime(1e15)]).toEqual(['9999999999999', '0000000000000']);
  });

  it('bounds a range of an index by its times', () => {
    const prefix = 'i:status:queued:';
    expect(indexRange('status', 'queued', undefined, undefined)).toEqual({ from: prefix, to: `${prefix};` });
    expect(indexRange('status', 'queued', 1000, 2000)).toEqual({
      from: `${prefix}9999999998000`,
      to: `${prefix}9999999998999;`,
    });
    expect(indexRange('status', 'queued', undefined, 1).from).toBe(`${prefix}9999999999999`);
  });

  it('finds nothing before 1970', () => {
    const nothing = { from: 'i:status:queued:;', to: 'i:status:queued:;' };
    expect(indexRange('status', 'queued', undefined, 0)).toEqual(nothing);
    expect(indexRange('status', 'queued', -2000, -1000)).toEqual(nothing);
  });

  it('ends a prefix where the next begins', () => {
    expect(prefixRange('o:')).toEqual({ from: 'o:', to: 'o;' });
    expect(prefixRange('v:x:')).toEqual({ from: 'v:x:', to: 'v:x;' });
  });

  it('names containers, queues and the tenant of nobody', () => {
    expect(BLOB_CONTAINERS).toEqual({ records: 'records', audit: 'audit', ledger: 'ledger' });
    expect(QUEUES).toEqual({
      inbox: 'records-inbox',
      inboxPoison: 'records-inbox-poison',
      seal: 'seal-work',
      sealPoison: 'seal-work-poison',
      lifecycle: 'lifecycle-work',
      lifecyclePoison: 'lifecycle-work-poison',
    });
    expect(SYSTEM_TENANT).toBe('_system');
  });
});
