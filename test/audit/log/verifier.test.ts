import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { formatTlogProof, parseTlogProof, type TlogProof } from '../../../src/audit/log/tlog-proof.js';
import { COMMITMENT } from '../../../src/audit/verifier/committed-data.js';
import { UNPROVEN } from '../../../src/audit/verifier/envelope.js';
import { verifyEventProof, verifyRecordProof } from '../../../src/audit/verifier/index.js';
import type { ProofReport } from '../../../src/audit/verifier/index.js';
import { canonicalJson, checksumOf, type Json } from '../../../src/domain/canonical-json.js';
import { COMMITMENT_MEMBER } from '../../../src/domain/commitment.js';
import { LIMITS } from '../../../src/domain/limits.js';
import { documentOf, newSigner, ORIGIN, proofOf, sample, type Sample } from './proof-documents.js';

interface Document {
  envelope: Record<string, never> & { data: Record<string, never>; salts: Record<string, string> };
  event: string;
  proof: string;
}

const SAMPLE = sample();
const TEXT = await documentOf(SAMPLE);
const KEY = { vkey: SAMPLE.signer.vkey };

/** A copy of the good document with something done to it. */
function tampered(tamper: (document: Document) => void): string {
  const document = JSON.parse(TEXT) as Document;
  tamper(document);
  return JSON.stringify(document);
}

const set = (holder: unknown, member: string, value: unknown): void =>
  void Object.assign(holder as object, { [member]: value });
const failures = ({ checks }: ProofReport): readonly string[] =>
  checks.filter(({ outcome }) => outcome === 'fail').map(({ name }) => name);

function reproof(document: Document, change: (proof: TlogProof) => Partial<TlogProof>): void {
  const proof = parseTlogProof(document.proof) as TlogProof;
  document.proof = formatTlogProof({ ...proof, ...change(proof) });
}

function reevent(document: Document, change: Record<string, Json>): void {
  document.event = canonicalJson({ ...(JSON.parse(document.event) as Record<string, Json>), ...change });
}

/** The same log, taken over by another key, or with another event at the place. */
async function relogged(made: Partial<Sample>): Promise<string> {
  return documentOf({ ...SAMPLE, ...made });
}

afterEach(() => {
  vi.unstubAllGlobals();
});

describe('the verifier', () => {
  it('says yes to a record whose event was logged, and what that proves', async () => {
    const report = await verifyRecordProof(TEXT, KEY);
    expect(report.checks.map(({ name, outcome }) => `${name} ${outcome}`)).toEqual([
      'document pass', 'commitments pass', 'checksum pass', 'event pass', 'proof pass', 'inclusion pass', 'key pass', 'checkpoint pass', 'signature pass',
    ]); // prettier-ignore
    expect(report).toMatchObject({
      verdict: 'yes',
      proven: {
        tenant: 'acme',
        event_type: 'record.updated',
        leaf_index: 5,
        tree_size: 11,
        origin: ORIGIN,
        record: {
          record_type: 'decision',
          id: SAMPLE.envelope['id'],
          revision: 2,
          disclosed: ['/author/a~1b~0c', '/voters/1/email'],
          withheld: ['/author/name', '/voters/0/email'],
          unproven: ['schema_version', 'tier'],
        },
      },
    });
  });

  it('says yes at every place of trees of many sizes', async () => {
    const signer = newSigner();
    for (const size of [1, 2, 3, 4, 7, 8, 9, 255, 256, 257]) {
      for (const index of new Set(
        [0, 1, size >> 1, size - 2, size - 1].filter((at) => at >= 0 && at < size),
      )) {
        const text = await documentOf(sample(signer, index, size));
        expect([size, index, (await verifyRecordProof(text, signer)).verdict]).toEqual([size, index, 'yes']);
      }
    }
  });

  it('says yes to an event by itself', async () => {
    const proof = await proofOf(SAMPLE);
    expect(await verifyEventProof(SAMPLE.event, proof, KEY)).toMatchObject({
      verdict: 'yes',
      proven: { leaf_index: 5, tree_size: 11 },
    });
    const other = await verifyEventProof(SAMPLE.event.replace('patch', 'patsh'), proof, KEY);
    expect([other.verdict, failures(other), other.proven]).toEqual(['no', ['inclusion'], undefined]);
  });

  it('reads the document however it is laid out', async () => {
    const parsed = JSON.parse(TEXT) as Document;
    for (const space of [1, 4]) {
      const report = await verifyRecordProof(JSON.stringify(parsed, null, space), KEY);
      expect(report.verdict).toBe('yes');
    }
  });

  it.each<[string, string, (document: Document) => void]>([
    ['checksum', 'a changed value', ({ envelope }) => set(envelope.data, 'title', 'Close it')],
    ['checksum', 'a removed value', ({ envelope }) => void Reflect.deleteProperty(envelope.data, 'amount')],
    ['checksum', 'an added value', ({ envelope }) => set(envelope.data, 'more', true)],
    ['checksum', 'items in another order', ({ envelope }) => (envelope.data['tags'] as unknown as string[]).reverse() as never],
    ['checksum', 'a disclosed value that is another', ({ envelope }) => set(envelope.data['voters']?.[1], 'email', 'x@example.com')],
    ['checksum', 'another salt', ({ envelope }) => set(envelope.salts, '/voters/1/email', 'A'.repeat(43))],
    ['checksum', 'no salt for a disclosed value', ({ envelope }) => void Reflect.deleteProperty(envelope.salts, '/voters/1/email')],
    ['checksum', 'a value made up for a withheld one', ({ envelope }) => set(envelope.data['author'], 'name', 'Eve')],
    ['checksum', 'commitments exchanged', ({ envelope }) => {
      const hash = (envelope.data['author'] as unknown as { name: object }).name;
      set(envelope.data['voters']?.[0], 'email', hash);
    }],
    ['commitments', 'a salt for a withheld value', ({ envelope }) => set(envelope.salts, '/author/name', 'A'.repeat(43))],
    ['commitments', 'a salt for no value', ({ envelope }) => set(envelope.salts, '/nowhere', 'A'.repeat(43))],
    ['commitments', 'a salt for the length of a list', ({ envelope }) => set(envelope.salts, '/tags/length', 'A'.repeat(43))],
    ['commitments', 'a salt for the whole', ({ envelope }) => set(envelope.salts, '', 'A'.repeat(43))],
    ['commitments', 'a salt inside a commitment', ({ envelope }) => set(envelope.salts, '/author/name/$commitment', 'A'.repeat(43))],
    ['commitments', 'a salt that is too short', ({ envelope }) => set(envelope.salts, '/voters/1/email', 'AAAA')],
    ['commitments', 'a salt with stray bits', ({ envelope }) => set(envelope.salts, '/voters/1/email', 'A'.repeat(42) + 'B')],
    ['commitments', 'a salt that is a number', ({ envelope }) => set(envelope.salts, '/voters/1/email', 1)],
    ['commitments', 'a commitment that is none', ({ envelope }) => set(envelope.data['author'], 'name', { $commitment: 'x' })],
    ['commitments', 'a commitment with company', ({ envelope }) => set(envelope.data['author'], 'name', { $commitment: 'a'.repeat(64), also: 1 })],
    ['event', 'another id', ({ envelope }) => set(envelope, 'id', 'dec_other')],
    ['event', 'another type', ({ envelope }) => set(envelope, 'record_type', 'metric')],
    ['event', 'another revision', ({ envelope }) => set(envelope, 'revision', 3)],
    ['event', 'another time', ({ envelope }) => set(envelope, 'stored_at', '2026-01-02T03:04:05.679Z')],
    ['event', 'other data with its checksum', ({ envelope }) => {
      set(envelope, 'data', { title: 'Another' });
      set(envelope, 'salts', {});
      set(envelope, 'checksum', checksumOf({ title: 'Another' }));
    }],
    ['event', 'an event that is not canonical', (document) => set(document, 'event', ` ${document.event}`)],
    ['event', 'an event that is a list', (document) => set(document, 'event', '[]')],
    ['proof', 'no proof', (document) => set(document, 'proof', '')],
    ['proof', 'a proof of another version', (document) => set(document, 'proof', document.proof.replace('@v1', '@v2'))],
    ['proof', 'a checkpoint without signature', (document) => set(document, 'proof', document.proof.replace(/— .*\n/, ''))],
    ['proof', 'a checkpoint of no size', (document) => set(document, 'proof', document.proof.replace('\n11\n', '\n0x0b\n'))],
    ['inclusion', 'another index', (document) => reproof(document, () => ({ index: 4 }))],
    ['inclusion', 'an index that is not there', (document) => reproof(document, () => ({ index: 11 }))],
    ['inclusion', 'a longer path', (document) => reproof(document, ({ path }) => ({ path: [...path, 'a'.repeat(64)] }))],
    ['inclusion', 'a shorter path', (document) => reproof(document, ({ path }) => ({ path: path.slice(1) }))],
    ['inclusion', 'a path in another order', (document) => reproof(document, ({ path }) => ({ path: [...path].reverse() }))],
    ['document', 'no envelope', (document) => void Reflect.deleteProperty(document, 'envelope')],
    ['document', 'a member more', (document) => set(document, 'note', 'trust me')],
    ['document', 'a member more in the envelope', ({ envelope }) => set(envelope, 'note', 'trust me')],
    ['document', 'another algorithm', ({ envelope }) => set(envelope, 'checksum_algorithm', 'MD5')],
    ['document', 'a revision that is a text', ({ envelope }) => set(envelope, 'revision', '2')],
    ['document', 'data in a newer schema', ({ envelope }) => set(envelope, 'stored_schema_version', '0.9')],
    ['document', 'data nested too deeply', ({ envelope }) => set(envelope.data, 'title', JSON.parse('['.repeat(80) + ']'.repeat(80)))],
  ])('finds the %s wrong with %s, and nothing else', async (check, _, tamper) => {
    const report = await verifyRecordProof(tampered(tamper), KEY);
    expect([report.verdict, failures(report), report.proven]).toEqual(['no', [check], undefined]);
  }); // prettier-ignore

  it('finds an event that was never logged, however well it fits the record', async () => {
    const rewritten = tampered((document) => {
      set(document.envelope, 'data', { title: 'Another' });
      set(document.envelope, 'salts', {});
      set(document.envelope, 'checksum', checksumOf({ title: 'Another' }));
      reevent(document, { checksum: checksumOf({ title: 'Another' }) });
    });
    expect(failures(await verifyRecordProof(rewritten, KEY))).toEqual(['inclusion']);
  });

  it('finds a log that was made anew and signed by somebody else', async () => {
    const forged = await relogged({ signer: newSigner() });
    expect(failures(await verifyRecordProof(forged, KEY))).toEqual(['signature']);
    // With the forger's bytes under the claim of the right key.
    const claimed = forged.replace(/(— \S+ )(\S{6})/, (_, before: string) => {
      const id = Buffer.from(KEY.vkey.split('+')[1] as string, 'hex')
        .toString('base64')
        .slice(0, 5);
      return `${before}${id}A`;
    });
    expect(failures(await verifyRecordProof(claimed, KEY))).toEqual(['signature']);
  });

  it('finds a root that the log never signed', async () => {
    const other = JSON.parse(await relogged({ entries: SAMPLE.entries.slice(0, 6) })) as Document;
    const text = tampered((document) => {
      document.proof = other.proof.replace(/— .*\n/, /— .*\n/.exec(document.proof)?.[0] as string);
    });
    expect(failures(await verifyRecordProof(text, KEY))).toEqual(['signature']);
  });

  it('finds the checkpoint of another log', async () => {
    const signer = newSigner('log.example/globex');
    const moved = await relogged({ signer });
    expect(failures(await verifyRecordProof(moved, { vkey: signer.vkey }))).toEqual(['checkpoint']);
    expect(failures(await verifyRecordProof(moved, { vkey: signer.vkey, origin: ORIGIN }))).toEqual([
      'checkpoint',
    ]);
    expect(failures(await verifyRecordProof(TEXT, { ...KEY, origin: 'log.example/other' }))).toEqual([
      'checkpoint',
    ]);
  });

  it('finds events that are of no change, whatever they name', async () => {
    for (const change of [
      { event_type: 'external' },
      { outcome: 'failure' },
      { event_type: 'xrecord.updated' },
    ]) {
      const event = canonicalJson({ ...(JSON.parse(SAMPLE.event) as Record<string, Json>), ...change });
      const entries = SAMPLE.entries.map((entry) => (entry === SAMPLE.event ? event : entry));
      expect(failures(await verifyRecordProof(await relogged({ event, entries }), KEY))).toEqual(['event']);
    }
  });

  it.each(['', 'x', 'example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k'])(
    'does not say yes under %j, which is no key',
    async (vkey) => {
      const report = await verifyRecordProof(TEXT, { vkey });
      expect([report.verdict, failures(report)]).toEqual(['no', ['key']]);
    },
  );

  it('refuses what readers may read differently', async () => {
    const ambiguous = [
      TEXT.replace('{"envelope"', '{"proof":"","envelope"'),
      TEXT.replace('"title"', '"title":"Hide me","title"'),
      TEXT.replace('"title"', '"t\\u0069tle":"Hide me","title"'),
      TEXT.replace('"salts":{', '"salts":{"/voters/1/email" :"","/x":"",'),
      TEXT.replace('Open a', '\\ud800'),
      `\ufeff${TEXT}`,
      `${TEXT} ${TEXT}`,
      `[${TEXT}]`,
      'null',
      '',
    ];
    for (const text of ambiguous) expect(failures(await verifyRecordProof(text, KEY))).toEqual(['document']);
  });

  it('says no with any bit of the document turned', async () => {
    const bytes = Buffer.from(TEXT);
    // Where a record lies now and the version of its schema are in no event: their values may be other ones.
    const free = UNPROVEN.map((member) => {
      const from = bytes.indexOf(`"${member}":"`) + member.length + 4;
      return { from, to: bytes.indexOf('"', from) };
    });
    const passed: string[] = [];
    for (let at = 0; at < bytes.length; at++) {
      if (free.some(({ from, to }) => at >= from && at < to)) continue;
      const others = Array.from({ length: 8 }, (_, bit) => {
        const other = Buffer.from(bytes);
        other.writeUInt8(other.readUInt8(at) ^ (1 << bit), at);
        return other.toString();
      });
      const reports = await Promise.all(others.map((other) => verifyRecordProof(other, KEY)));
      reports.forEach(({ verdict }, bit) => {
        if (verdict !== 'no')
          passed.push(`${String(at)}.${String(bit)}: ${others[bit]?.slice(at - 9, at + 9)}`);
      });
    }
    expect(passed).toEqual([]);
  }, 180_000);

  it('says no with any member of the document gone, twice, or another', async () => {
    const good = JSON.parse(TEXT) as Record<string, unknown>;
    const paths = (value: unknown, path: readonly string[]): (readonly string[])[] =>
      typeof value === 'object' && value !== null
        ? Object.entries(value).flatMap(([member, inner]) => [
            [...path, member],
            ...paths(inner, [...path, member]),
          ])
        : [];
    const others = [null, 0, '', 'x', [], {}, { $commitment: 'a'.repeat(64) }, true, 1e300];
    for (const path of paths(good, [])) {
      const member = path.at(-1) as string;
      for (const other of [undefined, ...others]) {
        const copy = structuredClone(good);
        const holder = path.slice(0, -1).reduce<Record<string, unknown>>((inner, step) => inner[step] as Record<string, unknown>, copy); // prettier-ignore
        if (other === undefined) Reflect.deleteProperty(holder, member);
        else holder[member] = other;
        const { verdict } = await verifyRecordProof(JSON.stringify(copy), KEY);
        expect([path, other, verdict]).toEqual([path, other, 'no']);
      }
    }
  }, 60_000);

  it('neither fails nor believes whatever else it is given', async () => {
    const pieces = [TEXT.slice(0, 500), SAMPLE.event, '"proof":', '\\u0000', '{"envelope":', '\ud83d\ude00'];
    const junk = fc.oneof(fc.string({ unit: 'binary' }), fc.json(), fc.constantFrom(...pieces));
    const cut = fc.nat(TEXT.length);
    await fc.assert(
      fc.asyncProperty(junk, cut, cut, async (text, from, to) => {
        const spliced = TEXT.slice(0, from) + text + TEXT.slice(to);
        for (const one of [text, spliced]) {
          const { verdict } = await verifyRecordProof(one, KEY);
          if (one !== TEXT) expect(verdict).toBe('no');
        }
        expect((await verifyEventProof(text, spliced, KEY)).verdict).toBe('no');
        expect((await verifyRecordProof(TEXT, { vkey: text })).verdict).toBe('no');
      }),
      { numRuns: 500 },
    );
  });

  it('takes values of any shape where the parts should be', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.jsonValue(),
        fc.constantFrom('envelope', 'event', 'proof', 'data', 'salts'),
        async (value, member) => {
          const text = tampered((document) => set(['data', 'salts'].includes(member) ? document.envelope : document, member, value)); // prettier-ignore
          expect((await verifyRecordProof(text, KEY)).verdict).toBe('no');
        },
      ),
      { numRuns: 300 },
    );
  });

  it('is not worn out by large documents', async () => {
    const huge = [
      '['.repeat(20_000_000),
      `{"a":${'['.repeat(5_000_000)}${']'.repeat(5_000_000)}}`,
      'x'.repeat(LIMITS.proofDocumentChars + 1),
      tampered(({ envelope }) => set(envelope.data, 'title', '"\\'.repeat(1_000_000))),
      tampered(({ envelope }) => set(envelope, 'salts', Object.fromEntries(Array.from({ length: 200_000 }, (_, at) => [`/${String(at)}`, '']))))]; // prettier-ignore
    for (const text of huge) expect((await verifyRecordProof(text, KEY)).verdict).toBe('no');
  });

  it('says that it cannot tell where the platform cannot check, and never yes', async () => {
    const { subtle } = globalThis.crypto;
    const refuse = (): never => {
      throw new DOMException('Unrecognized algorithm name', 'NotSupportedError');
    };
    vi.stubGlobal('crypto', {
      subtle: { digest: subtle.digest.bind(subtle), importKey: refuse, verify: refuse },
    });
    const report = await verifyRecordProof(TEXT, KEY);
    expect(report).toMatchObject({ verdict: 'unsupported' });
    expect(report).not.toHaveProperty('proven');
    expect(report.checks.at(-1)).toMatchObject({ name: 'signature', outcome: 'unsupported' });
    // What is wrong is wrong anywhere.
    const wrong = tampered(({ envelope }) => set(envelope.data, 'title', 'Close it'));
    expect((await verifyRecordProof(wrong, KEY)).verdict).toBe('no');
    vi.stubGlobal('crypto', undefined);
    expect((await verifyRecordProof(TEXT, KEY)).verdict).toBe('unsupported');
  });

  it('means the same by a commitment as the domain does', () => {
    expect(COMMITMENT).toBe(COMMITMENT_MEMBER);
  });
});
