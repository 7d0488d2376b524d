import { LIMITS } from '../../domain/limits.js';
import { parseCheckpoint, type Checkpoint } from '../log/checkpoint.js';
import { isMalformed, toHex, utf8, type Malformed } from '../log/encoding.js';
import {
  keyIdInput,
  parseNote,
  signaturesBy,
  splitVkey,
  verdictOf,
  type Note,
  type NoteKey,
} from '../log/note-format.js';
import { parseTlogProof, type TlogProof } from '../log/tlog-proof.js';
import { inclusionSides } from '../log/tree-shape.js';
import { canonical } from './committed-data.js';
import { parseJsonObject } from './json-text.js';
import { ed25519Verifies, leafHashOf, nodeHashOf, sha256 } from './platform-crypto.js';
import { Checklist, type ProofReport, type ProvenFacts } from './report.js';

/** What a proof is held against: things that the auditor has from somewhere else. */
export interface VerifyOptions {
  /** The verifier key of the log. */
  readonly vkey: string;
  /** The origin that the checkpoint must have, where it is not the name of the key. */
  readonly origin?: string | undefined;
}

/** An event whose bytes are in their only form. Whether it was logged is another question. */
export interface ProvenEvent {
  readonly text: string;
  readonly members: Readonly<Record<string, unknown>>;
}

/** A proof and the checkpoint in it, taken apart. */
export interface OpenedProof {
  readonly proof: TlogProof;
  readonly note: Note;
  readonly checkpoint: Checkpoint;
}

/** Members of every event that are named in what was proven. */
const NAMED = ['tenant', 'event_id', 'event_type', 'timestamp'] as const;

/** Reads the exact bytes of an event: canonical JSON and nothing else. */
export function readEvent(text: string): ProvenEvent | Malformed {
  const parsed = parseJsonObject(text, LIMITS.eventBytes);
  if (isMalformed(parsed)) return parsed;
  const members = (parsed as { value: ProvenEvent['members'] }).value;
  if (utf8(text).length > LIMITS.eventBytes) return { malformed: 'is too long' };
  if (canonical(members) !== text) return { malformed: 'is not in canonical form' };
  const missing = NAMED.find((member) => typeof members[member] !== 'string');
  return missing === undefined ? { text, members } : { malformed: `has no ${missing}` };
}

function openProof(text: string): OpenedProof | Malformed {
  const proof = parseTlogProof(text);
  if (isMalformed(proof)) return proof;
  const note = parseNote(proof.checkpoint);
  if (isMalformed(note)) return { malformed: `has a checkpoint that ${note.malformed}` };
  const checkpoint = parseCheckpoint(note.text);
  if (isMalformed(checkpoint)) return { malformed: `has a checkpoint that ${checkpoint.malformed}` };
  return { proof, note, checkpoint };
}

/** Computes the root from the leaf upwards. */
async function included(event: string, { proof, checkpoint }: OpenedProof): Promise<object> {
  const { index, path } = proof;
  if (index >= checkpoint.size) return { malformed: 'the index is not below the size of the tree' };
  const sides = inclusionSides(index, checkpoint.size);
  if (path.length !== sides.length) return { malformed: 'the path is not as long as the tree is high' };
  let hash = await leafHashOf(event);
  for (const [at, beside] of path.entries())
    hash = await (sides[at] === 'left' ? nodeHashOf(beside, hash) : nodeHashOf(hash, beside));
  const wrong =
    'from the event and the path follows another root: one of event, index, path and root is not what was logged';
  return hash === checkpoint.root ? {} : { malformed: wrong };
}

/** A verifier key whose id is that of its key. */
export async function readKey(vkey: string): Promise<NoteKey | Malformed> {
  const key = splitVkey(vkey);
  if (isMalformed(key)) return key;
  const hash = toHex(await sha256(keyIdInput(key.name, key.publicKey)));
  return hash.startsWith(key.keyId) ? key : { malformed: 'has a key id that is not that of its key' };
}

export async function signed(note: Note, key: NoteKey): Promise<object> {
  const message = utf8(note.text);
  const checked = await Promise.all(
    signaturesBy(note, key).map(async ({ signature }) => ({
      key,
      valid: await ed25519Verifies(key.publicKey, message, signature),
    })),
  );
  return verdictOf(note.text, checked);
}

/** The log that a checkpoint must be of: that of the key, and of the tenant. Undefined when it is. */
function otherLog(origin: string, expected: string, tenant: unknown): Malformed | undefined {
  if (origin !== expected) return { malformed: `is of the log ${origin}, and not of ${expected}` };
  if (origin.slice(origin.lastIndexOf('/') + 1) !== tenant)
    return { malformed: `is of the log ${origin}, which is not that of the event's tenant` };
  return undefined;
}

/** Makes the checks of a proof, from `proof` to `signature`. The opened proof, where it could be opened. */
export async function checkProof(
  list: Checklist,
  event: ProvenEvent | undefined,
  proofText: string,
  options: VerifyOptions,
): Promise<OpenedProof | undefined> {
  const opened = await list.check('proof', 'the proof and its checkpoint are of their formats', () =>
    openProof(proofText),
  );
  if (opened === undefined || event === undefined) list.skip('inclusion');
  else
    await list.check(
      'inclusion',
      `the event is entry ${String(opened.proof.index)} of ${String(opened.checkpoint.size)}`,
      () => included(event.text, opened),
    );
  const key = await list.check('key', 'the verifier key is one', () => readKey(options.vkey));
  const origin = options.origin ?? key?.name;
  if (opened === undefined || event === undefined || origin === undefined) list.skip('checkpoint');
  else
    await list.check(
      'checkpoint',
      `the checkpoint is of the log ${origin}`,
      () => otherLog(opened.checkpoint.origin, origin, event.members['tenant']) ?? {},
    );
  if (opened === undefined || key === undefined) list.skip('signature');
  else await list.check('signature', `${key.name} signed the checkpoint`, () => signed(opened.note, key));
  return opened;
}

/** What the proof of an event proves. */
export function factsOf(event: ProvenEvent, { proof, checkpoint }: OpenedProof): ProvenFacts {
  const [tenant, event_id, event_type, timestamp] = NAMED.map((member) => event.members[member] as string) as [string, string, string, string]; // prettier-ignore
  const { size: tree_size, root, origin } = checkpoint;
  return { tenant, event_id, event_type, timestamp, leaf_index: proof.index, tree_size, root, origin };
}

/**
 * Checks that an event, given as its exact bytes, was logged: `proof` is a tlog-proof@v1 with the checkpoint. Offline;
 * never throws, whatever it is given.
 */
export async function verifyEventProof(
  eventText: string,
  proof: string,
  options: VerifyOptions,
): Promise<ProofReport> {
  const list = new Checklist();
  const event = await list.check('event', 'the event is in canonical form', () => readEvent(eventText));
  const opened = await checkProof(list, event, proof, options);
  return list.report(() =>
    event === undefined || opened === undefined ? undefined : factsOf(event, opened),
  );
}
