import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { SealingContext, SecretBox, Subjects } from '../../src/domain/commitment.js';
import { KEYS_TABLE } from '../../src/security/keys/key-rows.js';
import type { StoragePorts } from '../../src/storage/ports.js';
import { countingPorts } from '../support/counting-ports.js';
import { keyOf, testKeyRing } from '../support/key-ring.js';
import { memoryPorts } from '../support/memory-ports.js';
import { sealV1 } from '../support/sealed-v1.js';
import { VirtualClock } from '../support/virtual-clock.js';

const CONTEXT: SealingContext = { tenant: 'acme', type: 'decision', id: 'dec_1', revision: 3 };
const SECRETS = {
  '/name': { salt: 'c2FsdA', value: { first: 'Ann', langs: ['ü', 1, null] } },
  '/x': { salt: 's', value: '' },
};
const SUBJECTS: Subjects = { '/name': ['ann', 'bob'], '/x': [] };
const refusal = { code: 'integrity-failure' };
let ports: StoragePorts;
let box: SecretBox;

beforeEach(() => {
  ports = memoryPorts({ clock: new VirtualClock() });
  box = testKeyRing(ports).secretBox;
});

describe('the secret box', () => {
  it('opens what it sealed, in any process', async () => {
    const sealed = await box.seal(CONTEXT, SECRETS, SUBJECTS);
    expect(JSON.stringify(sealed)).not.toMatch(/Ann|ann|bob/);
    expect(await box.open(CONTEXT, sealed)).toEqual(SECRETS);
    expect(await testKeyRing(ports).secretBox.open(CONTEXT, sealed)).toEqual(SECRETS);
  });

  it('writes version, ids of the keys in order, and payload, with a fresh nonce each time', async () => {
    const first = await box.seal(CONTEXT, SECRETS, SUBJECTS);
    const second = await box.seal(CONTEXT, SECRETS, SUBJECTS);
    expect(first['/name']).toMatch(/^v2\.[0-9a-f]{32}\+[0-9a-f]{32}\.[A-Za-z0-9_-]+$/);
    expect(first['/x']).toMatch(/^v2\.[0-9a-f]{32}\.[A-Za-z0-9_-]+$/);
    const [one = '', other = ''] = first['/name']?.split('.')[1]?.split('+') ?? [];
    expect(one < other).toBe(true);
    expect(first['/name']).not.toBe(second['/name']);
    expect(first['/name']?.split('.')[1]).toBe(second['/name']?.split('.')[1]);
  });

  it.each([
    ['tenant', { tenant: 'other' }],
    ['type', { type: 'agent_state' }],
    ['id', { id: 'dec_2' }],
    ['revision', { revision: 4 }],
  ])('does not open a value that was moved to another %s', async (_, change) => {
    const sealed = await box.seal(CONTEXT, SECRETS, SUBJECTS);
    await expect(box.open({ ...CONTEXT, ...change }, sealed)).rejects.toMatchObject(refusal);
  });

  it('does not open a value that was moved to another pointer', async () => {
    const sealed = await box.seal(CONTEXT, SECRETS, SUBJECTS);
    const moved = { '/x': sealed['/name'] ?? '' };
    await expect(box.open(CONTEXT, moved)).rejects.toMatchObject(refusal);
  });

  it('does not open a value of which any character was altered', async () => {
    const sealed = (await box.seal(CONTEXT, SECRETS, SUBJECTS))['/name'] ?? '';
    await fc.assert(
      fc.asyncProperty(fc.nat(sealed.length - 1), fc.constantFrom(...'Ab0_-.=+'), async (at, char) => {
        fc.pre(sealed[at] !== char);
        const altered = sealed.slice(0, at) + char + sealed.slice(at + 1);
        await expect(box.open(CONTEXT, { '/name': altered })).rejects.toMatchObject(refusal);
      }),
      { numRuns: 400 },
    );
  });

  it('does not open a value that was cut short, whose keys are in another order, or that is not one', async () => {
    const sealed = (await box.seal(CONTEXT, SECRETS, SUBJECTS))['/name'] ?? '';
    const [, ids = '', payload = ''] = sealed.split('.');
    const [one = '', other = ''] = ids.split('+');
    for (const text of [
      '',
      'v2',
      'v2..',
      sealed.slice(0, 80),
      sealed.slice(0, -8),
      `${sealed}AAAA`,
      `v1${sealed.slice(2)}`,
      `v2.${other}+${one}.${payload}`,
      `v2.${one}+${one}.${payload}`,
      `v2.${one}.${payload}`,
    ]) {
      await expect(box.open(CONTEXT, { '/name': text })).rejects.toMatchObject(refusal);
    }
  });

  it('opens any value of any subjects, and loses it with any of them', async () => {
    const ring = testKeyRing(ports);
    const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 12 }), { maxLength: 4, selector: (name) => name.normalize() }); // prettier-ignore
    let tenants = 0;
    await fc.assert(
      fc.asyncProperty(names, fc.jsonValue(), fc.nat(), async (subjects, value, pick) => {
        const context = { ...CONTEXT, tenant: `t${String((tenants += 1))}` };
        // What JSON cannot tell apart from 0.
        const secret = { salt: 'c2FsdA', value: JSON.parse(JSON.stringify(value)) as never };
        const sealed = await ring.secretBox.seal(context, { '/a': secret, '/b': secret }, { '/a': subjects });
        expect(await ring.secretBox.open(context, sealed)).toEqual({ '/a': secret, '/b': secret });
        const gone = subjects[pick % Math.max(1, subjects.length)];
        if (gone === undefined) return;
        await ring.dataKeys.destroySubject(context.tenant, gone);
        expect(await ring.secretBox.open(context, sealed)).toEqual({ '/b': secret });
      }),
      { numRuns: 60 },
    );
  });

  it('says nothing of the value in its error, and which record it is', async () => {
    const sealed = await box.seal(CONTEXT, SECRETS, SUBJECTS);
    const error: unknown = await box.open({ ...CONTEXT, id: 'x' }, sealed).catch((e: unknown) => e);
    expect(JSON.stringify(error)).not.toContain('Ann');
    expect(error).toMatchObject({ evidence: { tenant: 'acme', type: 'decision', id: 'x', revision: 3, what: 'sealed' } }); // prettier-ignore
  });

  it('names the key that is gone although nobody destroyed it, or is not what was stored', async () => {
    const sealed = await box.seal(CONTEXT, SECRETS, { '/name': ['ann'], '/x': [] });
    const rowKey = `k:${sealed['/name']?.split('.')[1] ?? ''}`;
    const evidence = { id: 'dec_1', what: 'sealed', key: rowKey };
    await ports.tables.commit(KEYS_TABLE, 'acme:keys', [{ kind: 'merge', rowKey, properties: { wrapped: 'x' }, etag: '*' }]); // prettier-ignore
    await expect(testKeyRing(ports).secretBox.open(CONTEXT, sealed)).rejects.toMatchObject({ ...refusal, evidence }); // prettier-ignore
    await ports.tables.commit(KEYS_TABLE, 'acme:keys', [{ kind: 'delete', rowKey, etag: '*' }]);
    await expect(testKeyRing(ports).secretBox.open(CONTEXT, sealed)).rejects.toMatchObject({ ...refusal, evidence }); // prettier-ignore
    const { '/x': about = '' } = sealed;
    expect(await testKeyRing(ports).secretBox.open(CONTEXT, { '/x': about })).toEqual({
      '/x': SECRETS['/x'],
    });
  });

  it('reads each key once, whatever it opens, and several at once', async () => {
    const secrets = Object.fromEntries(
      Array.from({ length: 60 }, (_, n) => [`/${String(n)}`, SECRETS['/name']]),
    );
    const subjects = Object.fromEntries(
      Object.keys(secrets).map((pointer, n) => [pointer, [`s${String(n % 6)}`]]),
    );
    const sealed = await box.seal(CONTEXT, secrets, subjects);
    const counting = countingPorts(ports);
    const { secretBox } = testKeyRing(counting.ports);
    await Promise.all([secretBox.open(CONTEXT, sealed), secretBox.open(CONTEXT, sealed)]);
    // The tenant's key and six others.
    expect(counting.counts()).toEqual({ 'tables.find': 7 });
    counting.reset();
    await secretBox.open(CONTEXT, sealed);
    expect(counting.counts()).toEqual({});
  });
});

describe('values sealed before there were data keys', () => {
  it('open under the key they were sealed with, current or former, and beside newer ones', async () => {
    const sealed = { ...(await box.seal(CONTEXT, SECRETS, SUBJECTS)), ...sealV1(keyOf(2), CONTEXT, { '/old': SECRETS['/x'] }) }; // prettier-ignore
    expect(sealed['/old']).toMatch(/^v1\.[0-9a-f]{8}\./);
    expect(await box.open(CONTEXT, sealed)).toEqual({ ...SECRETS, '/old': SECRETS['/x'] });
    const rotated = testKeyRing(ports, { keys: [keyOf(3), keyOf(2)] }).secretBox;
    expect(await rotated.open(CONTEXT, sealed)).toEqual({ ...SECRETS, '/old': SECRETS['/x'] });
  });

  it('open nowhere else, and not when they were altered', async () => {
    const sealed = sealV1(keyOf(2), CONTEXT, SECRETS);
    expect(await box.open(CONTEXT, sealed)).toEqual(SECRETS);
    await expect(box.open({ ...CONTEXT, revision: 2 }, sealed)).rejects.toMatchObject(refusal);
    await expect(box.open(CONTEXT, { '/x': `${sealed['/x'] ?? ''}A` })).rejects.toMatchObject(refusal);
    await expect(box.open(CONTEXT, { '/x': 'v1.00000000.AAAA' })).rejects.toMatchObject(refusal);
    const others = testKeyRing(ports, { keys: [keyOf(9)] }).secretBox;
    await expect(others.open(CONTEXT, sealed)).rejects.toMatchObject(refusal);
  });
});
