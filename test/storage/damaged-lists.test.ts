import { beforeEach, describe, expect, it } from 'vitest';
import { decisionType } from '../../src/records/decision.js';
import { partitionKey, prefixRange, recordKey } from '../../src/storage/keys.js';
import type { IntegrityFinding, ListQuery } from '../../src/storage/manager-types.js';
import { Directory } from '../../src/storage/directory.js';
import { RecordLister } from '../../src/storage/record-lister.js';
import type { RowOperation, StoragePorts } from '../../src/storage/ports.js';
import { placeOf } from '../../src/storage/record-location.js';
import { voidRow } from '../../src/storage/void-row.js';
import { seededEntropy } from '../support/entropy.js';
import { testKeyRing } from '../support/key-ring.js';
import { memoryPorts } from '../support/memory-ports.js';
import { caller, testPlatform } from '../support/platform.js';
import { VirtualClock } from '../support/virtual-clock.js';

const body = { decision_type: 'strategic', title: 'Open a second warehouse' };
const clock = new VirtualClock(Date.UTC(2026, 10, 21));
let ports: StoragePorts;
let lister: RecordLister;
let id: string;
let key: string;

beforeEach(async () => {
  ports = memoryPorts({ clock });
  const { manager } = testPlatform(ports, { clock });
  id = (await manager.create(decisionType, body, caller())).envelope.id;
  key = partitionKey('default', placeOf(decisionType, 'default', id, {}).partition);
  const directory = new Directory(ports.tables, clock);
  const unused = undefined as never;
  lister = new RecordLister({ ports, directory, clock, entropy: seededEntropy(), cursorKey: new Uint8Array(32), secretBox: unused, blindIndex: testKeyRing(ports, { clock }).blindIndex, pseudonym: unused, typeOfId: unused }); // prettier-ignore
});

const apply = (...operations: RowOperation[]) => ports.tables.commit('decisions', key, operations);

/** Alters the row of the record in the index of all, as a hand in the storage account would. */
async function damageIndexRow(): Promise<void> {
  const { rows } = await ports.tables.range('decisions', key, { ...prefixRange('i:all:'), limit: 1 });
  await apply({ kind: 'merge', rowKey: rows[0]?.rowKey ?? '', properties: { title: 'altered' }, etag: '*' });
}

async function list(query: Partial<ListQuery> = {}) {
  const found: IntegrityFinding[] = [];
  const page = await lister.list(decisionType, 'default', { filters: {}, limit: 10, ...query }, found);
  return { titles: page.items.map(({ title }) => title), found, nextCursor: page.nextCursor };
}
const finding = (what: string, revision = 1) => ({ recordType: 'decision', id, revision, what });

describe('a list with a damaged index row', () => {
  it('shows what the record’s row says, and finds the one damage', async () => {
    await damageIndexRow();
    expect(await list()).toMatchObject({ titles: [body.title], found: [finding('index row')] });
  });

  it('leaves the record out where its row is gone or void, and finds both', async () => {
    await damageIndexRow();
    await apply({ kind: 'delete', rowKey: recordKey(id), etag: '*' });
    expect(await list()).toMatchObject({ titles: [], found: [finding('index row', 0), finding('row', 0)] });
    await apply(voidRow(key, id));
    expect(await list()).toMatchObject({ titles: [], found: [finding('index row', 0), finding('row', 0)] });
  });

  it('leaves the record out where its row is damaged too', async () => {
    await damageIndexRow();
    await apply({ kind: 'merge', rowKey: recordKey(id), properties: { title: 'altered' }, etag: '*' });
    expect(await list()).toMatchObject({ titles: [], found: [finding('index row'), finding('row')] });
  });
});

describe('a cursor of a list', () => {
  it('does not depend on the order in which filters were named', async () => {
    const { manager } = testPlatform(ports, { clock });
    await manager.create(decisionType, body, caller());
    const filters = { created_by: 'ada', status: 'queued', decision_type: 'strategic' };
    const turned = { decision_type: 'strategic', status: 'queued', created_by: 'ada' };
    const { nextCursor } = await list({ filters, limit: 1 });
    expect(nextCursor).not.toBeNull();
    const rest = await list({ filters: turned, limit: 1, cursor: nextCursor ?? '' });
    expect([rest.titles.length, rest.nextCursor]).toEqual([1, null]);
    for (const other of [{ filters: {} }, { filters, fromMs: 1 }, { filters, toMs: 4e12 }]) {
      const asked = list({ ...other, limit: 1, cursor: nextCursor ?? '' });
      await expect(asked).rejects.toMatchObject({ code: 'request-malformed' });
    }
  });
});
