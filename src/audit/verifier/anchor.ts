import { LIMITS } from '../../domain/limits.js';
import { parseCheckpoint, type Checkpoint } from '../log/checkpoint.js';
import { COSIGNATURE_V1, cosignedMessage, readCosignature } from '../log/cosignature.js';
import { isMalformed, toHex, type Malformed } from '../log/encoding.js';
import {
  keyIdInput,
  parseNote,
  signaturesBy,
  splitVkey,
  type Note,
  type NoteKey,
} from '../log/note-format.js';
import { checkProof, readEvent, readKey, signed, type ProvenEvent } from './event-proof.js';
import { parseJsonObject } from './json-text.js';
import { ed25519Verifies, sha256 } from './platform-crypto.js';
import { Checklist, type Report } from './report.js';

/** What an anchor is held against: things that the auditor has from somewhere else. */
export interface AnchorOptions {
  /** The verifier key of the tenant's log. */
  readonly vkey: string;
  /** The verifier key of the platform log. */
  readonly platformVkey: string;
  /** Verifier keys of witnesses, each of which must have cosigned. Without any, the anchor is the log's own word. */
  readonly witnessVkeys?: readonly string[] | undefined;
}

/** What is proven once the verdict is `yes`. */
export interface AnchorFacts {
  /** The tenant's log at its anchored checkpoint. */
  readonly origin: string;
  readonly tree_size: number;
  readonly root: string;
  /** When it was logged, by the platform's clock. */
  readonly timestamp: string;
  readonly platform: {
    readonly origin: string;
    readonly leaf_index: number;
    readonly tree_size: number;
    readonly root: string;
  };
  /** `<name> <time>` of each cosignature, by the witness's clock. */
  readonly witnessed: readonly string[];
}

interface AnchorDocument {
  readonly checkpoint: string;
  readonly entry: string;
  readonly proof: string;
}

function readDocument(text: string): AnchorDocument | Malformed {
  const parsed = parseJsonObject(text, LIMITS.proofDocumentChars);
  if (isMalformed(parsed)) return parsed;
  const { checkpoint, entry, proof, ...others } = (parsed as { value: Record<string, unknown> }).value;
  const whole = typeof checkpoint === 'string' && typeof entry === 'string' && typeof proof === 'string';
  return whole && Object.keys(others).length === 0
    ? { checkpoint, entry, proof }
    : { malformed: 'is not made of checkpoint, entry and proof' };
}

/** The entry must be one of a checkpoint, and of the very one that is shown. */
function readEntry({ entry, checkpoint }: AnchorDocument): ProvenEvent | Malformed {
  const event = readEvent(entry);
  if (isMalformed(event)) return event;
  if (event.members['event_type'] !== 'checkpoint.logged') return { malformed: 'is not of a checkpoint' };
  const details = event.members['details'] as { readonly checkpoint?: unknown } | null | undefined;
  return details?.checkpoint === checkpoint ? event : { malformed: 'holds another checkpoint' };
}

async function witnessKey(vkey: string): Promise<NoteKey | Malformed> {
  const key = splitVkey(vkey, COSIGNATURE_V1);
  if (isMalformed(key)) return key;
  const hash = toHex(await sha256(keyIdInput(key.name, key.publicKey, COSIGNATURE_V1)));
  return hash.startsWith(key.keyId) ? key : { malformed: 'has a key id that is not that of its key' };
}

/** When a witness says that it saw this checkpoint, or what is wrong with what it says. */
async function witnessed(note: Note, vkey: string): Promise<{ readonly said: string } | Malformed> {
  const key = await witnessKey(vkey);
  if (isMalformed(key)) return { malformed: `the key of a witness ${key.malformed}` };
  const lines = signaturesBy(note, key);
  if (lines.length === 0) return { malformed: `has no cosignature of ${key.name}` };
  let latest = 0;
  for (const line of lines) {
    const read = readCosignature(line);
    const message = read === undefined ? undefined : cosignedMessage(note.text, read.timestamp);
    if (
      read === undefined ||
      message === undefined ||
      !(await ed25519Verifies(key.publicKey, message, read.signature))
    )
      // prettier-ignore
      return { malformed: `has a cosignature of ${key.name} that does not verify` };
    latest = Math.max(latest, read.timestamp);
  }
  return { said: `${key.name} ${timeOf(latest)}` };
}

/** Seconds since 1970 as RFC 3339, or as they are where that has no such year. */
function timeOf(seconds: number): string {
  const time = new Date(seconds * 1000);
  return Number.isNaN(time.getTime()) ? String(seconds) : time.toISOString();
}

async function witnesses(
  note: Note,
  vkeys: readonly string[],
): Promise<{ readonly said: readonly string[] } | Malformed> {
  // prettier-ignore
  const said: string[] = [];
  for (const vkey of vkeys) {
    const one = await witnessed(note, vkey);
    if (isMalformed(one)) return one;
    said.push(one.said);
  }
  return { said };
}

/** The tenant's checkpoint, signed by the key of just that log. */
async function anchored(text: string, vkey: string): Promise<Checkpoint | Malformed> {
  const key = await readKey(vkey);
  if (isMalformed(key)) return { malformed: `the key of the log ${key.malformed}` };
  const note = parseNote(text);
  const checkpoint = isMalformed(note) ? note : parseCheckpoint(note.text);
  if (isMalformed(note) || isMalformed(checkpoint)) return { malformed: `the anchored checkpoint ${(checkpoint as Malformed).malformed}` }; // prettier-ignore
  if (checkpoint.origin !== key.name)
    return {
      malformed: `the anchored checkpoint is of the log ${checkpoint.origin}, and not of ${key.name}`,
    };
  const fault = await signed(note, key);
  return 'malformed' in fault ? { malformed: `the anchored checkpoint ${String(fault.malformed)}` } : checkpoint; // prettier-ignore
}

/**
 * Checks the JSON text of `GET /audit/log/anchor`: that this checkpoint of the tenant's log is an entry of the platform log,
 * under a checkpoint of that log that its key signed and each of the witnesses cosigned. Offline; never throws, whatever it
 * is given, and answers `yes` only when every check was made and passed.
 */
export async function verifyAnchor(text: string, options: AnchorOptions): Promise<Report<AnchorFacts>> {
  const { vkey, platformVkey, witnessVkeys = [] } = options;
  const list = new Checklist();
  const document = await list.check('document', 'the document is an anchor', () => readDocument(text));
  if (document === undefined) {
    list.skip('event', 'proof', 'inclusion', 'key', 'checkpoint', 'signature', 'witness', 'anchored');
    return list.report<AnchorFacts>(() => undefined);
  }
  const event = await list.check('event', 'the entry is of this checkpoint', () => readEntry(document));
  const opened = await checkProof(list, event, document.proof, { vkey: platformVkey });
  const asked = witnessVkeys.length === 0 ? 'no witness was asked for' : `cosigned by ${String(witnessVkeys.length)} of the witnesses`; // prettier-ignore
  const seen =
    opened === undefined
      ? undefined
      : await list.check('witness', asked, () => witnesses(opened.note, witnessVkeys));
  if (opened === undefined) list.skip('witness');
  const checkpoint = await list.check('anchored', "the tenant's log signed the checkpoint", () =>
    anchored(document.checkpoint, vkey),
  );
  return list.report(() => {
    if (event === undefined || opened === undefined || checkpoint === undefined) return undefined;
    const { origin, size: tree_size, root } = checkpoint;
    const { origin: platformOrigin, size, root: platformRoot } = opened.checkpoint;
    return {
      origin,
      tree_size,
      root,
      timestamp: event.members['timestamp'] as string,
      platform: {
        origin: platformOrigin,
        leaf_index: opened.proof.index,
        tree_size: size,
        root: platformRoot,
      },
      witnessed: seen?.said ?? [],
    };
  });
}
