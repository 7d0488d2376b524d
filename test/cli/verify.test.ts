import { describe, expect, it } from 'vitest';
import { documentOf, proofOf, sample } from '../audit/log/proof-documents.js';
import { ran } from './support.js';

const SAMPLE = sample();
const FILES = {
  'proof.json': await documentOf(SAMPLE),
  'changed.json': (await documentOf(SAMPLE)).replace('second', 'third'),
  'event.tlog-proof': await proofOf(SAMPLE),
  'event.json': SAMPLE.event,
  binary: Uint8Array.of(0xff, 0xfe),
};
const KEY = ['--vkey', SAMPLE.signer.vkey];

describe('business-records verify', () => {
  it('says yes and what that proves, and ends with 0', async () => {
    const { code, out, complaints } = await ran(['verify', 'proof.json', ...KEY], FILES);
    expect([code, complaints]).toEqual([0, '']);
    expect(out).toContain('yes: everything holds');
    expect(out).toMatch(/^ok {3}signature +log\.example\/acme signed the checkpoint$/m);
    expect(out).toMatch(/^ +leaf_index +5$/m);
    expect(out).toMatch(/^ +withheld +\/author\/name \/voters\/0\/email$/m);
    expect(out).toMatch(/^ +unproven +schema_version tier$/m);
  });

  it('says no and what fails, and ends with 1', async () => {
    const { code, out } = await ran(['verify', 'changed.json', ...KEY], FILES);
    expect(code).toBe(1);
    expect(out.match(/^FAIL .*/gm)).toEqual([expect.stringMatching(/^FAIL checksum /)]);
    expect(out).toContain('NO: it does not hold');
  });

  it('prints the report as JSON', async () => {
    for (const [file, verdict, code] of [
      ['proof.json', 'yes', 0],
      ['changed.json', 'no', 1],
    ] as const) {
      // prettier-ignore
      const made = await ran(['verify', file, '--json', ...KEY], FILES);
      expect([made.code, JSON.parse(made.out)]).toEqual([code, expect.objectContaining({ verdict })]);
    }
  });

  it('checks the proof of an event', async () => {
    const args = ['verify', 'event.tlog-proof', '--event', 'event.json', ...KEY];
    expect((await ran(args, FILES)).code).toBe(0);
    expect((await ran(args, { ...FILES, 'event.json': SAMPLE.event.replace('patch', 'vote') })).code).toBe(1);
    expect((await ran([...args, '--origin', 'log.example/globex'], FILES)).code).toBe(1);
  });

  it.each([
    ['no command', [], 'Usage'],
    ['a command that there is not', ['prove'], 'unknown command'],
    ['no file', ['verify', ...KEY], 'either a file or --dir'],
    ['no key', ['verify', 'proof.json'], '--vkey'],
    ['a key that is none', ['verify', 'proof.json', '--vkey', 'x'], 'the verifier key is not of the form'],
    ['an option that there is not', ['verify', 'proof.json', '--fast', ...KEY], 'unknown option'],
    [
      'a file that there is not',
      ['verify', 'nowhere.json', ...KEY],
      'cannot read nowhere.json: no such file',
    ],
    ['a file that is no text', ['verify', 'binary', ...KEY], 'binary is not UTF-8 text'],
  ])('ends with 2 for %s and says why', async (_, args, why) => {
    const { code, out, complaints } = await ran(args, FILES);
    expect([code, out]).toEqual([2, '']);
    expect(complaints).toContain(why);
  });

  it('explains itself when it is asked, with its exit codes', async () => {
    for (const args of [['--help'], ['verify', '--help'], ['verify-log', '--help']]) {
      const { code, out } = await ran(args);
      expect([code, out]).toEqual([0, expect.stringContaining('Exit codes: 0 everything holds, 1')]);
    }
  });

  it('prints nothing that a terminal would obey', async () => {
    const hostile = JSON.parse(FILES['proof.json']) as { proof: string };
    hostile.proof = hostile.proof.replace('log.example/acme\n', 'log.example/\u009b2J\u202eacme\n');
    const { code, out } = await ran(['verify', 'hostile.json', ...KEY], {
      'hostile.json': JSON.stringify(hostile),
    });
    expect(code).toBe(1);
    expect(out).not.toMatch(/[^\P{C}\n]/u);
    expect(out).toContain('\\u{9b}2J\\u{202e}');
  });
});
