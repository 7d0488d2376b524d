import { verifierOf } from '../audit/log/signed-note.js';
import { isMalformed } from '../audit/log/encoding.js';
import { verifyEventProof, verifyRecordProof } from '../audit/verifier/index.js';
import { LIMITS } from '../domain/limits.js';
import { CannotTell, EXIT, readText, type CliIo, type ExitCode } from './io.js';
import { verifyFolder } from './verify-folder.js';
import { printFacts, printReport } from './print-checks.js';

export interface VerifyArguments {
  readonly vkey: string;
  readonly origin?: string;
  /** A file with the exact bytes of an event; the proof is then a tlog-proof and not a document. */
  readonly event?: string;
  /** Folder of an export: every proof in it. */
  readonly dir?: string;
  readonly json?: boolean;
}

/** A character of UTF-16 is at most 3 bytes of UTF-8. */
const MAX_BYTES = 3 * LIMITS.proofDocumentChars;

/** `verify <proof> --vkey <key>`: checks one proof, offline. Throws CannotTell. */
export async function verify(path: string | undefined, args: VerifyArguments, io: CliIo): Promise<ExitCode> {
  const key = verifierOf(args.vkey);
  if (isMalformed(key)) throw new CannotTell(`the verifier key ${key.malformed}`);
  if ((path === undefined) === (args.dir === undefined))
    throw new CannotTell('either a file or --dir says what to verify');
  if (path === undefined) return verifyFolder(args.dir ?? '', args, io);
  const options = { vkey: args.vkey, origin: args.origin };
  const proof = await readText(io, path, MAX_BYTES);
  const report =
    args.event === undefined
      ? await verifyRecordProof(proof, options)
      : await verifyEventProof(await readText(io, args.event, LIMITS.eventBytes), proof, options);
  const json = args.json === true;
  printReport(io, report, json);
  if (!json && report.proven !== undefined) printFacts(io, report.proven);
  return report.verdict === 'unsupported' ? EXIT.unknown : EXIT[report.verdict];
}
