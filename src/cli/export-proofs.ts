import type { Checkpoint } from '../audit/log/checkpoint.js';
import type { Malformed } from '../audit/log/encoding.js';
import { proveInclusion } from '../audit/log/proof.js';
import {
  bundleEntries,
  subtreeReader,
  TILE_WIDTH,
  tileHashes,
  tileIn,
  type Tile,
} from '../audit/log/tiles.js';
import { formatTlogProof } from '../audit/log/tlog-proof.js';
import { verifyRecordProof } from '../audit/verifier/index.js';
import { commitmentPlaces } from '../domain/commitment-places.js';
import { LIMITS } from '../domain/limits.js';
import { isObject } from '../domain/merge-patch.js';
import type { RecordType } from '../domain/record-type.js';
import { RECORD_TYPES } from '../records/registry.js';
import { readTile } from './check-log.js';
import { CannotTell, findFile, type CliIo } from './io.js';
import { folderClient, type Ask } from './log-client.js';
import { sideBySide } from './side-by-side.js';

/** Which revisions of records, and how. */
export interface Wanted {
  readonly types: readonly RecordType[];
  /** Of the event; inclusive, and exclusive. */
  readonly fromMs: number | undefined;
  readonly toMs: number | undefined;
  readonly discloseAll: boolean;
}

/** The export, whose log is there and was checked. */
export interface Place {
  readonly out: string;
  readonly note: string;
  readonly vkeys: readonly string[];
  readonly checkpoint: Checkpoint;
}

export interface Exported {
  readonly proofs: number;
  /** Proofs by collection. */
  readonly collections: Readonly<Record<string, number>>;
  /** Revisions that the server says are erased: the log has their events. */
  readonly erased: number;
  /** Events of revisions of types that this command does not know. */
  readonly unknown: number;
}

/** One revision that the log tells of. */
interface Revision {
  readonly type: RecordType;
  readonly id: string;
  readonly revision: number;
  readonly event: string;
  readonly leaf: number;
}

const AT_ONCE = 8;
/** Bytes of a proof document: a character of UTF-16 is at most 3 of UTF-8. */
const PROOF_BYTES = 3 * LIMITS.proofDocumentChars;
const BUNDLES_BETWEEN_PROGRESS = 16;

/**
 * Fetches and checks the proof of each revision that is wanted, or checks the one that is there. Says what is wrong with
 * the first that does not hold. Throws CannotTell.
 */
export async function exportProofs(
  place: Place,
  wanted: Wanted,
  ask: Ask,
  io: CliIo,
): Promise<Exported | Malformed> {
  const { size } = place.checkpoint;
  const folder = folderClient(place.out, io);
  const counts = { proofs: 0, erased: 0, unknown: 0 };
  const collections: Record<string, number> = {};
  for (let index = 0; index * TILE_WIDTH < size; index += 1) {
    const tile = tileIn(size, { level: 'entries', index }) as Tile;
    const entries = bundleEntries((await readTile(folder, tile)) ?? new Uint8Array(), tile.width);
    if (entries === undefined) throw new CannotTell('the log in the folder has changed meanwhile');
    const found = entries.flatMap((entry, at) => revisionOf(entry, index * TILE_WIDTH + at, wanted) ?? []);
    counts.unknown += found.filter((one) => one === 'unknown').length;
    const revisions = found.filter((one) => one !== 'unknown');
    const results = await sideBySide(revisions, AT_ONCE, (one) => exportOne(place, one, wanted, ask, io));
    for (const [at, result] of results.entries()) {
      const { type } = revisions[at] as Revision;
      if (typeof result === 'object') return result;
      counts[result] += 1;
      if (result === 'proofs') collections[type.collection] = (collections[type.collection] ?? 0) + 1;
    }
    if ((index + 1) % BUNDLES_BETWEEN_PROGRESS === 0)
      io.complain(
        `${String(counts.proofs)} proofs, of the first ${String((index + 1) * TILE_WIDTH)} entries\n`,
      );
  }
  return { ...counts, collections };
}

/** The revision that an entry tells of, where it is wanted. */
function revisionOf(
  entry: Uint8Array,
  leaf: number,
  { types, fromMs, toMs }: Wanted,
): Revision | 'unknown' | undefined {
  const event = new TextDecoder().decode(entry);
  const told = membersOf(event);
  const { record_type: name, revision, resource_id: id, timestamp } = told;
  if (typeof name !== 'string' || !Number.isSafeInteger(revision)) return undefined;
  const ms = Date.parse(String(timestamp));
  if ((fromMs !== undefined && !(ms >= fromMs)) || (toMs !== undefined && !(ms < toMs))) return undefined;
  const type = types.find(({ recordType }) => recordType === name);
  if (type === undefined)
    return RECORD_TYPES.some(({ recordType }) => recordType === name) ? undefined : 'unknown';
  // An id becomes the name of a file, and comes from elsewhere.
  if (typeof id !== 'string' || !/^[a-z]+_[0-9a-f-]+$/.test(id)) return 'unknown';
  return { type, id, revision: revision as number, event, leaf };
}

function membersOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

/** What became of one revision: its proof is there and holds; it is erased; or what is wrong. */
async function exportOne(
  place: Place,
  one: Revision,
  wanted: Wanted,
  ask: Ask,
  io: CliIo,
): Promise<'proofs' | 'erased' | Malformed> {
  const name = `records/${one.type.collection}/${one.id}/${String(one.revision)}.json`;
  const path = `${place.out}/${name}`;
  const there = await findFile(io, path, PROOF_BYTES);
  if (there !== undefined) {
    const wrong = await faultOf(new TextDecoder().decode(there), place, one);
    return wrong === undefined ? 'proofs' : { malformed: `${name}, which was there: ${wrong}` };
  }
  const fetched = await fetchProof(one, wanted, ask);
  if (fetched === 410) return 'erased';
  if (fetched === 404)
    return { malformed: `the log tells of ${name}, and the server says that there is no such revision` };
  if (fetched['event'] !== one.event)
    return { malformed: `${name}: the server shows another event than entry ${String(one.leaf)} of the log` };
  const text = JSON.stringify({ ...fetched, proof: await proofUnder(place, one.leaf, io) });
  const wrong = await faultOf(text, place, one);
  if (wrong !== undefined) return { malformed: `${name}: ${wrong}` };
  await io.writeFile(path, new TextEncoder().encode(text)).catch((error: unknown) => {
    throw new CannotTell(`cannot write ${path}: ${(error as Error).message}`);
  });
  return 'proofs';
}

/** The document as the server has it, with what is to be disclosed. */
async function fetchProof(
  { type, id, revision }: Revision,
  { discloseAll }: Wanted,
  ask: Ask,
): Promise<Readonly<Record<string, unknown>> | 404 | 410> {
  const path = `${type.collection}/${id}/proof?revision=${String(revision)}`;
  const get = async (more: string): Promise<Readonly<Record<string, unknown>> | 404 | 410> => {
    const answer = await ask(`${path}${more}`, PROOF_BYTES);
    return answer instanceof Uint8Array ? membersOf(new TextDecoder().decode(answer)) : answer;
  };
  const hidden = await get('');
  if (typeof hidden === 'number' || !discloseAll) return hidden;
  const { envelope } = hidden;
  const places = [...commitmentPlaces(isObject(envelope) ? envelope['data'] : undefined).keys()];
  if (places.length === 0) return hidden;
  const asked = places
    .slice(0, LIMITS.disclosures)
    .map((pointer) => `&disclose=${encodeURIComponent(pointer)}`);
  return get(asked.join(''));
}

/** The proof of a leaf under the checkpoint of the export, from its tiles: all proofs are under one root. */
async function proofUnder(
  { out, note, checkpoint: { size } }: Place,
  leaf: number,
  io: CliIo,
): Promise<string> {
  const folder = folderClient(out, io);
  const hashes = async (tile: Tile): Promise<readonly string[]> => {
    const bytes = await readTile(folder, tile);
    const read = bytes === undefined ? undefined : tileHashes(bytes, tile.width);
    if (read === undefined) throw new CannotTell('the log in the folder has changed meanwhile');
    return read;
  };
  const path = await proveInclusion(leaf, size, subtreeReader(size, hashes));
  return formatTlogProof({ index: leaf, path, checkpoint: note });
}

/** Why a document does not prove the revision; undefined when it does. Throws CannotTell. */
async function faultOf(text: string, { vkeys }: Place, one: Revision): Promise<string | undefined> {
  if (membersOf(text)['event'] !== one.event) return `its event is not entry ${String(one.leaf)} of the log`;
  let wrong: string | undefined;
  for (const vkey of vkeys) {
    const { verdict, checks } = await verifyRecordProof(text, { vkey });
    if (verdict === 'yes') return undefined;
    if (verdict === 'unsupported') throw new CannotTell('this platform has no Ed25519');
    wrong ??= checks.find(({ outcome }) => outcome === 'fail')?.detail;
  }
  return wrong ?? 'it does not hold';
}
