import fc from 'fast-check';
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { canonicalJson, type Json } from '../../src/domain/canonical-json.js';
import { commitData, discloseData, secretsMatch } from '../../src/domain/committed-form.js';
import { storedEnvelope, verifyStored } from '../../src/domain/envelope.js';
import { seededEntropy } from '../support/entropy.js';

const PATTERNS = ['/who', '/votes/*/reasoning', '/inputs/a~1b'];
const record = {
  id: 'x',
  who: { name: 'Ada', born: 1815 },
  votes: [{ agent: 'cfo', reasoning: 'salary of Ada' }, { agent: 'cto' }],
  inputs: { 'a/b': ['secret'], open: true },
};

describe('the committed form', () => {
  it('replaces exactly the sensitive values that are there by salted commitments', () => {
    const { committed, secrets } = commitData(record, PATTERNS, seededEntropy());
    expect(Object.keys(secrets)).toEqual(['/who', '/votes/0/reasoning', '/inputs/a~1b']);
    expect(committed).toMatchObject({
      id: 'x',
      votes: [{ agent: 'cfo' }, { agent: 'cto' }],
      inputs: { open: true },
    });
    expect(JSON.stringify(committed)).not.toMatch(/Ada|salary|secret/);
  });

  it('commits to salt || canonical JSON with SHA-256, as an auditor would recompute it', () => {
    const { committed, secrets } = commitData(record, PATTERNS, seededEntropy());
    const secret = secrets['/who'];
    const salt = Buffer.from(secret?.salt ?? '', 'base64url');
    expect(salt).toHaveLength(32);
    const hash = createHash('sha256').update(salt).update('{"born":1815,"name":"Ada"}').digest('hex');
    expect(committed['who']).toEqual({ $commitment: hash });
  });

  it('uses a fresh salt for each value and each time', () => {
    const entropy = seededEntropy();
    const salts = [1, 2].flatMap(() =>
      Object.values(commitData(record, PATTERNS, entropy).secrets).map((secret) => secret.salt),
    );
    expect(new Set(salts).size).toBe(6);
  });

  it('gives the data back with its secrets, and notices a secret that does not belong', () => {
    const { committed, secrets } = commitData(record, PATTERNS, seededEntropy());
    expect(discloseData(committed, secrets)).toEqual(record);
    const sealed = Object.keys(secrets);
    expect(secretsMatch(committed, sealed, secrets)).toBe(true);
    const who = secrets['/who'];
    expect(secretsMatch(committed, sealed, { '/who': { salt: who?.salt ?? '', value: 'Eve' } })).toBe(false);
    expect(secretsMatch(committed, sealed, { '/id': { salt: who?.salt ?? '', value: 'x' } })).toBe(false);
  });

  it('goes with what is left of its secrets once one was erased, and with nothing that was not sealed', () => {
    const { committed, secrets } = commitData(record, PATTERNS, seededEntropy());
    const sealed = Object.keys(secrets);
    const { '/who': who, ...left } = secrets;
    expect(who).toBeDefined();
    expect(secretsMatch(committed, sealed, left)).toBe(true);
    expect(secretsMatch(committed, sealed, {})).toBe(true);
    expect(discloseData(committed, left)).toMatchObject({ who: committed['who'] });
    expect(secretsMatch(committed, Object.keys(left), left)).toBe(false);
    expect(secretsMatch(committed, [...sealed, '/id'], secrets)).toBe(false);
    expect(secretsMatch({ ...committed, who: 'Ann' }, sealed, left)).toBe(false);
    expect(secretsMatch({ ...committed, more: { $commitment: 'x' } }, sealed, left)).toBe(false);
  });

  it('is the data itself when nothing is sensitive', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (data) => {
        const { committed, secrets } = commitData(data, [], seededEntropy());
        expect(canonicalJson(committed as Json)).toBe(canonicalJson(data as Json));
        expect(secrets).toEqual({});
      }),
    );
  });
});

describe('a stored envelope', () => {
  const head = { record_type: 'decision', id: 'dec_1', tenant: 'default', revision: 3, schema_version: '1.0', stored_at: '2026-11-21T08:00:00.000Z' }; // prettier-ignore
  const stored = storedEnvelope(head, { a: 1, b: 'zwei' }, {});
  const bytes = Buffer.from(JSON.stringify(stored));

  it('verifies against its row', () => {
    expect(verifyStored(bytes, stored)).toEqual(stored);
  });

  it('is noticed with any single byte flipped', () => {
    for (let at = 0; at < bytes.length; at += 1) {
      for (const bit of [1, 0x20]) {
        const flipped = Buffer.from(bytes);
        flipped[at] = (flipped[at] as number) ^ bit;
        const result = verifyStored(flipped, stored);
        // `tier` is the row's to say and is the one member a blob may hold an old value of.
        if ('broken' in result) continue;
        expect({ ...result, tier: stored.tier }).toEqual(stored);
      }
    }
  });

  it('is noticed when the row speaks of another tenant, id, revision or checksum', () => {
    for (const [member, value] of Object.entries({
      tenant: 'other',
      id: 'dec_2',
      revision: 2,
      checksum: '00',
    })) {
      expect(verifyStored(bytes, { ...stored, [member]: value })).toEqual({ broken: member });
    }
  });

  it('names the first thing that does not hold', () => {
    const written = (change: object): Uint8Array => Buffer.from(JSON.stringify({ ...stored, ...change }));
    for (const [content, broken] of [
      [Buffer.from('{'), 'json'],
      [Buffer.from('null'), 'json'],
      [Buffer.from('7'), 'json'],
      [Buffer.from(JSON.stringify({ ...stored, sealed: { '/a': 'v1.\u00ff' } }), 'latin1'), 'json'],
      [Buffer.from('{}'), 'record_type'],
      [written({ record_type: 'agent', data: {} }), 'record_type'],
      [written({ schema_version: '2.0' }), 'schema_version'],
      [written({ stored_at: '2026-11-21T08:00:00.001Z' }), 'stored_at'],
      [written({ surprise: 1 }), 'members'],
      [written({ tier: 'cold' }), 'members'],
      [written({ checksum_algorithm: 'MD5' }), 'checksum_algorithm'],
      [written({ data: { a: 2, b: 'zwei' } }), 'data'],
      [written({ data: undefined }), 'data'],
      [written({ data: { a: '\ud800' } }), 'data'],
    ] as const)
      expect([broken, verifyStored(content, stored)]).toEqual([broken, { broken }]);
  });

  it('may say another tier than its row, and carries sealed values where there are any', () => {
    for (const change of [{ tier: 'cool' }, { tier: 'archive' }, { sealed: { '/a': 'v1.x' } }]) {
      const other = { ...stored, ...change };
      expect(verifyStored(Buffer.from(JSON.stringify(other)), stored)).toEqual(other);
    }
    expect('sealed' in stored).toBe(false);
    expect(storedEnvelope(head, { a: 1 }, { '/a': 'v1.x' }).sealed).toEqual({ '/a': 'v1.x' });
  });
});
