import { isMalformed } from '../audit/log/encoding.js';
import type { Checkpoint } from '../audit/log/checkpoint.js';
import { parseTime } from '../domain/clock.js';
import { RECORD_TYPES } from '../records/registry.js';
import { checkLog } from './check-log.js';
import { exportProofs, type Exported, type Wanted } from './export-proofs.js';
import { CannotTell, EXIT, findFile, type CliIo, type ExitCode } from './io.js';
import { folderClient, httpClient, type Ask, type LogClient } from './log-client.js';
import { printFacts, printReport, type PrintedCheck } from './print-checks.js';
import { CHECKPOINT_BYTES, headersOf, openCheckpoint, verifiersOf } from './verify-log.js';

export interface ExportArguments {
  /** Address of the API: below it are `audit/log` and the collections. */
  readonly url: string;
  readonly out: string;
  /** The verifier key of the log and those of before; without it, those that the server gives. */
  readonly vkey?: readonly string[];
  readonly header?: readonly string[];
  readonly collection?: readonly string[];
  readonly from?: string;
  readonly to?: string;
  readonly disclose?: string;
  readonly json?: boolean;
}

/** A vkey, an origin of 256 characters and a key; several of them. */
const VKEY_BYTES = 64 * 1024;
const encoder = new TextEncoder();
const decode = (bytes: Uint8Array): string => new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);

/** What of the records is wanted. Throws CannotTell. */
function wantedOf({ collection = [], from, to, disclose = 'none' }: ExportArguments): Wanted {
  const known = RECORD_TYPES.map((type) => type.collection);
  const unknown = collection.find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new CannotTell(`${unknown} is no collection of records: ${known.join(', ')}`);
  if (disclose !== 'none' && disclose !== 'all') throw new CannotTell('--disclose is none or all');
  const time = (name: string, text: string | undefined): number | undefined => {
    if (text === undefined) return undefined;
    const ms = parseTime(text);
    if (ms === undefined) throw new CannotTell(`--${name} is no time as in RFC 3339`);
    return ms;
  };
  const types = RECORD_TYPES.filter(
    (type) => collection.length === 0 || collection.includes(type.collection),
  );
  return { types, fromMs: time('from', from), toMs: time('to', to), discloseAll: disclose === 'all' };
}

/** The file of a name in the export, made from the server's answer where there is none yet. Throws CannotTell. */
async function kept(
  out: string,
  name: string,
  maxBytes: number,
  io: CliIo,
  ask: () => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const path = `${out}/${name}`;
  const there = await findFile(io, path, maxBytes);
  if (there !== undefined) return there;
  const bytes = await ask();
  await put(io, path, bytes);
  return bytes;
}

async function put(io: CliIo, path: string, bytes: Uint8Array): Promise<void> {
  try {
    await io.writeFile(path, bytes);
  } catch (error) {
    throw new CannotTell(`cannot write ${path}: ${(error as Error).message}`);
  }
}

/** Reads a log from the export, and what it does not have yet from the server, into the export. */
function keepingClient(out: string, ask: Ask, io: CliIo): LogClient {
  const folder = folderClient(out, io);
  return {
    async get(path, maxBytes) {
      const there = await folder.get(path, maxBytes);
      if (there !== undefined) return there;
      const bytes = await ask(`audit/log/${path}`, maxBytes);
      if (!(bytes instanceof Uint8Array)) return undefined;
      await put(io, `${out}/${path}`, bytes);
      return bytes;
    },
  };
}

/** What must be there. */
async function must(ask: Ask, path: string, maxBytes: number): Promise<Uint8Array> {
  const answer = await ask(path, maxBytes);
  if (answer instanceof Uint8Array) return answer;
  throw new CannotTell(`cannot read ${path}: the server answered ${String(answer)}`);
}

/**
 * `export --url <api> --out <folder>`: the log of a tenant up to one checkpoint, and the revisions of records that it
 * tells of with their proofs under that checkpoint, in files that `verify` and `verify-log` need no network for. Again with
 * the same folder it goes on where it was, under the same checkpoint. Throws CannotTell.
 */
export async function exportLog(args: ExportArguments, io: CliIo): Promise<ExitCode> {
  const wanted = wantedOf(args);
  const { out, json = false } = args;
  const ask = httpClient(args.url, headersOf(args, io), io);
  const vkeys = args.vkey ?? decode(await kept(out, 'vkey', VKEY_BYTES, io, () => must(ask, 'audit/log/vkey', VKEY_BYTES))).trimEnd().split('\n'); // prettier-ignore
  const keys = verifiersOf(vkeys);
  if (args.vkey !== undefined) await put(io, `${out}/vkey`, encoder.encode(`${vkeys.join('\n')}\n`));
  const note = decode(await kept(out, 'checkpoint', CHECKPOINT_BYTES, io, () => must(ask, 'audit/log/checkpoint', CHECKPOINT_BYTES))); // prettier-ignore
  const checkpoint = openCheckpoint(note, keys, keys[0]?.name ?? '');
  if ('outcome' in checkpoint) return ended(io, json, [checkpoint]);
  const { size } = checkpoint;
  const progress = (done: number): void => io.complain(`${String(done)} of ${String(size)} entries\n`);
  const fault = await checkLog(keepingClient(out, ask, io), checkpoint, undefined, progress);
  if (fault !== undefined) return ended(io, json, [{ ...fault, outcome: 'fail' }]);
  const place = { out, note, vkeys, checkpoint };
  const exported = await exportProofs(place, wanted, ask, io);
  if (!isMalformed(exported)) await put(io, `${out}/index.json`, encoder.encode(`${JSON.stringify(indexOf(args, checkpoint, exported), null, 2)}\n`)); // prettier-ignore
  const log: PrintedCheck = { name: 'log', outcome: 'pass', detail: `all ${String(size)} entries are there, under a signed checkpoint` }; // prettier-ignore
  if (isMalformed(exported)) return ended(io, json, [log, { name: 'records', outcome: 'fail', detail: exported.malformed }]); // prettier-ignore
  const records: PrintedCheck = { name: 'records', outcome: 'pass', detail: `${String(exported.proofs)} revisions of records, each with its proof` }; // prettier-ignore
  return ended(io, json, [log, records], indexOf(args, checkpoint, exported));
}

/** What the export holds, for people and programs; nothing in it is needed to verify. */
function indexOf(
  { from, to, collection = [], disclose = 'none' }: ExportArguments,
  { origin, size, root }: Checkpoint,
  { proofs, collections, erased, unknown }: Exported,
): object {
  return { origin, size, root, from: from ?? null, to: to ?? null, collections_asked: collection, disclose, entries: size, proofs, collections, erased, unknown_types: unknown }; // prettier-ignore
}

function ended(io: CliIo, json: boolean, checks: readonly PrintedCheck[], exported?: object): ExitCode {
  const verdict = checks.some(({ outcome }) => outcome === 'fail') ? 'no' : 'yes';
  printReport(io, { verdict, checks, ...(exported === undefined ? {} : { exported }) }, json);
  if (!json && exported !== undefined) printFacts(io, exported);
  return EXIT[verdict];
}
