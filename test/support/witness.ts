import { createHash, createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { signingKeyPem } from './log-keys.js';

/**
 * The server's side of C2SP tlog-witness, with checks of its own: nothing of the platform is used to judge the platform.
 */
export interface TestWitness {
  /** The submission prefix. */
  readonly url: string;
  readonly vkey: string;
  /** What it knows of each log, by origin. */
  readonly known: Map<string, { readonly size: number; readonly root: string }>;
  /** Old sizes and answers, in order. */
  readonly asked: { readonly old: number; readonly status: number }[];
  /** `down` answers nothing; `mute` does what it is asked and loses the answer; a number is answered as a status. */
  mood: 'well' | 'down' | 'mute' | number;
  /** Instead of the cosignature. */
  says: string | undefined;
  close(): void;
}

interface Submission {
  readonly old: number;
  readonly proof: readonly Buffer[];
  readonly text: string;
  readonly signatures: readonly string[];
  readonly origin: string;
  readonly size: number;
  readonly root: string;
}

const hash = (...parts: readonly Uint8Array[]): Buffer =>
  createHash('sha256').update(Buffer.concat(parts)).digest();
const node = (left: Uint8Array, right: Uint8Array): Buffer => hash(Uint8Array.of(1), left, right);

function keyOf(raw: Uint8Array): KeyObject {
  const x = Buffer.from(raw).toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}

/** RFC 9162, section 2.1.4.2, step by step. */
function consistent(
  first: number,
  second: number,
  from: Buffer,
  to: Buffer,
  proof: readonly Buffer[],
): boolean {
  if (first === 0) return proof.length === 0;
  if (first === second) return proof.length === 0 && from.equals(to);
  const path = Number.isInteger(Math.log2(first)) ? [from, ...proof] : [...proof];
  const start = path.shift();
  if (start === undefined || proof.length === 0) return false;
  let [fn, sn] = [BigInt(first) - 1n, BigInt(second) - 1n];
  const shift = (): void => void ([fn, sn] = [fn >> 1n, sn >> 1n]);
  while ((fn & 1n) === 1n) shift();
  let [fr, sr] = [start, start];
  for (const beside of path) {
    if (sn === 0n) return false;
    if ((fn & 1n) === 1n || fn === sn) {
      [fr, sr] = [node(beside, fr), node(beside, sr)];
      while ((fn & 1n) === 0n && fn !== 0n) shift();
    } else {
      sr = node(sr, beside);
    }
    shift();
  }
  return sn === 0n && fr.equals(from) && sr.equals(to);
}

function read(body: string): Submission | undefined {
  const [, head = '', text = '', signatures = ''] = /^([^]*?)\n\n([^]*?\n)\n([^]*)$/.exec(body) ?? [];
  const [old = '', ...proof] = head.split('\n');
  const [origin = '', size = '', root = ''] = text.split('\n');
  if (!/^old (0|[1-9]\d*)$/.test(old) || !/^(0|[1-9]\d*)$/.test(size) || proof.length > 63) return undefined;
  return {
    old: Number(old.slice('old '.length)),
    proof: proof.map((line) => Buffer.from(line, 'base64')),
    text,
    signatures: signatures.split('\n').filter((line) => line !== ''),
    origin,
    size: Number(size),
    root,
  };
}

/** A witness on a free port of this machine that knows these logs, by their verifier keys. */
export async function startWitness(logs: readonly string[], seed = 91): Promise<TestWitness> {
  const privateKey = createPrivateKey(signingKeyPem(seed));
  const publicKey = Buffer.from(createPublicKey(privateKey).export({ format: 'jwk' }).x ?? '', 'base64url');
  const name = `witness.test/w${String(seed)}`;
  const id = hash(Buffer.from(`${name}\n`), Uint8Array.of(4), publicKey).subarray(0, 4);
  const trusted = new Map(logs.map((vkey) => [vkey.split('+')[0] ?? '', vkey]));

  const signedBy = ({ text, signatures }: Submission, vkey: string): boolean => {
    const [log = '', keyId = '', ...encoded] = vkey.split('+');
    const key = keyOf(Buffer.from(encoded.join('+'), 'base64').subarray(1));
    return signatures.some((line) => {
      const [, by, base64 = ''] = line.split(' ');
      const bytes = Buffer.from(base64, 'base64');
      if (by !== log || bytes.subarray(0, 4).toString('hex') !== keyId) return false;
      return verify(null, Buffer.from(text), key, bytes.subarray(4));
    });
  };
  const cosignature = (text: string): string => {
    const time = Math.floor(Date.now() / 1000);
    const stamp = Buffer.alloc(8);
    stamp.writeBigUInt64BE(BigInt(time));
    const signature = sign(null, Buffer.from(`cosignature/v1\ntime ${String(time)}\n${text}`), privateKey);
    return `\u2014 ${name} ${Buffer.concat([id, stamp, signature]).toString('base64')}\n`;
  };
  /** Checks and remembers in one breath, so that no two submissions meet. */
  const judge = (submission: Submission | undefined): [number, string] => {
    if (submission === undefined) return [400, ''];
    const { old, proof, text, origin, size, root } = submission;
    const vkey = trusted.get(origin);
    if (vkey === undefined) return [404, ''];
    if (!signedBy(submission, vkey)) return [403, ''];
    if (old > size) return [400, ''];
    const latest = witness.known.get(origin) ?? { size: 0, root: '' };
    if (old !== latest.size) return [409, `${String(latest.size)}\n`];
    if (old === size && latest.root !== root && old !== 0) return [409, `${String(latest.size)}\n`];
    const [from, to] = [Buffer.from(latest.root, 'base64'), Buffer.from(root, 'base64')];
    if (!consistent(old, size, from, to, proof)) return [422, ''];
    witness.known.set(origin, { size, root });
    return [200, witness.says ?? cosignature(text)];
  };
  const answer = (body: string, response: ServerResponse): void => {
    if (witness.mood === 'down') return void response.destroy();
    const submission = read(body);
    const [status, said] = typeof witness.mood === 'number' ? [witness.mood, ''] : judge(submission);
    witness.asked.push({ old: submission?.old ?? -1, status });
    if (witness.mood === 'mute') return void response.destroy();
    response.writeHead(status, { 'content-type': status === 409 ? 'text/x.tlog.size' : 'text/plain' });
    response.end(said);
  };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (request.method !== 'POST' || request.url !== '/w/add-checkpoint') response.writeHead(404).end();
      else answer(Buffer.concat(chunks).toString(), response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const encoded = Buffer.concat([Uint8Array.of(4), publicKey]).toString('base64');
  const witness: TestWitness = {
    url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/w`,
    vkey: `${name}+${id.toString('hex')}+${encoded}`,
    known: new Map(),
    asked: [],
    mood: 'well',
    says: undefined,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
  return witness;
}
