import type { Row } from '../../src/storage/ports.js';
import { tombstoneRow } from '../../src/storage/tombstone-row.js';
import { idOf, NO_EVENT, row, type Deed } from './deed.js';
import { rowsIn, type FsckWorld } from './fsck-world.js';
import type { Vandal } from './vandal.js';

const found = (rows: readonly Row[], what: string, is: (row: Row) => boolean): Row => {
  const one = rows.find(is);
  if (one === undefined) throw new Error(`there is no ${what}`);
  return one;
};
const tombstone = async (world: FsckWorld, table = 'decisions'): Promise<Row> =>
  found(await rowsIn(world, table, 'r:'), 'tombstone', ({ properties }) => properties['tombstone'] === true);
const living = async (world: FsckWorld): Promise<Row> =>
  found(await rowsIn(world, 'decisions', 'r:'), 'record', ({ properties }) => properties['tier'] === 'hot');
const cutOff = async (world: FsckWorld): Promise<Row> =>
  found(await rowsIn(world, 'agents', 'r:'), 'history', ({ properties }) => properties['history_from'] === 2);
const erasure = async (world: FsckWorld, state: string): Promise<Row> =>
  found(await rowsIn(world, 'erasures', 'r:'), state, ({ properties }) => properties['state'] === state);
const pack = (world: FsckWorld): Promise<Row> => row(world, 'decisions', 'a:');

/** Deletes a record and puts a tombstone in its place that says it was disposed of by an event. */
async function bury(v: Vandal, w: FsckWorld, eventId: string): Promise<void> {
  const one = await living(w);
  const id = String(one.properties['id']);
  for (const other of (await rowsIn(w, 'decisions', '')).filter(({ rowKey }) => rowKey.includes(id)))
    if (other.rowKey !== one.rowKey) await v.gone('decisions', other);
  const { properties } = tombstoneRow(one.partitionKey, {
    id,
    recordType: 'decision',
    disposedAt: new Date().toISOString(),
    cause: 'retention',
    eventId,
    revision: Number(one.properties['revision']),
    checksum: String(one.properties['checksum']),
    createdAt: String(one.properties['created_at']),
    state: 'cleared',
    links: [],
    bounds: undefined,
  });
  await v.replaced('decisions', one, properties);
}

/** All rows of one hold or erasure. */
async function takeAway(v: Vandal, w: FsckWorld, table: string, id: string): Promise<void> {
  for (const one of (await rowsIn(w, table, '')).filter(({ rowKey }) => rowKey.includes(id)))
    await v.gone(table, one);
}

const certificateOf = ({ properties }: Row): Record<string, unknown> =>
  JSON.parse(String(properties['certificate'])) as Record<string, unknown>;

/** What is done to what years leave: tombstones, packs, erasures and their certificates, the index of subjects. */
export const LIFECYCLE: readonly Deed[] = [
  { name: 'deletes a record behind a tombstone of no event', code: 'disposal.unlogged', azurite: true, do: (v, w) => bury(v, w, NO_EVENT) },
  { name: 'deletes a record behind the disposal of another', code: 'disposal.event', do: async (v, w) => bury(v, w, String((await tombstone(w)).properties['event_id'])) },
  { name: 'brings back a record that was disposed of', code: 'disposal.undone', do: async (v, w) => { const one = await tombstone(w); return v.replaced('decisions', one, { ...(await living(w)).properties, id: idOf(one) }); } },
  { name: 'deletes a tombstone', code: 'disposal.undone', do: async (v, w) => v.gone('decisions', await tombstone(w)) },
  { name: 'brings back a history that was disposed of', code: 'disposal.undone', do: async (v, w) => { const one = await cutOff(w); const { history_from: _, history_event: __, ...rest } = one.properties; return v.replaced('agents', one, rest); } },
  { name: 'leaves a revision beside a tombstone', code: 'disposal.left', do: async (v, w) => { const { partitionKey, rowKey } = await tombstone(w); return v.copy('decisions', { ...(await row(w, 'decisions', 'v:')), partitionKey }, rowKey.replace('r:', 'v:').concat(':0000000001')); } },
  { name: 'never clears what was disposed of', code: 'disposal.stuck', do: async (v, w) => v.row('conversations', await tombstone(w, 'conversations'), { disposed_at: '2019-01-01T00:00:00.000Z' }, true) },
  { name: 'archives a pack before its time', code: 'pack.tier', azurite: true, do: async (v, w) => v.archived('records', String((await pack(w)).properties['blob'])) },
  { name: 'says that a pack is in the archive', code: 'pack.tier', do: async (v, w) => v.row('decisions', await pack(w), { tier: 'archive' }, true) },
  { name: 'deletes a pack', code: 'pack.missing', do: async (v, w) => v.blob('records', String((await pack(w)).properties['blob']), () => undefined) },
  { name: 'takes a revision out of the row of its pack', code: 'pack.members', do: async (v, w) => { const one = await pack(w); const members = String(one.properties['members_0']).split(' ').slice(1); return v.row('decisions', one, { members_0: members.join(' '), member_count: members.length }, true); } },
  { name: 'rewrites the certificate of an erasure', code: 'erasure.event', azurite: true, do: async (v, w) => { const one = await erasure(w, 'complete'); return v.row('erasures', one, { certificate: JSON.stringify({ ...certificateOf(one), actors: 7 }) }, true); } },
  { name: 'says that an erasure is complete', code: 'erasure.event', do: async (v, w) => v.row('erasures', await erasure(w, 'provisional'), { state: 'complete' }, true) },
  { name: 'says that nobody knew of whom was erased', code: 'erasure.event', do: async (v, w) => v.row('erasures', await erasure(w, 'complete'), { state: 'unknown-subject' }, true) },
  { name: 'deletes an erasure and all that is of it', code: 'erasure.missing', do: async (v, w) => takeAway(v, w, 'erasures', idOf(await erasure(w, 'complete'))) },
  { name: 'takes an erasure off the list of what is to be done', code: 'erasure.open', mended: true, do: async (v, w) => v.goneFrom('erasures', '_system:open', `default:${idOf(await erasure(w, 'pending'))}`) },
  { name: 'keeps a key that was destroyed', code: 'erasure.key', do: async (v, w) => { const key = String((await erasure(w, 'complete')).properties['key_id']); return v.row('keys', await v.unlisted('keys', `k:${key}`), { wrapped: 'YQ' }, true); } },
  { name: 'takes away a hold and all that is of it', code: 'hold.missing', do: async (v, w) => { const one = await row(w, 'holds', 'a:', 0); await takeAway(v, w, 'holds', idOf(one)); return v.row('holds', await row(w, 'holds', 'a:count'), { active: 1 }, true); } },
  { name: 'has the index of subjects name what never was', code: 'subject.extra', do: async (v) => { const one = await v.unlisted('subjects', 's:'); const id = one.rowKey.replace(/.$/, (c) => (c === '0' ? '1' : '0')); return v.added('subjects', { ...one, rowKey: id }, { ...one.properties, record_id: idOf({ ...one, rowKey: id }) }); } },
  { name: 'takes a record out of the index of subjects', code: 'subject.missing', mended: true, open: true, do: async (v, w) => { const there = new Set((await rowsIn(w, 'conversations', 'r:')).filter(({ properties }) => properties['tier'] === 'hot').map(idOf)); return v.gone('subjects', await v.unlisted('subjects', 's:', (one) => there.has(idOf(one)))); } },
]; // prettier-ignore
