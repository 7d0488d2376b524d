import { Command, CommanderError } from 'commander';
import { CannotTell, EXIT, printable, type CliIo, type ExitCode } from './io.js';
import { fsck, type FsckArguments } from './fsck.js';
import { verify, type VerifyArguments } from './verify.js';
import { verifyAnchor, type VerifyAnchorArguments } from './verify-anchor.js';
import { exportLog, type ExportArguments } from './export.js';
import { TOKEN_VARIABLE, verifyLog, type VerifyLogArguments } from './verify-log.js';

const EXIT_CODES = `
Exit codes: 0 everything holds, 1 something does not, 2 cannot tell (usage, a file, the network, this platform).`;

const VKEY = 'verifier key of the log, from a source you trust: <name>+<key id>+<key>';

function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

function programOf(io: CliIo, done: (code: ExitCode) => void): Command {
  const program = new Command('business-records')
    .description('Checks what a system of business records says of itself.')
    .addHelpText('after', EXIT_CODES)
    .configureOutput({ writeOut: io.out, writeErr: io.complain })
    .exitOverride();
  program
    .command('verify')
    .description(
      'check one proof, offline: the JSON of GET /{collection}/{id}/proof, or a tlog-proof with --event',
    )
    .argument('[proof]', 'file of the proof')
    .option('--dir <folder>', 'folder of an export, instead of a file: every proof in it')
    .requiredOption('--vkey <key>', VKEY)
    .option('--event <file>', 'file of the exact bytes of an event, when the proof is that of an event')
    .option('--origin <origin>', 'origin of the log, where it is not the name of the key')
    .option('--json', 'print the report as JSON')
    .addHelpText('after', EXIT_CODES)
    .action(async (proof: string | undefined, args: VerifyArguments) => done(await verify(proof, args, io)));
  program
    .command('verify-log')
    .description('read a whole log over HTTP and recompute its tiles, its root and an older root')
    .option('--url <base>', 'address of the log: below it are checkpoint and tile/')
    .option('--dir <folder>', 'folder of an export, instead of an address: no network')
    .requiredOption('--vkey <key>', `${VKEY}; again for keys of before`, collect)
    .option('--origin <origin>', 'origin of the log, where it is not the name of the key')
    .option('--tenant <tenant>', 'the tenant whose log it must be')
    .option('--since <checkpoint>', 'file of an older checkpoint, which the log must go on from')
    .option('--header <header>', "header of every request, 'name: value'; may be given again", collect)
    .option('--json', 'print the report as JSON')
    .addHelpText('after', `\nA bearer token is taken from ${TOKEN_VARIABLE}.${EXIT_CODES}`)
    .action(async (args: VerifyLogArguments) => done(await verifyLog(args, io)));
  program
    .command('verify-anchor')
    .description('check one anchor, offline: the JSON of GET /audit/log/anchor')
    .argument('<anchor>', 'file of the anchor')
    .requiredOption('--vkey <key>', VKEY)
    .requiredOption('--platform-vkey <key>', 'verifier key of the platform log, from a source you trust')
    .option(
      '--witness-vkey <key>',
      'verifier key of a witness that must have cosigned; may be given again',
      collect,
    ) // prettier-ignore
    .option('--json', 'print the report as JSON')
    .addHelpText('after', EXIT_CODES)
    .action(async (anchor: string, args: VerifyAnchorArguments) =>
      done(await verifyAnchor(anchor, args, io)),
    );
  program
    .command('export')
    .description("write a tenant's log and the proofs of its records to files that verify without a network")
    .requiredOption('--url <base>', 'address of the API: below it are audit/log and the collections')
    .requiredOption('--out <folder>', 'where to; again with the same folder it goes on where it was')
    .option('--vkey <key>', `${VKEY}; again for keys of before; without it, what the server gives`, collect)
    .option('--collection <name>', 'records of this collection alone; may be given again', collect)
    .option('--from <time>', 'revisions from this time on')
    .option('--to <time>', 'revisions before this time')
    .option('--disclose <what>', 'sensitive values: none, or all', 'none')
    .option('--header <header>', "header of every request, 'name: value'; may be given again", collect)
    .option('--json', 'print the report as JSON')
    .addHelpText('after', `\nA bearer token is taken from ${TOKEN_VARIABLE}.${EXIT_CODES}`)
    .action(async (args: ExportArguments) => done(await exportLog(args, io)));
  program
    .command('fsck')
    .description(
      'hold everything in a storage against everything that follows from it; needs the environment of the app',
    )
    .option('--tenant <tenant>', 'only this tenant')
    .option(
      '--repair',
      'make anew what is derived: index rows, lists, tiles, bundles, a checkpoint that is gone',
    )
    .option('--open', 'open sealed values too')
    .option('--json', 'print a line of JSON for each finding, and one at the end')
    .addHelpText('after', EXIT_CODES)
    .action(async (args: FsckArguments) => done(await fsck(args, io)));
  return program;
}

/** Runs the command with its arguments (without node and script) and says how it ends. Never rejects. */
export async function run(args: readonly string[], io: CliIo): Promise<ExitCode> {
  let code: ExitCode = EXIT.unknown;
  try {
    await programOf(io, (ended) => (code = ended)).parseAsync([...args], { from: 'user' });
    return code;
  } catch (error) {
    // It has printed its complaint; help that was asked for is an answer.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.yes : EXIT.unknown;
    const why =
      error instanceof CannotTell ? error.message : `something is broken: ${(error as Error).message}`;
    io.complain(`business-records: ${printable(why)}\n`);
    return EXIT.unknown;
  }
}
