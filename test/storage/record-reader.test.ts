import { beforeEach, describe, expect, it } from 'vitest';
import { newId } from '../../src/domain/ids.js';
import { decisionType } from '../../src/records/decision.js';
import { Budget } from '../../src/storage/backoff.js';
import { DetailStore } from '../../src/storage/detail-store.js';
import { Directory } from '../../src/storage/directory.js';
import { partitionKey } from '../../src/storage/keys.js';
import { placeOf } from '../../src/storage/record-location.js';
import { RecordLocator } from '../../src/storage/record-locator.js';
import { RecordReader } from '../../src/storage/record-reader.js';
import { voidRow } from '../../src/storage/void-row.js';
import { countingPorts, type CountingPorts } from '../support/counting-ports.js';
import { seededEntropy } from '../support/entropy.js';
import { testKeyRing } from '../support/key-ring.js';
import { memoryPorts } from '../support/memory-ports.js';
import { caller, testPlatform } from '../support/platform.js';
import { VirtualClock } from '../support/virtual-clock.js';

const START = Date.UTC(2026, 10, 21);
const entropy = seededEntropy('reader');
const clock = new VirtualClock(START);
let counted: CountingPorts;
let reader: RecordReader;
let id: string;

/** A decision with three revisions, and a reader that has seen nothing of it. */
beforeEach(async () => {
  const bare = memoryPorts({ clock });
  counted = countingPorts(bare);
  const { ports } = counted;
  const { manager } = testPlatform(ports, { clock });
  id = (await manager.create(decisionType, { decision_type: 'strategic', title: 'T' }, caller())).envelope.id;
  for (const agent of ['a', 'b'])
    await manager.act(decisionType, id, 'votes', { agent, vote: 'approve', confidence: 1 }, undefined, caller()); // prettier-ignore
  const unused = undefined as never;
  // What keys cost is counted elsewhere.
  const { secretBox } = testKeyRing(bare, { clock });
  const directory = new Directory(ports.tables, clock);
  const tools = { ports, directory, clock, entropy, cursorKey: new Uint8Array(32), secretBox, blindIndex: unused, pseudonym: unused, typeOfId: unused }; // prettier-ignore
  reader = new RecordReader(tools, new DetailStore(ports.blobs, secretBox), new RecordLocator(ports.tables));
  counted.reset();
});

describe('a revision', () => {
  it('costs two point reads at once and one blob read, whichever it is', async () => {
    for (const revision of [1, 2, 3]) {
      counted.reset();
      const { envelope } = await reader.getRevision(decisionType, 'default', id, revision);
      expect(envelope.revision).toBe(revision);
      expect(counted.counts()).toEqual({ 'tables.find': 2, 'blobs.find': 1 });
    }
  });

  it('is listed with the others in one range read, which asks for one row more than the page', async () => {
    const page = await reader.listRevisions(decisionType, 'default', id, { limit: 2 });
    expect(page.items.map(({ revision }) => revision)).toEqual([1, 2]);
    expect(counted.counts()).toEqual({ 'tables.find': 1, 'tables.range': 1 });
    expect(counted.calls.at(-1)?.args[2]).toMatchObject({ limit: 3 });
    const cursor = page.nextCursor ?? '';
    const rest = await reader.listRevisions(decisionType, 'default', id, { limit: 1, cursor });
    expect([rest.items.map(({ revision }) => revision), rest.nextCursor]).toEqual([[3], null]);
    await reader.listRevisions(decisionType, 'default', id, { limit: 1000 });
    expect(counted.calls.at(-1)?.args[2]).toMatchObject({ limit: 1000 });
  });
});

describe('the place of a record', () => {
  it('is empty, a record’s, or a void row’s with its version', async () => {
    const budget = new Budget(clock, entropy);
    const place = (of: string) => reader.placeOf(decisionType, 'default', of, budget);
    const free = newId('dec', START, entropy);
    expect(await place(id)).toEqual({ kind: 'record' });
    expect(await place(free)).toEqual({ kind: 'empty' });
    const ref = placeOf(decisionType, 'default', free, {});
    const key = partitionKey('default', ref.partition);
    const [etag] = await counted.ports.tables.commit(ref.table, key, [voidRow(key, free)]);
    expect(await place(free)).toEqual({ kind: 'void', etag });
    await expect(reader.get(decisionType, 'default', free)).rejects.toMatchObject({
      code: 'record-not-found',
    });
  });
});
