import { describe, expect, it } from 'vitest';
import { parseEvery, parseAccount, parseContainer, parseWitnessKey, parseWitnessUrl } from '../../../src/audit/anchors/settings.js'; // prettier-ignore
import {
  cosignatureBytes,
  parseSignatureLines,
  readCosignature,
} from '../../../src/audit/log/cosignature.js';
import { formatNote, parseNote } from '../../../src/audit/log/note-format.js';
import { PLATFORM_VKEY } from '../anchors/support.js';
import { startWitness } from '../../support/witness.js';

/** Published by transparency-dev/formats, note/note_cosigv1_test.go. */
const KEY = 'remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2';
const SIGNATURE = 'ZGhGuQAAAABm/qTPeyKXD+R2rzyQsxPiP8mXum7qq/iF0u4vanlqJyocWODBt97w9uL+8qT7S5gxEHWWOworDcFiEBYJXORmnFBOBA=='; // prettier-ignore
const PLAIN = 'eQjRQm6eSKzFoiYalgwCPXu2y3ijtg68is9M46JKxuZB+dRfTmeQeDBoXnvxZx2ugnkyV+MUMLXpWs1hPb/W/4xkNQY=';

const lineOf = (base64: string) => {
  const note = parseNote(`text\n\n\u2014 w ${base64}\n`);
  if ('malformed' in note || note.signatures[0] === undefined) throw new Error('no line');
  return note.signatures[0];
};

describe('cosignatures', () => {
  it('have the time and the bytes that others read in them', () => {
    const read = readCosignature(lineOf(SIGNATURE));
    expect([read?.timestamp, read?.signature.length]).toEqual([1727964367, 64]);
    if (read !== undefined)
      expect(cosignatureBytes(read)).toEqual(Uint8Array.from(lineOf(SIGNATURE).signature));
    expect(readCosignature(lineOf(PLAIN))).toBeUndefined();
  });

  it('have no time beyond 2^53', () => {
    const late = Buffer.from(SIGNATURE, 'base64').fill(0xff, 4, 12);
    expect(readCosignature(lineOf(late.toString('base64')))).toBeUndefined();
  });

  it('are of keys that are of their type alone', () => {
    expect(parseWitnessKey(KEY)).toMatchObject({ name: 'remora.n621.de', keyId: 'da77ade7' });
    for (const other of [PLATFORM_VKEY, KEY.replace('da77ade7', 'da77ade8'), KEY.replace('+BO', '+AO'), ''])
      expect(parseWitnessKey(other), other).toBeUndefined();
  });

  it('verify over the text and the time that they were made for, and over nothing else', async () => {
    const witness = await startWitness([]);
    witness.close();
    const key = parseWitnessKey(witness.vkey);
    const note = { text: 'records.test/_system\n1\nAAAA\n', signatures: [lineOf(SIGNATURE)] };
    expect(key?.cosignatures(note)).toEqual([]);
    const claimed = {
      name: key?.name ?? '',
      keyId: key?.keyId ?? '',
      signature: lineOf(SIGNATURE).signature,
    };
    expect(key?.cosignatures({ ...note, signatures: [claimed] })).toBeUndefined();
  });

  it('come as lines of signatures and nothing else', () => {
    const text = 'a\n1\nb\n';
    const line = formatNote({ text, signatures: [lineOf(SIGNATURE)] }).slice(text.length + 1);
    expect(parseSignatureLines(text, line)).toHaveLength(1);
    for (const bad of ['', '\n', `\n${line}`, `${line}\n${line}`, line.slice(0, -1), `x${line}`])
      expect(parseSignatureLines(text, bad), JSON.stringify(bad)).toHaveProperty('malformed');
  });
});

describe('settings of anchors', () => {
  it('take an address of a witness over HTTPS, or on this machine', () => {
    expect(parseWitnessUrl('https://w.example/log/')).toBe('https://w.example/log');
    expect(parseWitnessUrl('http://127.0.0.1:9000/w')).toBe('http://127.0.0.1:9000/w');
    for (const bad of [
      'http://w.example',
      'ftp://w.example',
      'w.example',
      'https://a:b@w.example',
      'https://w.example/?a=b',
      'https://w.example/#a',
    ])
      // prettier-ignore
      expect(parseWitnessUrl(bad), bad).toBeUndefined();
  });

  it('take names and connection strings of accounts, names of containers, and numbers', () => {
    expect(parseAccount('acme2copies')).toEqual({ accountName: 'acme2copies' });
    expect(parseAccount('AccountName=a;AccountKey=b')).toEqual({ connectionString: 'AccountName=a;AccountKey=b' }); // prettier-ignore
    expect(parseAccount('No Account')).toBeUndefined();
    expect([parseContainer('anchors'), parseContainer('a'), parseContainer('a--b'), parseContainer('A-1')]).toEqual(['anchors', undefined, undefined, undefined]); // prettier-ignore
    expect([parseEvery('12'), parseEvery('0'), parseEvery('1.5'), parseEvery('-1')]).toEqual([12, undefined, undefined, undefined]); // prettier-ignore
  });
});
