import { LIMITS } from '../../domain/limits.js';
import { isMalformed, toHex, type Malformed } from '../log/encoding.js';
import { canonical, committedForm, type CommittedData } from './committed-data.js';
import { mismatch, shownEnvelope, UNPROVEN, type ShownEnvelope } from './envelope.js';
import { checkProof, factsOf, readEvent, type ProvenEvent, type VerifyOptions } from './event-proof.js';
import { parseJsonObject } from './json-text.js';
import { sha256 } from './platform-crypto.js';
import { Checklist, type ProofReport, type ProvenFacts } from './report.js';

/** The proof document of a record: its envelope, the exact bytes of its event, and a tlog-proof@v1. */
interface ProofDocument {
  readonly envelope: ShownEnvelope;
  readonly event: string;
  readonly proof: string;
}

function readDocument(text: string): ProofDocument | Malformed {
  const parsed = parseJsonObject(text, LIMITS.proofDocumentChars);
  if (isMalformed(parsed)) return parsed;
  const { envelope: shown, event, proof, ...others } = (parsed as { value: Record<string, unknown> }).value;
  if (typeof event !== 'string' || typeof proof !== 'string' || Object.keys(others).length > 0)
    return { malformed: 'is not made of envelope, event and proof' };
  const envelope = shownEnvelope(shown);
  return isMalformed(envelope) ? envelope : { envelope, event, proof };
}

async function checksumHolds({ checksum }: ShownEnvelope, { committed }: CommittedData): Promise<object> {
  const found = toHex(await sha256(canonical(committed)));
  const wrong = 'the data, a disclosed value or a salt is not what the checksum is of';
  return found === checksum ? {} : { malformed: wrong };
}

function eventOf(envelope: ShownEnvelope, text: string): ProvenEvent | Malformed {
  const event = readEvent(text);
  if (isMalformed(event)) return event;
  const differs = mismatch(envelope, event);
  return differs === undefined ? event : { malformed: differs };
}

async function checkData(list: Checklist, envelope: ShownEnvelope): Promise<CommittedData | undefined> {
  const data = await list.check(
    'commitments',
    'every value that is hidden or disclosed has its commitment',
    () => committedForm(envelope.data, envelope.salts),
  );
  if (data === undefined) list.skip('checksum');
  else
    await list.check('checksum', 'the data is what the checksum is of', () => checksumHolds(envelope, data));
  return data;
}

/**
 * Checks the JSON text of `GET /{collection}/{id}/proof`: that this very content is what was logged as that revision of
 * that record, at that position, under a checkpoint that the log signed. Offline; never throws, whatever it is given, and
 * answers `yes` only when every check was made and passed.
 */
export async function verifyRecordProof(text: string, options: VerifyOptions): Promise<ProofReport> {
  const list = new Checklist();
  const document = await list.check('document', 'the document is a proof of a record', () =>
    readDocument(text),
  );
  if (document === undefined) {
    list.skip('commitments', 'checksum', 'event', 'proof', 'inclusion', 'key', 'checkpoint', 'signature');
    return list.report<ProvenFacts>(() => undefined);
  }
  const { envelope } = document;
  const data = await checkData(list, envelope);
  const event = await list.check('event', `the event is that of revision ${String(envelope.revision)}`, () =>
    eventOf(envelope, document.event),
  );
  const opened = await checkProof(list, event, document.proof, options);
  return list.report(() => {
    if (data === undefined || event === undefined || opened === undefined) return undefined;
    const { record_type, id, revision, checksum } = envelope;
    const { disclosed, withheld } = data;
    const record = { record_type, id, revision, checksum, disclosed, withheld, unproven: UNPROVEN };
    return { ...factsOf(event, opened), record };
  });
}
