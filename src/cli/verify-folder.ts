import { verifyRecordProof } from '../audit/verifier/index.js';
import { LIMITS } from '../domain/limits.js';
import { CannotTell, EXIT, readText, type CliIo, type ExitCode } from './io.js';
import { printReport } from './print-checks.js';

interface Options {
  readonly vkey: string;
  readonly origin?: string;
  readonly json?: boolean;
}

const MAX_BYTES = 3 * LIMITS.proofDocumentChars;
const PROGRESS = 1000;
/** Files that are named when they do not hold. */
const NAMED = 20;

/**
 * `verify --dir <export> --vkey <key>`: checks every proof in the folder `records` of an export, offline, and that each
 * lies where its record and revision say. Throws CannotTell.
 */
export async function verifyFolder(dir: string, args: Options, io: CliIo): Promise<ExitCode> {
  const names = await proofsIn(dir, io);
  const failed: { name: string; outcome: 'fail'; detail: string }[] = [];
  for (const [at, name] of names.entries()) {
    const wrong = await faultOf(await readText(io, `${dir}/records/${name}`, MAX_BYTES), name, args);
    if (wrong !== undefined)
      failed.push({ name: 'proof', outcome: 'fail', detail: `records/${name}: ${wrong}` });
    if ((at + 1) % PROGRESS === 0) io.complain(`${String(at + 1)} of ${String(names.length)} proofs\n`);
  }
  const held = names.length - failed.length;
  const verdict = failed.length === 0 ? 'yes' : 'no';
  const all = {
    name: 'proofs',
    outcome: failed.length === 0 ? 'pass' : 'fail',
    detail: `${String(held)} of ${String(names.length)} proofs hold`,
  };
  printReport(io, { verdict, checks: [...failed.slice(0, NAMED), all] }, args.json === true);
  return EXIT[verdict];
}

async function proofsIn(dir: string, io: CliIo): Promise<readonly string[]> {
  try {
    return (await io.listFiles(`${dir}/records`)).filter((name) => name.endsWith('.json')).sort();
  } catch (error) {
    throw new CannotTell(`cannot read ${dir}/records: ${(error as Error).message}`);
  }
}

async function faultOf(text: string, name: string, { vkey, origin }: Options): Promise<string | undefined> {
  const { verdict, checks, proven } = await verifyRecordProof(text, { vkey, origin });
  if (verdict === 'unsupported') throw new CannotTell('this platform has no Ed25519');
  if (verdict === 'no') {
    const { name: check = '', detail = '' } = checks.find(({ outcome }) => outcome === 'fail') ?? {};
    return `${check}: ${detail}`;
  }
  const place = `/${proven?.record?.id ?? ''}/${String(proven?.record?.revision ?? '')}.json`;
  return `/${name}`.endsWith(place) ? undefined : 'it is the proof of another record or revision';
}
