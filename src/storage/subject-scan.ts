import pLimit from 'p-limit';
import { discloseData } from '../domain/committed-form.js';
import { isAppError } from '../domain/errors.js';
import type { PartsDeclaration } from '../domain/parts.js';
import type { RecordType } from '../domain/record-type.js';
import { upgradeData } from '../domain/upgrade.js';
import { Budget } from './backoff.js';
import { DetailStore } from './detail-store.js';
import type { PartitionRef } from './directory.js';
import { partitionKey, prefixRange } from './keys.js';
import type { IntegrityFinding, StorageManagerOptions } from './manager-types.js';
import { PartEntries } from './part-entries.js';
import { parsePartRow } from './part-rows.js';
import { clearPart, sealedAs } from './part-sealing.js';
import type { Row } from './ports.js';
import { keyAfter } from './range.js';
import { integrityEvidence } from './record-row.js';
import { RecordLocator } from './record-locator.js';
import { RecordReader } from './record-reader.js';
import { namedIn, type NamedSubject } from './subject-rows.js';

/** What a page of a partition came to. */
export interface Scanned {
  readonly named: readonly NamedSubject[];
  readonly seen: number;
  /** Of what could not be read nobody knows whom it names. */
  readonly damaged: readonly IntegrityFinding[];
  /** The row it came to; undefined at the end of the partition. */
  readonly last: string | undefined;
}

/** Revisions or entries of one step: each is read whole. */
const PAGE = 50;
const AT_ONCE = 8;

/** Reads whom revisions and entries name that were written before there was an index of subjects. */
export class SubjectScan {
  readonly #reader: RecordReader;
  readonly #entries: PartEntries;

  constructor(private readonly tools: StorageManagerOptions) {
    const details = new DetailStore(tools.ports.blobs, tools.secretBox);
    this.#reader = new RecordReader(tools, details, new RecordLocator(tools.ports.tables));
    this.#entries = new PartEntries(tools);
  }

  /**
   * Up to 50 revisions, or entries, of a partition, after a row. One range read, and for each revision what a read of it
   * costs, for each run of entries that have moved a read of their blob. Throws `storage-unavailable`.
   */
  async page(type: RecordType, ref: PartitionRef, after: string | undefined): Promise<Scanned> {
    const parts = type.parts?.table === ref.table ? type.parts : undefined;
    const range = prefixRange(parts === undefined ? 'v:' : 'p:');
    const from = after === undefined ? range.from : keyAfter(after);
    const key = partitionKey(ref.tenant, ref.partition);
    const page = await this.#budget().retry(() =>
      this.tools.ports.tables.range(ref.table, key, { from, to: range.to, limit: PAGE }),
    );
    const limit = pLimit(AT_ONCE);
    const read = (row: Row): Promise<readonly NamedSubject[]> =>
      parts === undefined ? this.#ofRevision(type, ref, row) : this.#ofEntry(type, parts, ref, row);
    const done = await Promise.all(page.rows.map((row) => limit(() => settled(type, row, () => read(row)))));
    return {
      named: done.flatMap(({ named }) => named),
      seen: page.rows.length,
      damaged: done.flatMap(({ damaged }) => damaged),
      last: page.more ? page.rows.at(-1)?.rowKey : undefined,
    };
  }

  async #ofRevision(type: RecordType, { tenant }: PartitionRef, row: Row): Promise<readonly NamedSubject[]> {
    const { id, seq: revision } = whoseRow(row);
    const { stored, secrets, inClear } = await this.#reader.getStored(type, tenant, id, revision);
    const data = discloseData(stored.data, secrets);
    // Whom it names is said by the members of today; of an older version by those it had as well.
    const now = upgradeData(type, stored.schema_version, data);
    const named = await Promise.all([data, now].map((one) => namedIn(this.tools.blindIndex, tenant, one, type.subjects))); // prettier-ignore
    const older = inClear || isOlder(Object.values(stored.sealed ?? {}));
    return rowsOf(type, id, named.flat(), older);
  }

  async #ofEntry(
    type: RecordType,
    parts: PartsDeclaration,
    ref: PartitionRef,
    row: Row,
  ): Promise<readonly NamedSubject[]> {
    const { id } = whoseRow(row);
    const place = { ...ref, sealedAs: sealedAs(type, parts) };
    const [part] = await this.#entries.read(place, id, [parsePartRow(row, id)], this.#budget());
    if (part === undefined) return [];
    const named = await namedIn(this.tools.blindIndex, ref.tenant, clearPart(part).data, parts.subjects);
    return rowsOf(type, id, named, isOlder(Object.values(part.sealed ?? {})));
  }

  #budget(): Budget {
    return new Budget(this.tools.clock, this.tools.entropy);
  }
}

/** Sealed under a key that no subject has (`security/sealed-v1.ts`). */
const isOlder = (sealed: readonly string[]): boolean => sealed.some((text) => !text.startsWith('v2.'));

function rowsOf(type: RecordType, recordId: string, hashes: readonly string[], older: boolean): readonly NamedSubject[] {
  const { recordType } = type;
  return [...new Set(hashes)].flatMap((subject) => [
    { subject, recordType, recordId },
    ...(older ? [{ subject, recordType, recordId, older }] : []),
  ]);
} // prettier-ignore

/** `v:<id>:<revision>` or `p:<id>:<number>`. */
function whoseRow({ rowKey }: Row): { readonly id: string; readonly seq: number } {
  const [, id = '', seq = ''] = rowKey.split(':');
  return { id, seq: Number(seq) };
}

async function settled(type: RecordType, row: Row, read: () => Promise<readonly NamedSubject[]>): Promise<Pick<Scanned, 'named' | 'damaged'>> {
  try {
    return { named: await read(), damaged: [] };
  } catch (error) {
    // Disposed of, and not cleared yet: it names nobody any more.
    if (isAppError(error, 'record-erased')) return { named: [], damaged: [] };
    const evidence = integrityEvidence(error);
    // Of another version of the platform, or gone while it was looked at.
    const unread = isAppError(error) && error.code !== 'storage-unavailable';
    if (evidence === undefined && !unread) throw error;
    const { id, seq } = whoseRow(row);
    const finding = evidence ?? { id, revision: seq, what: 'not readable' };
    return { named: [], damaged: [{ recordType: type.recordType, ...finding }] };
  }
} // prettier-ignore
