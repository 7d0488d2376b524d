import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../local/support.js';
import { MINIMAL, vote } from '../support/decisions.js';
import { AUDIENCE, LocalIssuer, newSigningKey, signed, TID, userClaims } from '../support/local-issuer.js';
import { examples, isShown, type Example } from './console-blocks.js';
import { client, killAll, removeFolders, start, stop, temporaryFolder, type Started } from './support.js';

const PAGE = 'docs/verify-it-yourself.md';

/** Somebody who visits with a token and a folder, and does what the page says. */
describe('an auditor with docs/verify-it-yourself.md', { timeout: 60_000 }, () => {
  let issuer: LocalIssuer;
  let started: Started;
  let home: string;
  let vkey: string;
  let tokenOf: (role: string) => Promise<string>;

  beforeAll(async () => {
    const key = await newSigningKey('one');
    issuer = await LocalIssuer.start(key);
    const { authority } = issuer;
    tokenOf = (role) => signed(userClaims(authority, Date.now(), { roles: [role] }), key);
    started = await start({ DATA_DIR: temporaryFolder(), AUDIT_READS: 'off', AUDIT_ORIGIN: 'records.example.com', AUTH_MODE: 'entra', ENTRA_AUDIENCE: AUDIENCE, ENTRA_TENANTS: `${TID}=acme`, ENTRA_AUTHORITY: authority }, 'node'); // prettier-ignore
    home = temporaryFolder();
    installCommand(home);
    const [, program = ''] = /^```js\n(.*?)^```/ms.exec(readFileSync(join(ROOT, PAGE), 'utf8')) ?? [];
    writeFileSync(join(home, 'by-hand.mjs'), program);
  }, 180_000);
  afterAll(async () => {
    killAll();
    removeFolders();
    await issuer.stop();
  });

  /** Stores a decision with two votes, and waits until that is in the log. */
  async function decide(): Promise<string> {
    const platform = client(started.baseUrl, '');
    const headers = { authorization: `Bearer ${await tokenOf('records.writer')}`, prefer: 'wait=10' };
    const { id } = (await platform.post('/decisions', MINIMAL, headers)).envelope;
    for (const agent of ['cfo', 'cto']) {
      const answer = await platform.post(`/decisions/${id}/votes`, vote(agent), headers);
      expect(answer.headers.get('preference-applied')).toBe('wait=10');
    }
    return id;
  }

  /** What a command prints; rejects unless it ends with 0. */
  async function printed(command: string): Promise<string> {
    const run = promisify(execFile)('sh', ['-ec', command], { cwd: home, env: environment() });
    return (await run).stdout;
  }

  /** Runs the commands in order, in a shell that remembers what was exported, and compares what they print. */
  async function follow(
    all: readonly Example[],
    filledIn: string,
    before: (command: string) => Promise<unknown>,
  ) {
    let exports = '';
    for (const { command, shown } of all) {
      if (command.startsWith('export ')) {
        exports += command.startsWith("export BASE='") ? filledIn : command;
        continue;
      }
      await before(command);
      const out = await printed(exports + command);
      const lines = out.split('\n').filter((line) => line.trim() !== '');
      expect(areShown(lines, shown), `${command}prints\n${out}and not\n${shown.join('\n')}`).toBe(true);
    }
    expect(exports).toContain(filledIn);
  }

  it('gets what the page shows from each of its commands', async () => {
    const id = await decide();
    const token = await tokenOf('records.auditor');
    const vkeys = await fetch(`${started.baseUrl}/audit/log/vkey`, { headers: { authorization: `Bearer ${token}` } }); // prettier-ignore
    vkey = (await vkeys.text()).split('\n')[0] ?? '';
    /** The line of the page that everybody has to fill in. */
    const filledIn = `export BASE='${new URL(started.baseUrl).origin}' TOKEN='${token}' ID='${id}' VKEY='${vkey}'\n`;
    const all = examples(PAGE);
    expect(all.length).toBeGreaterThan(8);
    // What happens in a year.
    await follow(all, filledIn, async (command) => command.includes('--since') && decide());
  });

  it('needs nobody for what was taken home, and is told when it was changed', async () => {
    await stop(started);
    const offline = examples(PAGE).filter(
      ({ command }) => command.includes('$VKEY') && !command.includes('$BASE'),
    );
    expect(offline.length).toBeGreaterThanOrEqual(4);
    const filledIn = `export VKEY='${vkey}'\n`;
    await follow([{ command: "export BASE=''", shown: [] }, ...offline], filledIn, () => Promise.resolve());
    const path = join(home, 'proof.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace('Open a second', 'Close a second'));
    await expect(printed(`${filledIn}npx business-records verify proof.json --vkey "$VKEY"`)).rejects.toMatchObject({ code: 1, stdout: expect.stringMatching(/^FAIL checksum/m) as string }); // prettier-ignore
  });
});

/** True when lines are those that are shown, in order, where one that is an ellipsis stands for any number of them. */
function areShown([line, ...lines]: readonly string[], [shown, ...rest]: readonly string[]): boolean {
  if (shown === '…') return areShown(line === undefined ? [] : [line, ...lines], rest) || (line !== undefined && areShown(lines, ['…', ...rest])); // prettier-ignore
  if (line === undefined || shown === undefined) return line === shown;
  return isShown(line, shown) && areShown(lines, rest);
}

/** The command, as it is where the package is installed. */
function installCommand(folder: string): void {
  const bin = join(folder, 'node_modules', '.bin');
  mkdirSync(bin, { recursive: true });
  const path = join(bin, 'business-records');
  writeFileSync(path, `#!/bin/sh\nexec node '${join(ROOT, 'dist', 'src', 'cli', 'bin.js')}' "$@"\n`);
  chmodSync(path, 0o755);
}

/** Nothing of ours that would configure what is run; and no registry is asked for a command that is there. */
const environment = (): NodeJS.ProcessEnv => ({
  PATH: process.env['PATH'],
  HOME: process.env['HOME'],
  npm_config_offline: 'true',
});
