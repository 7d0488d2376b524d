import { LIMITS } from '../../domain/limits.js';
import { fromDecimal, fromHex, isMalformed, toBase64 } from '../log/encoding.js';
import { parseSignatureLines } from '../log/cosignature.js';
import type { NoteSignature } from '../log/note-format.js';
import type { WitnessKey } from '../log/witness-key.js';
import type { OpenCheckpoint } from './anchor-state.js';

/** Answer of a witness over HTTP, bounded by whoever got it. */
export interface WitnessAnswer {
  readonly status: number;
  readonly text: string;
}

export interface Witness {
  readonly key: WitnessKey;
  /** Posts a text below the witness's submission prefix. Rejects when there is no answer in time. */
  readonly post: (path: string, body: string) => Promise<WitnessAnswer>;
}

/**
 * `refused`: the witness says, or its answer shows, that this is not the log that it knows: somebody has to look.
 * `ahead`: it knows a larger tree; so may another host, and if not, somebody has to look. `unanswered`: anything else than
 * a good cosignature; the next round asks again.
 */
export type Witnessed =
  | { readonly outcome: 'cosigned'; readonly signatures: readonly NoteSignature[] }
  | { readonly outcome: 'ahead'; readonly size: number }
  | { readonly outcome: 'refused' | 'unanswered'; readonly reason: string };

/** Times that the witness may say that it knows another size: another host may be at it. */
const ATTEMPTS = 4;

/**
 * Has a checkpoint cosigned (C2SP tlog-witness, add-checkpoint). `known` is the size that the witness is believed to know
 * last, 0 when nothing is believed; it says itself when that is wrong, as after an answer that was lost. `prove` gives the
 * consistency proof from a size. Cosignatures are verified. Never rejects for what the witness does.
 */
export async function cosign(
  { key, post }: Witness,
  checkpoint: OpenCheckpoint,
  known: number,
  prove: (from: number) => Promise<readonly string[]>,
): Promise<Witnessed> {
  let old = known;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const body = requestOf(old, await prove(old), checkpoint.note);
    let answer: WitnessAnswer;
    try {
      answer = await post('add-checkpoint', body);
    } catch {
      // What a network library says may quote the address, and with it what is secret there.
      return { outcome: 'unanswered', reason: 'no answer' };
    }
    if (answer.status === 200) return cosignaturesIn(answer.text, key, checkpoint);
    if (answer.status !== 409) return refusal(answer.status);
    const size = answer.text.endsWith('\n') ? fromDecimal(answer.text.slice(0, -1)) : undefined;
    if (size === undefined && old < checkpoint.size)
      return { outcome: 'unanswered', reason: 'status 409 without a size' };
    // The size was right: what differs is the root.
    if (size === undefined || size === old)
      return { outcome: 'refused', reason: `the witness has another root of ${String(old)} entries` };
    if (size > checkpoint.size) return { outcome: 'ahead', size };
    old = size;
  }
  return { outcome: 'unanswered', reason: 'the witness goes on knowing another size' };
}

function requestOf(old: number, proof: readonly string[], note: string): string {
  const lines = [`old ${String(old)}`, ...proof.map((hash) => toBase64(fromHex(hash))), ''];
  return `${lines.map((line) => `${line}\n`).join('')}${note}`;
}

/** 422: the proof does not hold; 403 and 404: it does not know this log or its key. The rest may pass by itself. */
function refusal(status: number): Witnessed {
  const refused = [403, 404, 422].includes(status);
  return { outcome: refused ? 'refused' : 'unanswered', reason: `status ${String(status)}` };
}

function cosignaturesIn(text: string, key: WitnessKey, checkpoint: OpenCheckpoint): Witnessed {
  const bad = (reason: string): Witnessed => ({ outcome: 'unanswered', reason });
  if (text.length > LIMITS.noteChars) return bad('the answer is longer than signatures are');
  const signatures = parseSignatureLines(checkpoint.opened.text, text);
  if (isMalformed(signatures)) return bad(`the answer ${signatures.malformed}`);
  const own = key.cosignatures({ text: checkpoint.opened.text, signatures }); // prettier-ignore
  if (own === undefined) return bad('a cosignature does not verify');
  return own.length === 0 ? bad('no cosignature is of the key') : { outcome: 'cosigned', signatures: own };
}
