import { ed25519Signer } from '../../../src/audit/log/signed-note.js';
import { bundleEntries, tilePath, TILE_WIDTH } from '../../../src/audit/log/tiles.js';
import type { PlatformOptions } from '../../../src/platform.js';
import { parseWitnessKey } from '../../../src/audit/anchors/settings.js';
import { postTextWith } from '../../../src/security/post-text.js';
import { BLOB_CONTAINERS } from '../../../src/storage/keys.js';
import type { BlobStore } from '../../../src/storage/ports.js';
import { logFiles } from '../../cli/support.js';
import { signingKeyPem, TEST_LOG_KEYS, TEST_ORIGIN } from '../../support/log-keys.js';
import type { TestWitness } from '../../support/witness.js';
import type { HttpHost } from '../../support/http-harness.js';

export const [PLATFORM_VKEY = ''] = TEST_LOG_KEYS.vkeys('_system');
const LEDGER = BLOB_CONTAINERS.ledger;

/** What a host is configured with to ask this witness. */
export function witnessedBy({ url, vkey }: TestWitness): NonNullable<PlatformOptions['anchoring']> {
  const key = parseWitnessKey(vkey);
  if (key === undefined) throw new TypeError('no key of a witness');
  return { witness: { key, post: postTextWith(fetch, url) } };
}

/** One round of the job, from its beginning to its end; what it counted. */
export async function round({ platform }: HttpHost): Promise<Readonly<Record<string, number>>> {
  const { outcome, counts } = await platform.jobs.tryOut('anchor-logs', {});
  if (outcome !== 'done') throw new Error(`the round is ${outcome}`);
  return counts;
}

/** The entries of a small log, as they are stored. */
export async function entriesOf(blobs: BlobStore, tenant: string): Promise<readonly string[]> {
  const note = Buffer.from((await blobs.find(LEDGER, `${tenant}/checkpoint`))?.bytes ?? []).toString();
  const width = Number(note.split('\n')[1]);
  if (!(width > 0 && width < TILE_WIDTH)) throw new RangeError('the log is not of one partial bundle');
  const path = tilePath({ level: 'entries', index: 0, width });
  const bundle = await blobs.find(LEDGER, `${tenant}/${path}`);
  const entries = bundleEntries(bundle?.bytes ?? Buffer.alloc(0), width) ?? [];
  return entries.map((entry) => Buffer.from(entry).toString());
}

/** What a thief of the signing key and of storage does: another log in the place of a tenant's, whole and signed. */
export async function replaceLog(
  blobs: BlobStore,
  tenant: string,
  entries: readonly string[],
): Promise<void> {
  const signer = ed25519Signer(`${TEST_ORIGIN}/${tenant}`, signingKeyPem(7));
  const { names } = await blobs.list(LEDGER, `${tenant}/tile/`);
  // Without its head the platform does not mend the log from the streams.
  for (const name of [...names, `${tenant}/checkpoint`, `${tenant}/head`]) await blobs.delete(LEDGER, name);
  for (const [path, bytes] of await logFiles(entries, signer))
    await blobs.putOnce(LEDGER, `${tenant}/${path}`, bytes, 'application/octet-stream');
}

/** The same entries with another first one. */
export const rewritten = (entries: readonly string[]): readonly string[] => [
  (entries[0] ?? '').replace('"success"', '"failure"'),
  ...entries.slice(1),
];
