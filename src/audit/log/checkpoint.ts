import { fromBase64, fromDecimal, fromHex, toBase64, toHex, type Malformed } from './encoding.js';
import { isNoteText } from './note-format.js';

/** C2SP tlog-checkpoint: what a log says of itself in the text of a signed note. Runs in browsers. */
export interface Checkpoint {
  /** The unique name of the log: `<AUDIT_ORIGIN>/<tenant>`. */
  readonly origin: string;
  /** Number of leaves, below 2^53. */
  readonly size: number;
  /** RFC 6962 root of the tree of that size, lower-case hex. */
  readonly root: string;
  /** Opaque lines after these; nobody writes any, and they are not to be believed to mean anything. */
  readonly extensions: readonly string[];
}

const ROOT_BYTES = 32;

/** The text to be signed: origin, size, root and extension lines. */
export function formatCheckpoint(checkpoint: Omit<Checkpoint, 'extensions'> & Partial<Checkpoint>): string {
  const { origin, size, root, extensions = [] } = checkpoint;
  return [origin, String(size), toBase64(fromHex(root)), ...extensions].map((line) => `${line}\n`).join('');
}

/** Takes the text of a note apart as a checkpoint; undecided spellings (leading zeroes, stray bits) are refused. */
export function parseCheckpoint(text: string): Checkpoint | Malformed {
  if (!isNoteText(text)) return { malformed: 'is not the text of a note' };
  const [origin = '', size = '', root = '', ...extensions] = text.slice(0, -1).split('\n');
  if (origin === '') return { malformed: 'has no origin' };
  const leaves = fromDecimal(size);
  if (leaves === undefined) return { malformed: 'has no tree size on its second line' };
  const hash = fromBase64(root);
  if (hash?.length !== ROOT_BYTES) return { malformed: 'has no root hash on its third line' };
  if (extensions.includes('')) return { malformed: 'has an empty line' };
  return { origin, size: leaves, root: toHex(hash), extensions };
}
