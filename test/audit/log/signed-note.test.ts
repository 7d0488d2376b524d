import { generateKeyPairSync, createPrivateKey } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isMalformed } from '../../../src/audit/log/encoding.js';
import { formatNote, parseNote, splitVkey } from '../../../src/audit/log/note-format.js';
import { ed25519Signer, openNote, signNote, verifierOf, vkeyOf } from '../../../src/audit/log/signed-note.js';
import type { NoteVerifier } from '../../../src/audit/log/signed-note.js';
import { LIMITS } from '../../../src/domain/limits.js';

/** The published example (audit-ledger.md, the log). */
const VKEY = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k';
const TEXT = 'This is an example message.\n';
const NOTE = `${TEXT}
— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
`;

/** The example of Go's golang.org/x/mod/sumdb/note, with its private key. */
const NEUMANN = {
  seed: 'gQoUAtUUbI2E8kQzMPVAgOv5juF9nHT2JS/F1ccoMXM=',
  vkey: 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW',
  text: "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n",
  signature:
    '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n',
};

function pemOfSeed(seed: string): string {
  const der = Buffer.concat([
    Buffer.from('302e020100300506032b657004220420', 'hex'),
    Buffer.from(seed, 'base64'),
  ]);
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    .export({ format: 'pem', type: 'pkcs8' })
    .toString();
}

function newPem(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
}

function verifier(vkey: string): NoteVerifier {
  const made = verifierOf(vkey);
  if (isMalformed(made)) throw new Error(made.malformed);
  return made;
}

describe('a signed note', () => {
  it('is the published example, byte for byte', () => {
    const opened = openNote(NOTE, [verifier(VKEY)]);
    expect(opened).toMatchObject({ text: TEXT, signedBy: [{ name: 'example.com/foo', keyId: '530d903a' }] });
    const parsed = parseNote(NOTE);
    expect(isMalformed(parsed) ? parsed : formatNote(parsed)).toBe(NOTE);
    const key = splitVkey(VKEY);
    expect(isMalformed(key) ? key : vkeyOf(key.name, key.publicKey)).toBe(VKEY);
  });

  it('is signed to the bytes that Go signs', async () => {
    const signer = ed25519Signer('PeterNeumann', pemOfSeed(NEUMANN.seed));
    expect(signer.vkey).toBe(NEUMANN.vkey);
    expect(await signNote(NEUMANN.text, signer)).toBe(`${NEUMANN.text}\n${NEUMANN.signature}`);
  });

  it('is refused when any bit of it is another', () => {
    const key = verifier(VKEY);
    const bytes = Buffer.from(NOTE);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const other = Buffer.from(bytes);
      other.writeUInt8(other.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect([bit, isMalformed(openNote(other.toString(), [key]))]).toEqual([bit, true]);
    }
  });

  it('may have signatures of others, which are ignored, and of several that are known', async () => {
    const [ours, theirs] = [ed25519Signer('ours', newPem()), ed25519Signer('theirs', newPem())];
    const note = await signNote('a\n\nb\n', ours, theirs);
    expect(openNote(note, [verifier(ours.vkey)])).toMatchObject({
      text: 'a\n\nb\n',
      signedBy: [{ name: 'ours' }],
    });
    expect(openNote(note, [verifier(theirs.vkey), verifier(ours.vkey)])).toMatchObject({
      signedBy: [{ name: 'theirs' }, { name: 'ours' }],
    });
    expect(openNote(note, [verifier(VKEY)])).toEqual({ malformed: 'has no signature of a known key' });
    // The same name with another key, and the same key under another name, are unknown.
    expect(openNote(note, [verifier(ed25519Signer('ours', newPem()).vkey)])).toHaveProperty('malformed');
  });

  it('is refused when one of a known key does not verify, whatever others do', async () => {
    const [ours, theirs] = [ed25519Signer('ours', newPem()), ed25519Signer('theirs', newPem())];
    const bad = { ...theirs, sign: () => new Uint8Array(64) };
    const note = await signNote('text\n', ours, bad);
    expect(openNote(note, [verifier(ours.vkey)])).toHaveProperty('text', 'text\n');
    expect(openNote(note, [verifier(ours.vkey), verifier(theirs.vkey)])).toEqual({
      malformed: 'has a signature of theirs that does not verify',
    });
  });

  it('takes 16 signatures as large as a post-quantum one, and not any number', async () => {
    const signer = ed25519Signer('ours', newPem());
    const large = { name: 'pq', keyId: '00000001', sign: () => new Uint8Array(5000) };
    const many = await signNote('text\n', signer, ...Array.from({ length: 15 }, () => large));
    expect(openNote(many, [verifier(signer.vkey)])).toHaveProperty('text');
    const small = { ...large, sign: () => new Uint8Array(64) };
    const tooMany = await signNote('text\n', signer, ...Array.from({ length: LIMITS.noteSignatures }, () => small)); // prettier-ignore
    expect(parseNote(tooMany)).toEqual({ malformed: 'has too many signatures' });
    expect(parseNote('x'.repeat(LIMITS.noteChars + 1))).toHaveProperty('malformed');
  });

  it.each([
    ['nothing', ''],
    ['no empty line', NOTE.replace('\n\n', '\n')],
    ['no signature', `${TEXT}\n`],
    ['no newline at its end', NOTE.slice(0, -1)],
    ['a hyphen for the dash', NOTE.replace('—', '-')],
    ['a carriage return', NOTE.replace('\n', '\r\n')],
    ['a tabulator', NOTE.replace('This', '\tThis')],
    ['half a surrogate pair', NOTE.replace('This', '\ud800')],
    ['a signature without name', NOTE.replace('— example.com/foo', '— ')],
    ['a name with a plus sign', NOTE.replace('example.com/foo', 'example.com+foo')],
    ['a name with a no-break space', NOTE.replace('example.com/foo', 'example.com\u00a0foo')],
    ['a name with a next-line character', NOTE.replace('example.com/foo', 'example.com\u0085foo')],
    ['two spaces', NOTE.replace('foo Uw', 'foo  Uw')],
    ['base64 without padding', NOTE.replace('QM=', 'QM')],
    ['base64 with stray bits', NOTE.replace('QM=', 'QN=')],
    ['a signature of nothing but a key id', `${TEXT}\n— example.com/foo Uw2QOg==\n`],
    ['a line after the signatures', `${NOTE}tail\n`],
  ])('is refused with %s', (_, note) => {
    expect(openNote(note, [verifier(VKEY)])).toHaveProperty('malformed');
  });

  it('is whatever was signed, for every text and name', async () => {
    const signer = ed25519Signer('log.example/acme', newPem());
    const key = verifier(signer.vkey);
    const line = fc
      .string({ unit: 'grapheme' })
      .map((text) => text.replaceAll(/[\0-\x1f]/g, '')); /* eslint-disable-line no-control-regex */
    await fc.assert(
      fc.asyncProperty(fc.array(line, { minLength: 1 }), async (lines) => {
        const text = `${lines.join('\n')}\n`;
        const note = await signNote(text, signer);
        expect(openNote(note, [key])).toEqual({ text, signedBy: [key] });
      }),
    );
  });

  it('is never made of a text that is none', async () => {
    const signer = ed25519Signer('ours', newPem());
    for (const text of ['', 'no newline', 'a\tb\n', '\ud800\n'])
      await expect(signNote(text, signer)).rejects.toMatchObject({ code: 'internal-error' });
  });

  it('does not bring its reader down, whatever it is', () => {
    const key = verifier(VKEY);
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.nat(NOTE.length), (junk, at) => {
        expect(openNote(junk, [key])).toHaveProperty('malformed');
        const mixed = NOTE.slice(0, at) + junk + NOTE.slice(at);
        expect('malformed' in openNote(mixed, [key])).toBe(mixed !== NOTE);
      }),
    );
  });
});

describe('a verifier key', () => {
  it.each([
    ['nothing', ''],
    ['no name', VKEY.slice('example.com/foo'.length)],
    ['a key id that is another', VKEY.replace('530d903a', '530d903b')],
    ['a key id in upper case', VKEY.replace('530d903a', '530D903A')],
    ['a name that is another', VKEY.replace('foo', 'fop')],
    ['another algorithm', VKEY.replace('+Aeky', '+Beky')],
    ['a key that is too short', VKEY.slice(0, -4)],
    ['stray bits', `${VKEY.slice(0, -1)}l`],
    ['one part more', `${VKEY}+x`],
    ['white space', `${VKEY}\n`],
    ['too many characters', VKEY + 'A'.repeat(4096)],
  ])('with %s is refused', (_, vkey) => {
    expect(verifierOf(vkey)).toHaveProperty('malformed');
  });

  it('is made of a private key, which no error quotes', () => {
    const pem = newPem();
    const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
    const refused = [pem.replace('PRIVATE', 'PUBLIC'), 'secret', rsa.export({ format: 'pem', type: 'pkcs8' }).toString()]; // prettier-ignore
    for (const text of refused)
      expect(() => ed25519Signer('ours', text)).toThrow(/^The key of the log is not an Ed25519 private key/);
    expect(() => ed25519Signer('our log', pem)).toThrow(/name of a key/);
  });
});
