import { generateKeyPairSync } from 'node:crypto';
import { formatCheckpoint } from '../../../src/audit/log/checkpoint.js';
import { proveInclusion } from '../../../src/audit/log/proof.js';
import { ed25519Signer, signNote, type LocalNoteSigner } from '../../../src/audit/log/signed-note.js';
import { formatTlogProof } from '../../../src/audit/log/tlog-proof.js';
import { eventText } from '../../../src/domain/audit-event.js';
import { buildEvent } from '../../../src/domain/build-event.js';
import { commitData } from '../../../src/domain/committed-form.js';
import { storedEnvelope } from '../../../src/domain/envelope.js';
import { newId } from '../../../src/domain/ids.js';
import { seededEntropy } from '../../support/entropy.js';
import { WholeTree } from './support.js';

export const ORIGIN = 'log.example/acme';
const AT_MS = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
const AT = new Date(AT_MS).toISOString();

export function newSigner(name = ORIGIN): LocalNoteSigner {
  const { privateKey } = generateKeyPairSync('ed25519');
  return ed25519Signer(name, privateKey.export({ format: 'pem', type: 'pkcs8' }).toString());
}

/** What a proof document is made of: one record in a small log, made by the domain's own functions. */
export interface Sample {
  readonly signer: LocalNoteSigner;
  readonly envelope: Record<string, unknown>;
  readonly event: string;
  readonly entries: readonly string[];
  readonly index: number;
}

const DATA = {
  title: 'Open a second warehouse',
  amount: 12.5,
  tags: ['a/b', 'zwölf'],
  author: { name: 'Ada Lovelace', 'a/b~c': 'odd' },
  voters: [{ email: 'one@example.com' }, { email: 'two@example.com' }],
};
const SENSITIVE = ['/author/name', '/author/a~1b~0c', '/voters/*/email'];
/** Shown in the sample; the others are commitments. */
const DISCLOSED = ['/author/a~1b~0c', '/voters/1/email'];

/** A record of revision 2 whose event is entry `index` of a log of `size`. */
export function sample(signer = newSigner(), index = 5, size = 11): Sample {
  const entropy = seededEntropy('proof-documents');
  const { committed, secrets } = commitData(DATA, SENSITIVE, entropy);
  const id = newId('dec', AT_MS, entropy);
  const stored = storedEnvelope(
    { record_type: 'decision', id, tenant: 'acme', revision: 2, schema_version: '1.0', stored_at: AT },
    committed,
    {},
  );
  const { event } = buildEvent(
    {
      eventId: newId('evt', AT_MS, entropy),
      timestampMs: AT_MS,
      tenant: 'acme',
      actor: 'act_00000000-0000-7000-8000-000000000000',
      eventType: 'record.updated',
      severity: 'info',
      action: 'patch',
      resourceType: 'decision',
      resourceId: id,
      outcome: 'success',
      details: { changed: ['title'] },
      correlationId: 'c-1',
      ipAddress: '192.0.2.1',
      change: {
        recordType: 'decision',
        revision: 2,
        checksum: stored.checksum,
        previousChecksum: 'c'.repeat(64),
      },
    },
    entropy,
  );
  const text = eventText(event);
  const entries = Array.from({ length: size }, (_, at) => (at === index ? text : `{"entry":${String(at)}}`));
  const data = structuredClone(committed) as typeof DATA;
  data.author['a/b~c'] = DATA.author['a/b~c'];
  (data.voters[1] as { email: string }).email = 'two@example.com';
  const salts = Object.fromEntries(DISCLOSED.map((pointer) => [pointer, secrets[pointer]?.salt]));
  return { signer, envelope: { ...stored, data, salts }, event: text, entries, index };
}

export async function proofOf({ signer, entries, index }: Sample): Promise<string> {
  const tree = new WholeTree(entries);
  const size = entries.length;
  const text = formatCheckpoint({ origin: signer.name, size, root: tree.root(size) });
  const path = await proveInclusion(index, size, tree.read);
  return formatTlogProof({ index, path, checkpoint: await signNote(text, signer) });
}

/** The proof document as the API would give it. */
export async function documentOf(made: Sample): Promise<string> {
  const { envelope, event } = made;
  return JSON.stringify({ envelope, event, proof: await proofOf(made) });
}
