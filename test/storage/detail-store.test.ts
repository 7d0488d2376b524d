import { beforeEach, describe, expect, it } from 'vitest';
import { commitData } from '../../src/domain/committed-form.js';
import type { SecretBox, Secrets } from '../../src/domain/commitment.js';
import { storedEnvelope, type StoredEnvelope } from '../../src/domain/envelope.js';
import { decisionType } from '../../src/records/decision.js';
import { Budget } from '../../src/storage/backoff.js';
import { DetailStore } from '../../src/storage/detail-store.js';
import { StorageFault, type StoragePorts } from '../../src/storage/ports.js';
import type { DetailLocation, RevisionFacts } from '../../src/storage/record-row.js';
import { countingPorts, type CountingPorts } from '../support/counting-ports.js';
import { seededEntropy } from '../support/entropy.js';
import { memoryPorts } from '../support/memory-ports.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';

const clock = new VirtualClock();
const budget = new Budget(clock, seededEntropy());
let counted: CountingPorts;
let opened: { readonly context: object; readonly secrets: Secrets };

beforeEach(() => {
  counted = countingPorts(memoryPorts({ clock }));
  opened = { context: {}, secrets: {} };
});

/** A box that opens to what the test says, and remembers for what place it was asked. */
const box: SecretBox = {
  seal: () => Promise.reject(new Error('nobody seals here')),
  open: async (context) => {
    opened = { ...opened, context };
    return opened.secrets;
  },
};
const detailStore = (on: StoragePorts = counted.ports): DetailStore => new DetailStore(on.blobs, box);

function envelope(id: string, data: Record<string, unknown>, sealed = {}): StoredEnvelope {
  const head = { record_type: 'decision', id, tenant: 'acme', revision: 2, schema_version: '1.0', stored_at: '2026-11-21T08:00:00.000Z' }; // prettier-ignore
  return storedEnvelope(head, data, sealed);
}

function factsOf(stored: StoredEnvelope, location: DetailLocation): RevisionFacts {
  return {
    id: stored.id,
    revision: stored.revision,
    schemaVersion: stored.schema_version,
    tier: 'hot',
    checksum: stored.checksum,
    previousChecksum: undefined,
    storedAt: stored.stored_at,
    eventId: 'evt_1',
    action: 'create',
    location,
  };
}

/** Envelopes one behind the other in one blob, and the facts of each. */
async function packed(...envelopes: StoredEnvelope[]): Promise<RevisionFacts[]> {
  const texts = envelopes.map((stored) => Buffer.from(JSON.stringify(stored)));
  await counted.ports.blobs.putOnce('records', 'pack', Buffer.concat(texts), 'application/json');
  counted.reset();
  let offset = 0;
  return envelopes.map((stored, at) => {
    const length = texts[at]?.length ?? 0;
    offset += length;
    return factsOf(stored, { blob: 'pack', offset: offset - length, length });
  });
}
const read = (facts: RevisionFacts | undefined, store = detailStore()) =>
  store.read(decisionType, 'acme', facts as RevisionFacts, budget);
const forWrite = (facts: RevisionFacts | undefined, store: DetailStore) =>
  store.readForWrite(decisionType, 'acme', facts as RevisionFacts, budget);
const broken = (what: string) => ({ code: 'integrity-failure', evidence: { id: 'dec_1', revision: 2, what } }); // prettier-ignore

describe('a detail', () => {
  it('is read from its place in a blob, and is what was stored', async () => {
    const both = [envelope('dec_1', { a: 1 }), envelope('dec_2', { b: 2 })];
    const [first, second] = await packed(...both);
    expect(await read(first)).toEqual({ stored: both[0], data: { a: 1 }, secrets: {} });
    expect(await read(second)).toEqual({ stored: both[1], data: { b: 2 }, secrets: {} });
  });

  it('is broken where its blob is gone, or ends before its place, or says something else', async () => {
    const [facts] = await packed(envelope('dec_1', { a: 1 }));
    const at = (location: Partial<DetailLocation>) => ({ ...facts, location: { ...facts?.location, ...location } }) as RevisionFacts; // prettier-ignore
    await expect(read(at({ blob: 'nowhere' }))).rejects.toMatchObject(broken('blob missing'));
    await expect(read(at({ offset: 9999 }))).rejects.toMatchObject(broken('blob missing'));
    await expect(read(at({ length: 7 }))).rejects.toMatchObject(broken('json'));
    const other = { ...facts, checksum: 'ff' } as RevisionFacts;
    await expect(read(other)).rejects.toMatchObject(broken('checksum'));
  });

  it('is not broken because storage says no', async () => {
    const [facts] = await packed(envelope('dec_1', { a: 1 }));
    const closed = wrapPorts(counted.ports, () => Promise.reject(new StorageFault('refused', 'no')));
    await expect(read(facts, detailStore(closed))).rejects.toMatchObject({ kind: 'refused' });
  });

  it('with sealed values is opened for its very place, and held against its commitments', async () => {
    const { committed, secrets } = commitData({ a: 1, who: 'Ada' }, ['/who'], seededEntropy());
    const [facts] = await packed(envelope('dec_1', committed, { '/who': 'v1.sealed' }));
    opened = { context: {}, secrets };
    expect(await read(facts)).toMatchObject({ data: { a: 1, who: 'Ada' }, secrets });
    expect(opened.context).toEqual({ tenant: 'acme', type: 'decision', id: 'dec_1', revision: 2 });
    opened = { context: {}, secrets: { '/who': { salt: 'AAAA', value: 'Eve' } } };
    await expect(read(facts)).rejects.toMatchObject(broken('sealed'));
  });
});

describe('the details that writers keep', () => {
  it('are read once for writing, and every time for an answer', async () => {
    const [first, second] = await packed(envelope('dec_1', { a: 1 }), envelope('dec_2', { b: 2 }));
    const store = detailStore();
    expect((await forWrite(first, store)).data).toEqual({ a: 1 });
    expect((await forWrite(second, store)).data).toEqual({ b: 2 });
    expect((await forWrite(first, store)).data).toEqual({ a: 1 });
    expect(counted.calls).toHaveLength(2);
    await read(first, store);
    expect(counted.calls).toHaveLength(3);
  });

  it('are those that were just written, too', async () => {
    const [facts] = await packed(envelope('dec_1', { a: 1 }));
    const store = detailStore();
    const detail = await read(facts);
    counted.reset();
    store.remember(facts as RevisionFacts, detail);
    expect(await forWrite(facts, store)).toBe(detail);
    expect(counted.calls).toEqual([]);
  });
});
