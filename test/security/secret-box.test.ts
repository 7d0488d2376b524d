import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AesSecretBox } from '../../src/security/secret-box.js';
import type { SealingContext } from '../../src/domain/commitment.js';
import { seededEntropy } from '../support/entropy.js';

const KEY = new Uint8Array(32).fill(1);
const OTHER_KEY = new Uint8Array(32).fill(2);
const CONTEXT: SealingContext = { tenant: 'acme', type: 'decision', id: 'dec_1', revision: 3 };
const SECRETS = {
  '/name': { salt: 'c2FsdA', value: { first: 'Ann', langs: ['ü', 1, null] } },
  '/x': { salt: 's', value: '' },
};
const entropy = seededEntropy('box');
const box = new AesSecretBox([KEY], entropy);
const refusal = { code: 'integrity-failure' };

describe('the secret box', () => {
  it('opens what it sealed', async () => {
    const sealed = await box.seal(CONTEXT, SECRETS);
    expect(JSON.stringify(sealed)).not.toContain('Ann');
    expect(await box.open(CONTEXT, sealed)).toEqual(SECRETS);
    expect(await new AesSecretBox([KEY], entropy).open(CONTEXT, sealed)).toEqual(SECRETS);
  });

  it('writes version, key id and payload, with a fresh nonce each time', async () => {
    const first = await box.seal(CONTEXT, SECRETS);
    const second = await box.seal(CONTEXT, SECRETS);
    // The first 8 hex digits of the SHA-256 of 32 bytes of 0x01.
    expect(first['/name']).toMatch(/^v1\.72cd6e84\.[A-Za-z0-9_-]+$/);
    expect(first['/name']).not.toBe(second['/name']);
  });

  it.each([
    ['tenant', { tenant: 'other' }],
    ['type', { type: 'agent_state' }],
    ['id', { id: 'dec_2' }],
    ['revision', { revision: 4 }],
  ])('does not open a value that was moved to another %s', async (_, change) => {
    const sealed = await box.seal(CONTEXT, SECRETS);
    await expect(box.open({ ...CONTEXT, ...change }, sealed)).rejects.toMatchObject(refusal);
  });

  it('does not open a value that was moved to another pointer', async () => {
    const sealed = await box.seal(CONTEXT, SECRETS);
    const moved = { '/x': sealed['/name'] ?? '' };
    await expect(box.open(CONTEXT, moved)).rejects.toMatchObject(refusal);
  });

  it('does not open a value of which any character was altered', async () => {
    const sealed = (await box.seal(CONTEXT, SECRETS))['/name'] ?? '';
    await fc.assert(
      fc.asyncProperty(fc.nat(sealed.length - 1), fc.constantFrom(...'Ab0_-.='), async (at, char) => {
        fc.pre(sealed[at] !== char);
        const altered = sealed.slice(0, at) + char + sealed.slice(at + 1);
        await expect(box.open(CONTEXT, { '/name': altered })).rejects.toMatchObject(refusal);
      }),
      { numRuns: 400 },
    );
  });

  it('does not open a value that was cut short, or is not one', async () => {
    const sealed = (await box.seal(CONTEXT, SECRETS))['/name'] ?? '';
    for (const text of [
      '',
      'v1',
      'v1..',
      sealed.slice(0, 20),
      sealed.slice(0, -8),
      `${sealed}AAAA`,
      `v2${sealed.slice(2)}`,
    ]) {
      await expect(box.open(CONTEXT, { '/name': text })).rejects.toMatchObject(refusal);
    }
  });

  it('opens with an older wrapping key, seals with the first, and with none it does not know', async () => {
    const old = await box.seal(CONTEXT, SECRETS);
    const rotated = new AesSecretBox([OTHER_KEY, KEY], entropy);
    expect(await rotated.open(CONTEXT, old)).toEqual(SECRETS);
    await expect(box.open(CONTEXT, await rotated.seal(CONTEXT, SECRETS))).rejects.toMatchObject(refusal);
  });

  it('says nothing of the value in its error', async () => {
    const sealed = await box.seal(CONTEXT, SECRETS);
    const error: unknown = await box.open({ ...CONTEXT, id: 'x' }, sealed).catch((e: unknown) => e);
    expect(JSON.stringify(error)).not.toContain('Ann');
  });

  it('refuses a wrapping key that is not 32 bytes', () => {
    expect(() => new AesSecretBox([], entropy)).toThrow(TypeError);
    expect(() => new AesSecretBox([new Uint8Array(16)], entropy)).toThrow(TypeError);
  });
});
