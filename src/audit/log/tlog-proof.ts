import { LIMITS } from '../../domain/limits.js';
import { fromBase64, fromDecimal, fromHex, toBase64, toHex, type Malformed } from './encoding.js';

/** C2SP tlog-proof: that a log has an entry, as one text to take home. Runs in browsers. */
export interface TlogProof {
  /** Position of the entry in the log, from 0. */
  readonly index: number;
  /** RFC 6962 inclusion path, from the leaf's sibling to the root's child, lower-case hex. */
  readonly path: readonly string[];
  /** The signed checkpoint, as the log issued it. */
  readonly checkpoint: string;
  /** Opaque, not authenticated, and not written by this log. */
  readonly extra?: Uint8Array;
}

const FIRST_LINE = 'c2sp.org/tlog-proof@v1';
const HASH_BYTES = 32;

/** The exact text of a proof. */
export function formatTlogProof({ index, path, checkpoint, extra }: TlogProof): string {
  const lines = [
    FIRST_LINE,
    ...(extra === undefined ? [] : [`extra ${toBase64(extra)}`]),
    `index ${String(index)}`,
    ...path.map((hash) => toBase64(fromHex(hash))),
  ];
  return `${lines.join('\n')}\n\n${checkpoint}`;
}

/** Takes a proof apart, to the letter. The checkpoint in it is yet to be read, and nothing of it is verified. */
export function parseTlogProof(text: string): TlogProof | Malformed {
  if (text.length > 2 * LIMITS.noteChars) return { malformed: 'is longer than a proof may be' };
  const end = text.indexOf('\n\n');
  if (end < 0) return { malformed: 'has no empty line before its checkpoint' };
  const lines = text.slice(0, end).split('\n');
  if (lines.shift() !== FIRST_LINE) return { malformed: `does not begin with ${FIRST_LINE}` };
  const extraText =
    lines[0]?.startsWith('extra ') === true ? lines.shift()?.slice('extra '.length) : undefined;
  const extra = extraText === undefined ? undefined : fromBase64(extraText);
  if (extraText !== undefined && extra === undefined)
    return { malformed: 'has extra data that is not base64' };
  const position = lines.shift() ?? '';
  const index = position.startsWith('index ') ? fromDecimal(position.slice('index '.length)) : undefined;
  if (index === undefined) return { malformed: 'does not say the index of its entry' };
  if (lines.length > LIMITS.proofHashes) return { malformed: 'has a path that is too long' };
  const hashes = lines.map(fromBase64);
  if (!hashes.every((hash) => hash?.length === HASH_BYTES))
    return { malformed: 'has a line that is no hash' };
  return {
    index,
    path: hashes.map((hash) => toHex(hash as Uint8Array)),
    checkpoint: text.slice(end + 2),
    ...(extra === undefined ? {} : { extra }),
  };
}
