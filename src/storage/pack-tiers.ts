import pLimit from 'p-limit';
import { LIMITS } from '../domain/limits.js';
import type { RecordType } from '../domain/record-type.js';
import { Budget } from './backoff.js';
import type { PartitionRef } from './directory.js';
import { BLOB_CONTAINERS, partitionKey, recordKey, revisionKey } from './keys.js';
import { packRow, type Pack, type StoredPack } from './pack-rows.js';
import { isFault, type Row } from './ports.js';
import type { Candidate } from './record-archiver.js';
import { parseRevisionRow } from './record-row.js';
import { rowIntact } from './row-checksum.js';
import { RevisionMover, type MoverTools } from './revision-mover.js';
import { rowsByKeys } from './rows-by-keys.js';

/** What became of a pack that is due for the archive: revisions. */
export interface Archived {
  readonly moved: number;
  /** Records on hold: the pack stays as it is, with all that is in it. */
  readonly held: number;
  /** Written by somebody else at the time: the next round sees to their rows. */
  readonly overtaken: number;
}

const { records: CONTAINER } = BLOB_CONTAINERS;
const RECORDS_AT_ONCE = 4;
/** Times that the rows of a record are read again where somebody else is writing it. */
const TRIES = 3;

/** Moves whole packs to the archive tier: the blob first and then the rows, for what cannot be read says so by itself. */
export class PackTiers {
  readonly #mover: RevisionMover;

  constructor(private readonly tools: MoverTools) {
    this.#mover = new RevisionMover(tools);
  }

  /**
   * The records of a pack, with the rows of those of their revisions that name it. Range reads along the rows of its
   * members, as many as there are gaps between them.
   */
  async named(ref: PartitionRef, pack: Pack): Promise<readonly Candidate[]> {
    const key = partitionKey(ref.tenant, ref.partition);
    const { tables } = this.tools.ports;
    const read = (keys: readonly string[]): Promise<ReadonlyMap<string, Row>> =>
      rowsByKeys((query) => this.#budget().retry(() => tables.range(ref.table, key, query)), keys, LIMITS.rangeRows); // prettier-ignore
    const revisions = await read(pack.members.map(({ id, revision }) => revisionKey(id, revision)));
    const naming = [...revisions.values()].filter((row) => row.properties['blob'] === pack.blob && rowIntact(row)); // prettier-ignore
    const byRecord = new Map<string, Row[]>();
    for (const row of naming.sort((a, b) => (a.rowKey < b.rowKey ? -1 : 1))) {
      const rowKey = recordKey(String(row.properties['id']));
      byRecord.set(rowKey, [...(byRecord.get(rowKey) ?? []), row]);
    }
    const records = await read([...byRecord.keys()]);
    return [...byRecord].flatMap(([rowKey, rows]) => {
      const record = records.get(rowKey);
      // What stands where a record is not any more is listed nowhere.
      const isRecord = record?.properties['index_keys'] !== undefined && rowIntact(record);
      return isRecord ? [{ record, revisions: rows }] : [];
    });
  }

  /**
   * `free` is asked right before, of everything in the pack. Again for a pack whose blob is in the archive already: what
   * is left of its rows follows. One call for the blob, one transaction for each record and 70 of its revisions, one for
   * the pack's row.
   */
  async archive(
    type: RecordType,
    ref: PartitionRef,
    pack: StoredPack,
    members: readonly Candidate[],
    free: (candidates: readonly Candidate[]) => Promise<readonly Candidate[]>,
  ): Promise<Archived> {
    const unheld = await free(members);
    const held = members.length - unheld.length;
    if (held > 0) return { moved: 0, held, overtaken: 0 };
    await this.#budget().retry(() => this.tools.ports.blobs.setTier(CONTAINER, pack.blob, 'archive'));
    const limit = pLimit(RECORDS_AT_ONCE);
    const done = await settled(members.map((one) => limit(() => this.#follow(type, ref, pack, one))));
    const moved = done.reduce((sum, one) => sum + one.moved, 0);
    const overtaken = done.reduce((sum, one) => sum + one.left, 0);
    if (overtaken === 0) await this.replaceRow(ref, pack, { ...pack, tier: 'archive' });
    return { moved, held: 0, overtaken };
  }

  /** The rows of one record. */
  async #follow(
    type: RecordType,
    ref: PartitionRef,
    pack: Pack,
    first: Candidate,
  ): Promise<{ readonly moved: number; readonly left: number }> {
    let moved = 0;
    let candidate: Candidate | undefined = first;
    for (let attempt = 1; candidate !== undefined; attempt += 1) {
      const waiting = candidate.revisions.filter(({ properties }) => properties['tier'] !== 'archive');
      const revisions = waiting.map((row) => ({ row, to: parseRevisionRow(row, String(row.properties['id'])).location })); // prettier-ignore
      const { record } = candidate;
      const to = { tier: 'archive', pack: pack.blob } as const;
      const done = await this.#mover.move(type, ref, { record, revisions }, to);
      moved += done.length;
      const left = revisions.length - done.length;
      if (left === 0 || attempt === TRIES) return { moved, left };
      const ids = pack.members.filter(({ id }) => recordKey(id) === record.rowKey);
      [candidate] = await this.named(ref, { ...pack, members: ids });
    }
    return { moved, left: 0 };
  }

  /** Puts another row in the place of the pack's, unless somebody else has; that is as good then. */
  async replaceRow(ref: PartitionRef, { etag }: StoredPack, next: Pack): Promise<void> {
    const key = partitionKey(ref.tenant, ref.partition);
    const operation = { kind: 'replace', ...packRow(key, next), etag } as const;
    try {
      await this.#budget().retry(() => this.tools.ports.tables.commit(ref.table, key, [operation]));
    } catch (error) {
      if (!isFault(error, 'conflict', 'missing')) throw error;
    }
  }

  #budget(): Budget {
    return new Budget(this.tools.clock, this.tools.entropy);
  }
}

/** All results; the first failure once none is under way any more. */
async function settled<T>(work: readonly Promise<T>[]): Promise<readonly T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}
