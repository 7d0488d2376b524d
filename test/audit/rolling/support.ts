import { RollingCheck, type TurnReport } from '../../../src/audit/rolling/rolling-check.js';
import type { Mismatch } from '../../../src/audit/rolling/mismatch.js';
import { formatCheckpoint } from '../../../src/audit/log/checkpoint.js';
import { ed25519Signer, signNote } from '../../../src/audit/log/signed-note.js';
import type { Clock } from '../../../src/domain/clock.js';
import type { Row, StoragePorts } from '../../../src/storage/ports.js';
import { seededEntropy } from '../../support/entropy.js';
import { signingKeyPem, TEST_LOG_KEYS, TEST_ORIGIN } from '../../support/log-keys.js';
import { commitChanges, creates, DECISIONS, host, TENANT } from '../support.js';

const START = Date.UTC(2026, 0, 10, 12);

export function rollingCheck(ports: StoragePorts, clock: Clock): RollingCheck {
  const entropy = seededEntropy('rolling check');
  return new RollingCheck({ ...ports, clock, entropy, vkeys: TEST_LOG_KEYS.vkeys });
}

/** Adds as many events, the first of which is the `at`-th there ever was. */
export async function add(ports: StoragePorts, clock: Clock, at: number, count: number): Promise<void> {
  await commitChanges(host(ports, clock), DECISIONS, creates(count, START + at, `d${String(at)}_`));
}

export const seal = (ports: StoragePorts, clock: Clock): Promise<unknown> =>
  host(ports, clock).sealer.sealTenant(TENANT, { partitions: [DECISIONS] });

/** Turns, one after the other, up to the end of a roll. */
export interface Rolled {
  readonly state: string;
  readonly turns: readonly TurnReport[];
  readonly mismatches: readonly Mismatch[];
}

/** Rolls over a log once, a bundle a turn, from a state. */
export async function rollOver(check: RollingCheck, from?: string): Promise<Rolled> {
  const turns: TurnReport[] = [];
  let state = from;
  do {
    if (turns.length > 100) throw new Error('the roll does not end');
    const turn = await check.turn(TENANT, state, () => true);
    state = turn.state;
    turns.push(turn);
    if (turn.counts.bundles === 0) break;
  } while (turns.at(-1)?.counts.rolls === 0);
  return { state: state ?? '', turns, mismatches: turns.flatMap(({ mismatches }) => mismatches) };
}

/** What was found, each code and place once. */
export const told = ({ mismatches }: Pick<Rolled, 'mismatches'>): readonly string[] => [
  ...new Set(mismatches.map(({ code, where }) => `${code} ${where.replace(`ledger/${TENANT}/`, '')}`)),
];

/** A checkpoint of the log by the owner of its key, or by another. */
export async function forged(size: number, root: string, seed = 7, tenant = TENANT): Promise<Buffer> {
  const origin = `${TEST_ORIGIN}/${tenant}`;
  const signer = ed25519Signer(origin, signingKeyPem(seed));
  return Buffer.from(await signNote(formatCheckpoint({ origin, size, root }), signer));
}

/** What a thief does to one blob of a storage and takes back. */
export async function withBlob(
  { blobs }: StoragePorts,
  [container, name]: readonly [string, string],
  change: (bytes: Buffer) => Uint8Array | Promise<Uint8Array> | undefined,
  look: () => Promise<void>,
): Promise<void> {
  const before = (await blobs.find(container, name))?.bytes;
  if (before === undefined) throw new Error(`there is no ${name}`);
  const put = async (bytes: Uint8Array | undefined): Promise<void> => {
    await blobs.delete(container, name);
    if (bytes === undefined) return;
    if (container === 'ledger') {
      await blobs.putOnce(container, name, bytes, 'text/plain');
      return;
    }
    await blobs.createAppend(container, name);
    await blobs.append(container, name, bytes, 0);
  };
  await put(await change(Buffer.from(before)));
  try {
    await look();
  } finally {
    await put(before);
  }
}

/** The same to one row. */
export async function withRow(
  { tables }: StoragePorts,
  row: Row,
  change: Row['properties'] | undefined,
  look: () => Promise<void>,
): Promise<void> {
  const { partitionKey, rowKey, properties } = row;
  const put = (own: Row['properties'] | undefined) =>
    tables.commit('auditevents', partitionKey, [
      own === undefined ? { kind: 'delete', rowKey, etag: '*' } : { kind: 'upsert', rowKey, properties: own },
    ]);
  await put(change);
  try {
    await look();
  } finally {
    await put(properties);
  }
}
