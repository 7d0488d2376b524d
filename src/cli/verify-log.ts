import { isMalformed } from '../audit/log/encoding.js';
import { parseCheckpoint, type Checkpoint } from '../audit/log/checkpoint.js';
import { openNote, verifierOf, type NoteVerifier } from '../audit/log/signed-note.js';
import { LIMITS } from '../domain/limits.js';
import { checkLog, type LogFault } from './check-log.js';
import { CannotTell, EXIT, readText, type CliIo, type ExitCode } from './io.js';
import { folderClient, logClient, type LogClient } from './log-client.js';
import { printReport } from './print-checks.js';

export interface VerifyLogArguments {
  readonly url?: string;
  /** Folder of a log, instead of `url`: an export, or files as they are served. */
  readonly dir?: string;
  /** The verifier key of the log, and those of before that signed an older checkpoint. */
  readonly vkey: readonly string[];
  readonly origin?: string;
  /** The tenant whose log it must be: the last part of its origin. */
  readonly tenant?: string;
  /** File of a checkpoint that was taken home earlier. */
  readonly since?: string;
  readonly header?: readonly string[];
  readonly json?: boolean;
}

interface LogCheck {
  readonly name: 'checkpoint' | 'signature' | LogFault['name'];
  readonly outcome: 'pass' | 'fail' | 'skipped';
  readonly detail: string;
}

/** Environment variable with the bearer token that requests carry. */
export const TOKEN_VARIABLE = 'BUSINESS_RECORDS_TOKEN';
export const CHECKPOINT_BYTES = 3 * LIMITS.noteChars;
const WALKED = ['entries', 'tiles', 'root', 'consistency'] as const;

export function verifiersOf(vkeys: readonly string[]): readonly NoteVerifier[] {
  return vkeys.map((vkey) => {
    const key = verifierOf(vkey);
    if (isMalformed(key)) throw new CannotTell(`the verifier key ${key.malformed}`);
    return key;
  });
}

export function headersOf(args: Pick<VerifyLogArguments, 'header'>, io: CliIo): Headers {
  const headers = new Headers();
  const token = io.env[TOKEN_VARIABLE] ?? '';
  try {
    if (token !== '') headers.set('authorization', `Bearer ${token}`);
    for (const header of args.header ?? []) {
      const colon = header.indexOf(':');
      headers.set(header.slice(0, Math.max(colon, 0)), header.slice(colon + 1).trim());
    }
  } catch {
    // What the library says quotes the header, which may be a secret.
    throw new CannotTell("a header is not of the form 'name: value'");
  }
  return headers;
}

/** The checkpoint in a signed note, or which check of it fails. */
export function openCheckpoint(
  note: string,
  keys: readonly NoteVerifier[],
  origin: string,
): Checkpoint | LogCheck {
  const opened = openNote(note, keys);
  if (isMalformed(opened))
    return { name: 'signature', outcome: 'fail', detail: `the checkpoint ${opened.malformed}` };
  const checkpoint = parseCheckpoint((opened as { text: string }).text);
  if (isMalformed(checkpoint))
    return { name: 'checkpoint', outcome: 'fail', detail: `the checkpoint ${checkpoint.malformed}` };
  const other = `the checkpoint is of the log ${checkpoint.origin}, and not of ${origin}`;
  return checkpoint.origin === origin ? checkpoint : { name: 'checkpoint', outcome: 'fail', detail: other };
}

async function olderCheckpoint(
  path: string,
  keys: readonly NoteVerifier[],
  origin: string,
  io: CliIo,
): Promise<Checkpoint> {
  const older = openCheckpoint(await readText(io, path, CHECKPOINT_BYTES), keys, origin);
  if ('outcome' in older) throw new CannotTell(`${path} is no checkpoint to go by: ${older.detail}`);
  return older;
}

async function currentCheckpoint(client: LogClient): Promise<string> {
  const bytes = await client.get('checkpoint', CHECKPOINT_BYTES);
  if (bytes === undefined) throw new CannotTell('there is no checkpoint at this address');
  // Bytes that are not UTF-8 become characters that no checkpoint has.
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
}

/** What the walk found, check by check: they are made side by side, and the first fault ends it. */
function walked(
  fault: LogFault | undefined,
  { size }: Checkpoint,
  older: Checkpoint | undefined,
): readonly LogCheck[] {
  const entries = `${String(size)} entries`;
  const held = {
    entries: `all ${entries} are there`,
    tiles: 'every tile is that of the entries',
    root: `the root of the ${entries} is that of the checkpoint`,
    consistency: `the first ${String(older?.size)} entries are those of the older checkpoint`,
  };
  return WALKED.filter((name) => name !== 'consistency' || older !== undefined).map((name): LogCheck => {
    if (fault === undefined) return { name, outcome: 'pass', detail: held[name] };
    if (fault.name === name) return { ...fault, outcome: 'fail' };
    return { name, outcome: 'skipped', detail: 'not finished, because something else does not hold' };
  });
}

function clientOf({ url, dir, ...args }: VerifyLogArguments, io: CliIo): LogClient {
  if ((url === undefined) === (dir === undefined))
    throw new CannotTell('either --url or --dir says where the log is');
  return dir === undefined ? logClient(url as string, headersOf(args, io), io) : folderClient(dir, io);
}

/** `verify-log --url <base> --vkey <key>`: reads a whole log and recomputes all it says of itself. Throws CannotTell. */
export async function verifyLog(args: VerifyLogArguments, io: CliIo): Promise<ExitCode> {
  const keys = verifiersOf(args.vkey);
  const origin = args.origin ?? (keys[0] as NoteVerifier).name;
  if (args.tenant !== undefined && !origin.endsWith(`/${args.tenant}`))
    throw new CannotTell(`the log ${origin} is not that of the tenant ${args.tenant}`);
  const older = args.since === undefined ? undefined : await olderCheckpoint(args.since, keys, origin, io);
  const client = clientOf(args, io);
  const note = await currentCheckpoint(client);
  const checkpoint = openCheckpoint(note, keys, origin);
  const json = args.json === true;
  if ('outcome' in checkpoint) {
    printReport(io, { verdict: 'no', checks: [checkpoint] }, json);
    return EXIT.no;
  }
  const { size, root } = checkpoint;
  const fault = await checkLog(client, checkpoint, older, (entries) =>
    io.complain(`${String(entries)} of ${String(size)} entries\n`),
  );
  const checks: readonly LogCheck[] = [
    { name: 'signature', outcome: 'pass', detail: `${origin} signed the checkpoint` },
    { name: 'checkpoint', outcome: 'pass', detail: `of ${String(size)} entries` },
    ...walked(fault, checkpoint, older),
  ];
  const verdict = fault === undefined ? 'yes' : 'no';
  printReport(io, { verdict, checks, ...(fault === undefined ? { proven: { origin, size, root, checkpoint: note } } : {}) }, json); // prettier-ignore
  return EXIT[verdict];
}
