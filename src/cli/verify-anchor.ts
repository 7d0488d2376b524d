import { isMalformed } from '../audit/log/encoding.js';
import { verifierOf } from '../audit/log/signed-note.js';
import { witnessKeyOf } from '../audit/log/witness-key.js';
import { verifyAnchor as check } from '../audit/verifier/index.js';
import { LIMITS } from '../domain/limits.js';
import { CannotTell, EXIT, readText, type CliIo, type ExitCode } from './io.js';
import { printFacts, printReport } from './print-checks.js';

export interface VerifyAnchorArguments {
  readonly vkey: string;
  readonly platformVkey: string;
  readonly witnessVkey?: readonly string[];
  readonly json?: boolean;
}

/** A character of UTF-16 is at most 3 bytes of UTF-8. */
const MAX_BYTES = 3 * LIMITS.proofDocumentChars;

/** `verify-anchor <file> --vkey <key> --platform-vkey <key>`: checks one anchor, offline. Throws CannotTell. */
export async function verifyAnchor(path: string, args: VerifyAnchorArguments, io: CliIo): Promise<ExitCode> {
  const { vkey, platformVkey, witnessVkey: witnessVkeys = [] } = args;
  for (const key of [verifierOf(vkey), verifierOf(platformVkey), ...witnessVkeys.map(witnessKeyOf)])
    if (isMalformed(key)) throw new CannotTell(`a verifier key ${key.malformed}`);
  const report = await check(await readText(io, path, MAX_BYTES), { vkey, platformVkey, witnessVkeys });
  const json = args.json === true;
  printReport(io, report, json);
  if (!json && report.proven !== undefined) printFacts(io, report.proven);
  return report.verdict === 'unsupported' ? EXIT.unknown : EXIT[report.verdict];
}
