import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatCheckpoint, parseCheckpoint } from '../../../src/audit/log/checkpoint.js';

/** The example of C2SP tlog-checkpoint. */
const TEXT = 'example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n';
const CHECKPOINT = {
  origin: 'example.com/behind-the-sofa',
  size: 20852163,
  root: '0ac5186a91863e8e1d90c808014aa89bf5da8e3ee1d9f07630f0378f68f1ab62',
  extensions: [],
};

describe('a checkpoint', () => {
  it('is the published example, byte for byte', () => {
    expect(parseCheckpoint(TEXT)).toEqual(CHECKPOINT);
    expect(formatCheckpoint(CHECKPOINT)).toBe(TEXT);
  });

  it('may have extension lines', () => {
    expect(parseCheckpoint(`${TEXT}one\ntwo\n`)).toEqual({ ...CHECKPOINT, extensions: ['one', 'two'] });
  });

  it('is read as it was written', () => {
    const root = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(fc.maxSafeNat(), root, (size, bytes) => {
        const checkpoint = { ...CHECKPOINT, size, root: Buffer.from(bytes).toString('hex') };
        expect(parseCheckpoint(formatCheckpoint(checkpoint))).toEqual(checkpoint);
      }),
    );
  });

  it.each([
    ['nothing', ''],
    ['no last newline', TEXT.slice(0, -1)],
    ['no origin', TEXT.replace(/^[^\n]+/, '')],
    ['two lines only', TEXT.split('\n').slice(0, 2).join('\n') + '\n'],
    ['a leading zero', TEXT.replace('20852163', '020852163')],
    ['a sign', TEXT.replace('20852163', '+20852163')],
    ['a size in hex', TEXT.replace('20852163', '0x13')],
    ['a size with a space', TEXT.replace('20852163', '20852163 ')],
    ['digits of another script', TEXT.replace('20852163', '٢٠')],
    ['a size beyond 2^53', TEXT.replace('20852163', '9007199254740992')],
    ['a shorter hash', TEXT.replace('CsUY', '')],
    ['a longer hash', TEXT.replace('CsUY', 'CsUYCsUY')],
    ['base64url', TEXT.replace('om/X', 'om_X')],
    ['no padding', TEXT.replace('=', '')],
    ['stray bits', TEXT.replace('2I=', '2J=')],
    ['an empty line', `${TEXT}\n`],
    ['an empty line between extensions', `${TEXT}one\n\ntwo\n`],
    ['a carriage return', TEXT.replaceAll('\n', '\r\n')],
  ])('with %s is refused', (_, text) => {
    expect(parseCheckpoint(text)).toHaveProperty('malformed');
  });

  it('of an empty tree has the size 0', () => {
    expect(parseCheckpoint(TEXT.replace('20852163', '0'))).toMatchObject({ size: 0 });
  });
});
