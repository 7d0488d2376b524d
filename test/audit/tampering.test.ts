import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatCheckpoint } from '../../src/audit/log/checkpoint.js';
import { ed25519Signer, signNote } from '../../src/audit/log/signed-note.js';
import { bundleBytes, bundleEntries, TILE_WIDTH } from '../../src/audit/log/tiles.js';
import { checksumOf } from '../../src/domain/canonical-json.js';
import type { Row } from '../../src/storage/ports.js';
import { checkpointOf, logFiles, ran, serveLog } from '../cli/support.js';
import { signingKeyPem, TEST_LOG_KEYS, TEST_ORIGIN } from '../support/log-keys.js';
import { STORAGES } from '../support/platform.js';
import { idOf, row, type Deed } from './deed.js';
import { fsckOf, fsckWorld, rowsIn, TENANT, TYPES, type FsckWorld } from './fsck-world.js';
import { LIFECYCLE } from './lifecycle-deeds.js';
import { Vandal } from './vandal.js';

const STREAM = (v: Vandal) => v.only('audit', `${TENANT}/`);
const flipIn = (text: string) => (bytes: Buffer) => {
  const at = bytes.indexOf(text);
  bytes[at] = (bytes[at] as number) ^ 1;
  return bytes;
};
const lines = (change: (lines: string[]) => string[]) => (bytes: Buffer) =>
  Buffer.from(change(bytes.toString('utf8').split('\n').slice(0, -1)).map((line) => `${line}\n`).join('')); // prettier-ignore
const entries = (change: (entries: Uint8Array[]) => Uint8Array[]) => (bytes: Buffer) =>
  Buffer.from(bundleBytes(change([...(bundleEntries(bytes, TILE_WIDTH) ?? [])])));
const swapped = <T>(items: T[], a: number, b: number): T[] => items.map((item, at) => (at === a ? items[b] : at === b ? items[a] : item) as T); // prettier-ignore
const ledger = (path: string): readonly [string, string] => ['ledger', `${TENANT}/${path}`];
const signed = async (seed: number, size: number, root: string): Promise<Buffer> => {
  const signer = ed25519Signer(`${TEST_ORIGIN}/${TENANT}`, signingKeyPem(seed));
  return Buffer.from(await signNote(formatCheckpoint({ origin: signer.name, size, root }), signer));
};
const head = async (v: Vandal) =>
  JSON.parse((await v.read(...ledger('head'))).toString('utf8')) as { tree_size: number; root: string; edge: string[] }; // prettier-ignore

const LOG: readonly Deed[] = [
  { name: 'flips a bit of a line', code: 'log.line', azurite: true, do: async (v) => v.blob('audit', await STREAM(v), flipIn('event_id')) },
  { name: 'drops a line', code: 'log.line', do: async (v) => v.blob('audit', await STREAM(v), lines((all) => all.filter((_, at) => at !== 3))) },
  { name: 'writes a line twice', code: 'stream.longer', do: async (v) => v.blob('audit', await STREAM(v), lines((all) => [...all, all.at(-1) as string])) },
  { name: 'changes the order of lines', code: 'log.line', do: async (v) => v.blob('audit', await STREAM(v), lines((all) => swapped(all, 1, 2))) },
  { name: 'cuts off the stream', code: 'stream.short', do: async (v) => v.blob('audit', await STREAM(v), lines((all) => all.slice(0, -2))) },
  { name: 'deletes the stream', code: 'stream.missing', do: async (v) => v.blob('audit', await STREAM(v), () => undefined) },
  { name: 'begins another stream', code: 'stream.longer', do: (v) => v.append('audit', `${TENANT}/9999-01-01/0000.jsonl`, Buffer.from('{}\n')) },
  { name: 'flips a bit of an entry', code: 'log.entry', mended: true, azurite: true, do: (v) => v.blob(...ledger('tile/entries/000'), flipIn('event_id')) },
  { name: 'changes the order of entries', code: 'log.entry', mended: true, do: (v) => v.blob(...ledger('tile/entries/000'), entries((all) => swapped(all, 1, 2))) },
  { name: 'has an entry twice', code: 'log.entry', mended: true, do: (v) => v.blob(...ledger('tile/entries/000'), entries((all) => all.map((one, at) => (at === 5 ? (all[4] as Uint8Array) : one)))) },
  { name: 'cuts off a bundle', code: 'bundle.missing', mended: true, do: (v) => v.blob(...ledger('tile/entries/000'), (bytes) => bytes.subarray(0, -10)) },
  { name: 'deletes a bundle', code: 'bundle.missing', mended: true, do: (v) => v.blob(...ledger('tile/entries/000'), () => undefined) },
  { name: 'flips a bit of a tile', code: 'log.leaf', mended: true, do: (v) => v.blob(...ledger('tile/0/000'), (bytes) => (bytes.writeUInt8(bytes.readUInt8(70) ^ 1, 70), bytes)) },
  { name: 'changes the order of hashes', code: 'log.leaf', mended: true, do: (v) => v.blob(...ledger('tile/0/000'), (bytes) => Buffer.concat([bytes.subarray(32, 64), bytes.subarray(0, 32), bytes.subarray(64)])) },
  { name: 'has a hash twice', code: 'log.leaf', mended: true, do: (v) => v.blob(...ledger('tile/0/000'), (bytes) => Buffer.concat([bytes.subarray(0, 32), bytes.subarray(0, -32)])) },
  { name: 'cuts off a tile', code: 'tile.missing', mended: true, do: (v) => v.blob(...ledger('tile/0/000'), (bytes) => bytes.subarray(0, -32)) },
  { name: 'deletes a tile', code: 'tile.missing', mended: true, do: (v) => v.blob(...ledger('tile/0/000'), () => undefined) },
  { name: 'flips a bit of a tile above', code: 'tile.differs', mended: true, do: (v) => v.blob(...ledger('tile/1/000.p/1'), (bytes) => (bytes.writeUInt8(bytes.readUInt8(0) ^ 1, 0), bytes)) },
  { name: 'deletes the checkpoint', code: 'checkpoint.missing', mended: true, do: (v) => v.blob(...ledger('checkpoint'), () => undefined) },
  { name: 'makes a note of nothing', code: 'checkpoint.invalid', do: (v) => v.blob(...ledger('checkpoint'), () => Buffer.from('nothing')) },
  { name: 'signs with a key of their own', code: 'checkpoint.signature', do: async (v) => { const { tree_size, root } = await head(v); return v.blob(...ledger('checkpoint'), await signed(8, tree_size, root)); } },
  { name: 'signs another root with the real key', code: 'checkpoint.root', do: async (v) => v.blob(...ledger('checkpoint'), await signed(7, (await head(v)).tree_size, 'ab'.repeat(32))) },
  { name: 'signs more than there is with the real key', code: 'checkpoint.ahead', do: async (v) => v.blob(...ledger('checkpoint'), await signed(7, (await head(v)).tree_size + 1, 'ab'.repeat(32))) },
  { name: 'writes another event into the log and signs it with the real key', code: 'log.line', azurite: true, do: (v) => v.rewrite(3, (root, size) => signed(7, size, root)) },
  { name: 'puts back an older checkpoint', code: 'checkpoint.behind', do: async (v) => v.blob(...ledger('checkpoint'), await signed(7, 1, v.firstLeaf())) },
  { name: 'deletes the head', code: 'head.missing', do: (v) => v.blob(...ledger('head'), () => undefined) },
  { name: 'writes another root into the head', code: 'head.invalid', do: (v) => v.blob(...ledger('head'), (bytes) => { const json = JSON.parse(bytes.toString('utf8')) as object; return Buffer.from(JSON.stringify({ ...json, root: 'cd'.repeat(32) })); }) },
  { name: 'writes another edge and its root into the head', code: 'head.root', do: (v) => v.blob(...ledger('head'), v.otherEdge) },
  { name: 'makes the head count what never was', code: 'checkpoint.behind', do: (v) => v.blob(...ledger('head'), v.longerHead) },
]; // prettier-ignore

const { covenantType, agentStateType, conversationType } = TYPES;
/** Of the decision that has two revisions. */
const twice = async (world: FsckWorld, key: 'r' | 'v'): Promise<Row> => {
  const second = (await rowsIn(world, 'decisions', 'v:')).find(({ properties }) => properties['revision'] === 2) as Row; // prettier-ignore
  return key === 'v' ? second : row(world, 'decisions', `r:${String(second.properties['id'])}`);
};
const moved = async (world: FsckWorld): Promise<Row> =>
  (await rowsIn(world, 'conversationmessages', 'p:')).find(({ rowKey, properties }) => rowKey.endsWith('03') && properties['blob'] !== undefined) as Row; // prettier-ignore
const forgedEntry = (properties: Row['properties'], change: object) => {
  const entry = { ...(JSON.parse(String(properties['entry_0'])) as object), ...change };
  return { entry_0: JSON.stringify(entry), checksum: checksumOf(entry) };
};
const stepOf = (world: FsckWorld): Promise<Row> => row(world, 'workflowsteps', 'p:');

const EVENTS: readonly Deed[] = [
  { name: 'alters an event in the index', code: 'event.index', mended: true, azurite: true, do: async (v, w) => v.row('auditevents', await row(w, 'auditevents', 'r:'), { event: '{}' }, false) },
  { name: 'rewrites an event in the index', code: 'event.index', mended: true, do: async (v, w) => { const one = await row(w, 'auditevents', 'r:'); return v.row('auditevents', one, { event: String(one.properties['event']).replace('success', 'failure') }, true); } },
  { name: 'gives an event another leaf', code: 'event.index', mended: true, do: async (v, w) => v.row('auditevents', await row(w, 'auditevents', 'r:'), { leaf_index: 7_000 }, true) },
  { name: 'deletes an event from the index', code: 'event.index', mended: true, do: async (v, w) => v.gone('auditevents', await row(w, 'auditevents', 'r:')) },
  { name: 'hides an event from a list', code: 'event.index', mended: true, do: async (v, w) => v.gone('auditevents', await row(w, 'auditevents', 'i:actor:')) },
  { name: 'lists an event for somebody else', code: 'event.extra', mended: true, do: async (v, w) => { const one = await row(w, 'auditevents', 'i:actor:'); return v.copy('auditevents', one, one.rowKey.replace('i:actor:act_', 'i:actor:act_0')); } },
  { name: 'adds an event to the index', code: 'event.extra', do: async (v, w) => { const one = await row(w, 'auditevents', 'r:'); return v.copy('auditevents', one, one.rowKey.replace(/.$/, (c) => (c === '0' ? '1' : '0'))); } },
]; // prettier-ignore

const RECORDS: readonly Deed[] = [
  { name: 'flips a bit of a record row', code: 'row.altered', azurite: true, do: async (v, w) => v.row('decisions', await twice(w, 'r'), { title: 'Other' }, false) },
  { name: 'rewrites a record row', code: 'record.differs', do: async (v, w) => v.row('decisions', await twice(w, 'r'), { checksum: 'ab'.repeat(32) }, true) },
  { name: 'has a record row twice', code: 'record.differs', do: async (v, w) => { const one = await twice(w, 'r'); return v.copy('decisions', one, one.rowKey.replace(/.$/, (c) => (c === '0' ? '1' : '0'))); } },
  { name: 'has a revision twice', code: 'revision.chain', do: async (v, w) => { const one = await twice(w, 'v'); return v.copy('decisions', one, one.rowKey.replace(/2$/, '3')); } },
  { name: 'takes a record back to its first revision', code: 'record.differs', do: async (v, w) => { const second = await twice(w, 'r'); const first = await row(w, 'decisions', `v:${String(second.properties['id'])}:0000000001`); const { revision, checksum, blob, event_id } = first.properties; return v.row('decisions', second, { revision: revision as number, checksum: checksum as string, blob: blob as string, event_id: event_id as string }, true); } },
  { name: 'deletes a record row', code: 'record.missing', do: async (v, w) => v.gone('decisions', await twice(w, 'r')) },
  { name: 'deletes the last revision', code: 'revision.missing', do: async (v, w) => v.gone('decisions', await twice(w, 'v')) },
  { name: 'deletes the first revision', code: 'revision.missing', do: async (v, w) => v.gone('decisions', await row(w, 'decisions', `v:${String((await twice(w, 'v')).properties['id'])}:0000000001`)) },
  { name: 'breaks the chain of revisions', code: 'revision.chain', do: async (v, w) => v.row('decisions', await twice(w, 'v'), { previous_checksum: 'ab'.repeat(32) }, true) },
  { name: 'gives a revision another event', code: 'revision.unlogged', do: async (v, w) => v.row('decisions', await twice(w, 'v'), { event_id: 'evt_0195b1f8-0000-7000-8000-000000000000' }, true) },
  { name: 'flips a bit of the content', code: 'revision.content', do: async (v, w) => v.blob('records', String((await twice(w, 'v')).properties['blob']), flipIn('title')) },
  { name: 'cuts off the content', code: 'revision.content', do: async (v, w) => v.blob('records', String((await twice(w, 'v')).properties['blob']), (bytes) => bytes.subarray(0, -5)) },
  { name: 'changes the order of contents', code: 'revision.content', do: async (v, w) => { const second = await twice(w, 'v'); const first = await row(w, 'decisions', `v:${String(second.properties['id'])}:0000000001`); const [a, b] = [String(first.properties['blob']), String(second.properties['blob'])]; const [ofA, ofB] = [await v.read('records', a), await v.read('records', b)]; await v.blob('records', a, ofB); return v.blob('records', b, ofA); } },
  { name: 'deletes the content', code: 'revision.content', do: async (v, w) => v.blob('records', String((await twice(w, 'v')).properties['blob']), () => undefined) },
  { name: 'forges content, revision and record alike', code: 'revision.event', azurite: true, do: async (v, w) => v.forge(w, await twice(w, 'r'), await twice(w, 'v')) },
  { name: 'deletes a record and all that is of it', code: 'event.revision', do: async (v, w) => { const id = String((await twice(w, 'r')).properties['id']); for (const one of (await rowsIn(w, 'decisions', '')).filter(({ rowKey }) => rowKey.includes(id))) await v.gone('decisions', one); } },
  { name: 'hides a record from a list', code: 'index.missing', mended: true, azurite: true, do: async (v, w) => v.gone('decisions', await row(w, 'decisions', 'i:all:')) },
  { name: 'alters what a list shows', code: 'index.differs', mended: true, do: async (v, w) => v.row('decisions', await row(w, 'decisions', 'i:all:'), { title: 'Other' }, true) },
  { name: 'lists a record where it does not belong', code: 'index.extra', mended: true, do: async (v, w) => { const one = await row(w, 'decisions', 'i:all:'); return v.copy('decisions', one, one.rowKey.replace('i:all:', 'i:all:x')); } },
  { name: 'makes a record name other lists', code: 'index.keys', do: async (v, w) => { const one = await twice(w, 'r'); const keys = JSON.parse(String(one.properties['index_keys'])) as string[]; return v.row('decisions', one, { index_keys: JSON.stringify(keys.slice(1)) }, true); } },
  { name: 'lists a covenant as it was', code: 'list.behind', mended: true, do: async (v, w) => { const one = (await rowsIn(w, covenantType.table, 's:')).find(({ properties }) => Number(properties['revision']) > 1) as Row; return v.row(covenantType.table, one, { revision: 1 }, true); } },
  { name: 'deletes the way to a record', code: 'lookup.missing', mended: true, do: async (v, w) => { const one = await row(w, agentStateType.table, 'r:'); return v.goneAt('lookups', one.rowKey); } },
  { name: 'gives a name to another record', code: 'name.differs', do: async (v, w) => v.row(agentStateType.table, await row(w, agentStateType.table, 'u:'), { id: 'agt_0195b1f8-0000-7000-8000-000000000000' }, true) },
  { name: 'deletes the way back from a record', code: 'link.missing', mended: true, do: (v) => v.goneAt('lineage', 'd:') },
  { name: 'alters the key of a tenant', code: 'keys.unreadable', do: (v) => v.rowAt('keys', `${TENANT}:keys`, 't:1', { wrapped: 'AAAA' }) },
  { name: 'leaves content that no row names', code: 'blob.orphan', do: async (v, w) => { const one = await twice(w, 'v'); const name = String(one.properties['blob']); return v.put('records', name.replace('/2-', '/3-'), await v.read('records', name)); } },
]; // prettier-ignore

const DIRECTORY = ['system', '_system:tenants', '_system:partitions.default'] as const;
const DIRECTORIES: readonly Deed[] = [
  { name: 'drops a month of records from the directory', code: 'directory.missing', mended: true, azurite: true, do: async (v, w) => v.goneFrom(DIRECTORY[0], DIRECTORY[2], `decisions:${(await row(w, 'decisions', 'r:')).partitionKey.split(':')[1] ?? ''}`) },
  { name: 'drops a day of events from the directory', code: 'directory.missing', mended: true, do: async (v, w) => v.goneFrom(DIRECTORY[0], DIRECTORY[2], `auditevents:${(await row(w, 'auditevents', 'r:')).partitionKey.split(':')[1] ?? ''}`) },
  { name: 'drops a tenant from the directory', code: 'directory.missing', mended: true, do: (v) => v.goneFrom(DIRECTORY[0], DIRECTORY[1], TENANT) },
  { name: 'makes the directory lead elsewhere', code: 'directory.altered', do: async (v, w) => v.rowAt(DIRECTORY[0], DIRECTORY[2], `decisions:${(await row(w, 'decisions', 'r:')).partitionKey.split(':')[1] ?? ''}`, { partition: '1999-01' }) },
]; // prettier-ignore

const PROMISES: readonly Deed[] = [
  { name: 'alters the reservation of a key', code: 'row.altered', do: (v) => v.rowIn('idempotency', 'k:', { fingerprint: 'other' }) },
  { name: 'alters an operation', code: 'row.altered', do: (v) => v.rowIn('operations', 'r:', { status: 'succeeded' }) },
]; // prettier-ignore

const PARTS: readonly Deed[] = [
  { name: 'deletes an entry', code: 'part.missing', do: async (v, w) => v.gone('workflowsteps', await stepOf(w)) },
  { name: 'counts fewer entries', code: 'part.missing', do: async (v, w) => v.row('conversationmessages', await row(w, 'conversationmessages', `h:${(await moved(w)).rowKey.split(':')[1] ?? ''}`), { seq: 2 }, true) },
  { name: 'deletes the count', code: 'part.missing', do: async (v, w) => v.gone('workflowsteps', await row(w, 'workflowsteps', 'h:')) },
  { name: 'rewrites an entry', code: 'part.content', do: async (v, w) => { const one = await stepOf(w); return v.row('workflowsteps', one, { entry_0: forgedEntry(one.properties, { forged: true }).entry_0 }, true); } },
  { name: 'forges an entry and its checksum alike', code: 'part.event', azurite: true, do: async (v, w) => { const one = await stepOf(w); return v.row('workflowsteps', one, forgedEntry(one.properties, { forged: true }), true); } },
  { name: 'gives an entry another event', code: 'part.unlogged', do: async (v, w) => v.row('workflowsteps', await stepOf(w), { event_id: 'evt_0195b1f8-0000-7000-8000-000000000000' }, true) },
  { name: 'flips a bit of a line of a conversation', code: 'part.content', do: async (v, w) => v.blob('records', String((await moved(w)).properties['blob']), flipIn('entry')) },
  { name: 'changes the order of lines of a conversation', code: 'part.content', do: async (v, w) => v.blob('records', String((await moved(w)).properties['blob']), lines((all) => all.reverse())) },
  { name: 'lets an older entry stand for a name', code: 'part.name', do: async (v, w) => v.row('workflowsteps', await row(w, 'workflowsteps', 'n:'), { seq: 0 }, true) },
  { name: 'deletes the record of entries', code: 'part.record', do: async (v, w) => { const id = (await moved(w)).rowKey.split(':')[1] ?? ''; return v.gone(conversationType.table, await row(w, conversationType.table, `r:${id}`)); } },
]; // prettier-ignore

/** In force and released. */
const holdOf = async (world: FsckWorld, state: 'active' | 'released'): Promise<Row> => (await rowsIn(world, 'holds', 'r:')).find(({ properties }) => properties['state'] === state) as Row; // prettier-ignore

const HOLDS: readonly Deed[] = [
  { name: 'lifts a hold', code: 'hold.active', mended: true, azurite: true, do: async (v, w) => v.gone('holds', await row(w, 'holds', 'a:', 0)) },
  { name: 'lifts a hold and counts one less', code: 'hold.active', mended: true, do: async (v, w) => { await v.gone('holds', await row(w, 'holds', 'a:', 0)); return v.row('holds', await row(w, 'holds', 'a:count'), { active: 1 }, true); } },
  { name: 'makes a hold cover something else', code: 'hold.active', mended: true, do: async (v, w) => v.row('holds', await row(w, 'holds', 'a:', 0), { scope: '{"kind":"subject","subject":"x"}' }, true) },
  { name: 'alters a hold that is in force', code: 'row.altered', do: async (v, w) => v.row('holds', await holdOf(w, 'active'), { scope: '{"kind":"subject","subject":"x"}' }, false) },
  { name: 'puts a released hold in force', code: 'hold.active', mended: true, do: async (v, w) => { const one = await holdOf(w, 'released'); const standing = await row(w, 'holds', 'a:', 0); return v.copy('holds', standing, one.rowKey.replace('r:', 'a:')); } },
  { name: 'counts more than are in force', code: 'hold.active', mended: true, do: async (v, w) => v.row('holds', await row(w, 'holds', 'a:count'), { active: 7 }, true) },
  { name: 'deletes a hold', code: 'hold.missing', do: async (v, w) => v.gone('holds', await holdOf(w, 'active')) },
  { name: 'rewrites the reason of a hold', code: 'hold.event', do: async (v, w) => { const one = await holdOf(w, 'active'); const hold = JSON.parse(String(one.properties['hold_0'])) as object; return v.row('holds', one, { hold_0: JSON.stringify({ ...hold, reason: 'Another.' }) }, true); } },
  { name: 'gives a hold another event', code: 'hold.event', do: async (v, w) => v.row('holds', await holdOf(w, 'active'), { placed_event: 'evt_0195b1f8-0000-7000-8000-000000000000' }, true) },
  { name: 'deletes the row of a step', code: 'hold.event', do: async (v, w) => v.gone('holds', await row(w, 'holds', `v:${idOf(await holdOf(w, 'released'))}`)) },
]; // prettier-ignore

const DEEDS = [...LOG, ...EVENTS, ...RECORDS, ...DIRECTORIES, ...PROMISES, ...PARTS, ...HOLDS, ...LIFECYCLE];

describe.each(STORAGES)('whoever has the key of the account $name', (kind) => {
  let world: FsckWorld;
  beforeAll(async () => (world = await fsckWorld(kind)));
  afterAll(() => world.close());
  const deeds = DEEDS.filter(({ azurite }) => !kind.realTime || azurite === true);

  it.each(deeds)('$name and is caught: $code', async ({ code, mended, open = false, do: tamper }) => {
    const vandal = await Vandal.at(world);
    try {
      await tamper(vandal, world);
      const { result, told } = await fsckOf(world.ports, { repair: mended === true, open });
      expect(told.map((finding) => finding.code)).toContain(code);
      expect(told.filter((finding) => finding.code === code).some(({ repairable }) => repairable)).toBe(mended === true); // prettier-ignore
      expect(result.findings > 0).toBe(mended !== true && code !== 'blob.orphan');
      if (mended !== true) return;
      expect(told.filter((finding) => !finding.repaired)).toEqual([]);
      expect((await fsckOf(world.ports, { open })).told).toEqual([]);
      // It is whole again, and sealing may have gone on.
      vandal.leave();
    } finally {
      await vandal.undo();
    }
  });

  it('leaves nothing to be found when it was all undone', async () => {
    expect((await fsckOf(world.ports)).told).toEqual([]);
  });
});

describe('whoever has the signing key as well', () => {
  it('can write another history that holds together, and is caught by an older checkpoint', async () => {
    const signer = TEST_LOG_KEYS.signer(TENANT);
    const local = ed25519Signer(signer.name, signingKeyPem(7));
    const real = ['first', 'second', 'third'];
    const rewritten = ['first', 'another', 'third', 'fourth'];
    const server = await serveLog(await logFiles(rewritten, local));
    try {
      const files = { 'home.checkpoint': await checkpointOf(real, local) };
      const args = ['verify-log', '--url', server.url, '--vkey', local.vkey];
      expect((await ran(args)).code).toBe(0);
      const since = await ran([...args, '--since', 'home.checkpoint'], files);
      expect(since.code).toBe(1);
      expect(since.out).toContain('FAIL consistency');
    } finally {
      server.close();
    }
  });
});
