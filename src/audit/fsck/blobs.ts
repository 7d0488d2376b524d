import pLimit from 'p-limit';
import { isObject } from '../../domain/merge-patch.js';
import { isAppError } from '../../domain/errors.js';
import type { RecordType } from '../../domain/record-type.js';
import { BLOB_CONTAINERS, packKey, revisionKey, recordKey } from '../../storage/keys.js';
import { isFault } from '../../storage/ports.js';
import { placeOf } from '../../storage/record-location.js';
import { isIntactTombstone } from './disposals.js';
import { rowIntact } from '../../storage/row-checksum.js';
import { parseYearRow, yearKey, yearPartition } from '../../storage/year-rows.js';
import type { Found } from './findings.js';
import { AT_ONCE, keyOf, type Reads } from './tools.js';

const CONTAINER = BLOB_CONTAINERS.records;
/** A detail, a pack of them, and lines of entries; the partition in a name is encoded as in a key. */
const DETAIL =
  /^([^/]+)\/([^/]+)\/([^/]+)\/([a-z]+_[0-9a-f-]{36})\/([1-9]\d{0,9})-(evt_[0-9a-f-]{36})\.json$/;
const PACK = /^([^/]+)\/([^/]+)\/_packs\/[0-9a-f-]{36}\.jsonl$/;
/** Lines of entries of many, with the partition of parts that they and the row of the pack are in. */
const STREAMS = /^([^/]+)\/([^/]+)\/_streams\/([^/]+)\/([0-9a-f-]{36})\.jsonl$/;
const LINES = /^([^/]+)\/([^/]+)\/([^/]+)\/([a-z]+_[0-9a-f-]{36})\/[a-z-]+\/\d{4}\.jsonl$/;
/** A file with values of a year. */
const YEAR = /^([^/]+)\/([^/]+)\/([^/]+)\/([a-z]+_[0-9a-f-]{36})\/[a-z-]+\/(\d{4})-[0-9a-f-]{36}\.csv\.gz$/;
/** Of the inbox, of poisoned messages, and what was brought back from the archive: no record's, and nobody's to judge. */
const OTHER = /^[^/]+\/(?:_(?:inbox|poison)|[^/]+\/_rehydrated)\//;

/** A page of the blobs of a tenant's records: each is named by a row. Resolves to the next page, undefined at the end. */
export async function checkBlobs(
  reads: Reads,
  tenant: string,
  from: string | undefined,
  found: Found,
): Promise<string | undefined> {
  const page = await reads.budget().retry(() => reads.tools.ports.blobs.list(CONTAINER, `${tenant}/`, from));
  const limit = pLimit(AT_ONCE);
  await Promise.all(
    page.names.map((name) =>
      limit(async () => {
        const verdict = await verdictOn(reads, tenant, name);
        if (verdict === 'orphan') found('blob.orphan', `${CONTAINER}/${name}`, 'no row names it');
        if (verdict === 'left')
          found('disposal.left', `${CONTAINER}/${name}`, 'its record was disposed of, and cleared');
        if (verdict === 'unknown')
          found('blob.unknown', `${CONTAINER}/${name}`, 'its name is of nothing known');
      }),
    ),
  );
  return page.next;
}

type Verdict = 'named' | 'orphan' | 'left' | 'unknown';

async function verdictOn(reads: Reads, tenant: string, name: string): Promise<Verdict> {
  if (OTHER.test(name)) return 'named';
  const typeOf = (recordType: string | undefined): RecordType | undefined =>
    reads.tools.types.find((type) => type.recordType === recordType);
  const year = YEAR.exec(name);
  if (year !== null) return yearVerdict(reads, typeOf(year[2]), tenant, name, year[4] ?? '', Number(year[5]));
  const [detail, pack, lines, streams] = [DETAIL.exec(name), PACK.exec(name), LINES.exec(name), STREAMS.exec(name)]; // prettier-ignore
  const type = typeOf((detail ?? pack ?? lines ?? streams)?.[2]);
  if (type === undefined) return 'unknown';
  if (streams !== null) return streamsVerdict(reads, type, tenant, streams);
  if (pack !== null) return packVerdict(reads, type, tenant, name);
  const [, , , partition = '', id = ''] = detail ?? lines ?? [];
  const rowKey = detail === null ? recordKey(id) : revisionKey(id, Number(detail[5]));
  if (reads.isLater(id)) return 'named';
  const row = await reads.row(type.table, `${tenant}:${partition}`, rowKey);
  if (row === undefined) return 'orphan';
  // Lines go with their record alone, when it is cleared.
  if (detail === null)
    return isIntactTombstone(row) && row.properties['state'] === 'cleared' ? 'left' : 'named';
  return row.properties['blob'] === name ? 'named' : 'orphan';
}

/** A file with values is in use when the row of its year names it. */
async function yearVerdict(
  reads: Reads,
  type: RecordType | undefined,
  tenant: string,
  name: string,
  id: string,
  year: number,
): Promise<Verdict> {
  const series = type?.parts?.series;
  if (series === undefined) return 'unknown';
  const row = await reads.row(series.table, `${tenant}:${yearPartition(id, year)}`, yearKey(year));
  // That one is altered is said where series are looked at.
  if (row === undefined || !rowIntact(row)) return 'orphan';
  return parseYearRow(row, id).files.some(({ blob }) => blob === name) ? 'named' : 'orphan';
}

/** A pack of entries has a row, from before it is there until it goes. */
async function streamsVerdict(
  reads: Reads,
  { parts }: RecordType,
  tenant: string,
  [, , , partition = '', uuid = '']: readonly string[],
): Promise<Verdict> {
  if (parts === undefined) return 'unknown';
  const row = await reads.row(parts.table, `${tenant}:${partition}`, packKey(uuid));
  return row === undefined ? 'orphan' : 'named';
}

/** A pack is in use when a row names it for any of its lines. */
async function packVerdict(reads: Reads, type: RecordType, tenant: string, name: string): Promise<Verdict> {
  let text: string;
  try {
    const content = await reads.budget().retry(() => reads.tools.ports.blobs.find(CONTAINER, name));
    text = Buffer.from(content?.bytes ?? []).toString('utf8');
  } catch (error) {
    // Only what rows name is ever archived.
    if (isFault(error, 'archived')) return 'named';
    throw error;
  }
  for (const line of text.split('\n')) {
    const member = memberOf(type, tenant, line);
    const row = member === undefined ? undefined : await reads.row(type.table, member.key, member.rowKey);
    if (row?.properties['blob'] === name) return 'named';
  }
  return 'orphan';
}

function memberOf(
  type: RecordType,
  tenant: string,
  line: string,
): { readonly key: string; readonly rowKey: string } | undefined {
  try {
    const { id, revision, data } = JSON.parse(line) as Readonly<Record<string, unknown>>;
    if (typeof id !== 'string' || typeof revision !== 'number' || !isObject(data)) return undefined;
    return { key: keyOf(placeOf(type, tenant, id, data)), rowKey: revisionKey(id, revision) };
  } catch (error) {
    if (error instanceof SyntaxError || isAppError(error, 'record-not-found')) return undefined;
    throw error;
  }
}
