import { BLOB_CONTAINERS } from '../storage/keys.js';
import { isFault, type BlobStore } from '../storage/ports.js';
import { ledgerBroken, linesOf, type Stage } from './ledger-state.js';

const NEWLINE = 0x0a;
const CONTAINER = BLOB_CONTAINERS.audit;

/**
 * Puts the stage's lines at their place in the stream, once, however many try and however often: every append names
 * its position, and where that is not met the length tells what is there already. Creates the stream first if the
 * stage begins it. Throws `integrity-failure` for a length no sealer leaves behind.
 */
export async function appendLines(blobs: BlobStore, stage: Stage): Promise<void> {
  const { name, offset, create } = stage.stream;
  const lines = linesOf(stage);
  if (create) await createOnce(blobs, name);
  let done = 0;
  while (done < lines.length) {
    try {
      await blobs.append(CONTAINER, name, lines.subarray(done), offset + done);
      return;
    } catch (error) {
      if (isFault(error, 'missing')) throw ledgerBroken(stage.tenant, `the stream ${name} is gone`, error);
      if (!isFault(error, 'position', 'sealed')) throw error;
      const now = await lengthDone(blobs, stage, lines);
      // What refused us must be something that is there; else we would ask for the same for ever.
      if (now <= done) throw ledgerBroken(stage.tenant, `the stream ${name} is shorter than it was`, error);
      done = now;
    }
  }
}

/** How many bytes of the stage's lines the stream holds: all of them also when later stages follow. */
async function lengthDone(blobs: BlobStore, stage: Stage, lines: Uint8Array): Promise<number> {
  const { name, offset } = stage.stream;
  const state = await blobs.appendState(CONTAINER, name);
  if (state === undefined) throw ledgerBroken(stage.tenant, `the stream ${name} is gone`);
  const done = state.length - offset;
  if (done >= lines.length) return lines.length;
  if (state.sealed) throw ledgerBroken(stage.tenant, `the stream ${name} was sealed before its end`);
  if (done > 0 && lines[done - 1] !== NEWLINE) {
    throw ledgerBroken(stage.tenant, `the stream ${name} ends within a line`);
  }
  return done;
}

async function createOnce(blobs: BlobStore, name: string): Promise<void> {
  try {
    await blobs.createAppend(CONTAINER, name);
  } catch (error) {
    if (!isFault(error, 'exists')) throw error;
  }
}

/**
 * Makes the stream that this one followed read-only, if the stage begins a stream: all its lines are there, for a
 * head is only followed once its stage is finished.
 */
export async function sealOlderStream(blobs: BlobStore, stage: Stage): Promise<void> {
  const { seals } = stage.stream;
  if (seals === undefined) return;
  try {
    await blobs.seal(CONTAINER, seals);
  } catch (error) {
    if (isFault(error, 'missing')) throw ledgerBroken(stage.tenant, `the stream ${seals} is gone`, error);
    throw error;
  }
}
