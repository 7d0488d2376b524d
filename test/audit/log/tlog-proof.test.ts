import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatTlogProof, parseTlogProof } from '../../../src/audit/log/tlog-proof.js';

/** The example of C2SP tlog-proof; what it abbreviates in its checkpoint is left as it is there. */
const HASHES = [
  'gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=',
  'B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=',
  'EKNzoDWG8LGC0Yp9o+sv3qllpMP9uHQ9B20KNL+Q1zs=',
  'RoopEkOdqkYqMB4MJXrbt/hMjOxsVn0IrWjpz1ZMMes=',
  'AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=',
];
const CHECKPOINT = `example.com/fancylog
109482
sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=

— example.com/fancylog hI2DJw[...]1roloI=
— witness1.example mJirIklj[...]qY9v2B/5bg==
`;
const TEXT = `c2sp.org/tlog-proof@v1
extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6
index 73894
${HASHES.join('\n')}

${CHECKPOINT}`;
const PROOF = {
  index: 73894,
  path: HASHES.map((hash) => Buffer.from(hash, 'base64').toString('hex')),
  checkpoint: CHECKPOINT,
};

describe('a tlog-proof', () => {
  it('is the published example, byte for byte', () => {
    const extra = new Uint8Array(Buffer.from('age-v1.2.1-darwin-arm64.tar.gz'));
    expect(parseTlogProof(TEXT)).toEqual({ ...PROOF, extra });
    expect(formatTlogProof({ ...PROOF, extra })).toBe(TEXT);
  });

  it('goes without extra data, and without a path in a tree of one leaf', () => {
    const text = `c2sp.org/tlog-proof@v1\nindex 0\n\n${CHECKPOINT}`;
    const proof = { index: 0, path: [], checkpoint: CHECKPOINT };
    expect(formatTlogProof(proof)).toBe(text);
    expect(parseTlogProof(text)).toEqual(proof);
  });

  it('is read as it was written', () => {
    const hash = fc
      .uint8Array({ minLength: 32, maxLength: 32 })
      .map((bytes) => Buffer.from(bytes).toString('hex'));
    const extra = fc.option(fc.uint8Array({ minLength: 1 }));
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.array(hash, { maxLength: 53 }), extra, (index, path, more) => {
        const proof = { index, path, checkpoint: CHECKPOINT, ...(more === null ? {} : { extra: more }) };
        expect(parseTlogProof(formatTlogProof(proof))).toEqual(proof);
      }),
    );
  });

  it.each([
    ['nothing', ''],
    ['another version', TEXT.replace('@v1', '@v2')],
    ['a line before', `\n${TEXT}`],
    ['no index', TEXT.replace('index 73894\n', '')],
    ['a leading zero', TEXT.replace('73894', '073894')],
    ['a negative index', TEXT.replace('73894', '-1')],
    ['an index beyond 2^53', TEXT.replace('73894', '9007199254740992')],
    ['two spaces', TEXT.replace('index 7', 'index  7')],
    ['extra data after the index', TEXT.replace(/(extra .*)\n(index .*)\n/, '$2\n$1\n')],
    ['extra data twice', TEXT.replace(/(extra .*)\n/, '$1\n$1\n')],
    ['extra data that is not base64', TEXT.replace('extra YWdl', 'extra Y-dl')],
    ['a shorter hash', TEXT.replace('gSKy', '')],
    ['a hash with stray bits', TEXT.replace('PlQ=', 'PlR=')],
    ['a hash with a space', TEXT.replace('PlQ=', 'PlQ= ')],
    ['carriage returns', TEXT.replaceAll('\n', '\r\n')],
    ['no empty line', TEXT.replaceAll('\n\n', '\n')],
    [
      'a path longer than any tree is high',
      TEXT.replace(HASHES[0] as string, Array(65).fill(HASHES[0]).join('\n')),
    ],
    ['a million characters', TEXT + 'x'.repeat(1_000_000)],
  ])('with %s is refused', (_, text) => {
    expect(parseTlogProof(text)).toHaveProperty('malformed');
  });

  it('does not bring its reader down, whatever it is, and has one spelling', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.nat(TEXT.length),
        fc.nat(TEXT.length),
        (junk, from, to) => {
          const text = TEXT.slice(0, from) + junk + TEXT.slice(to);
          const parsed = parseTlogProof(text);
          expect('malformed' in parsed ? text : formatTlogProof(parsed)).toBe(text);
        },
      ),
      { numRuns: 1000 },
    );
  });
});
