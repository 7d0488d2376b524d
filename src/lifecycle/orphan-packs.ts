import pLimit from 'p-limit';
import { isAppError } from '../domain/errors.js';
import { isObject } from '../domain/merge-patch.js';
import type { Budget } from '../storage/backoff.js';
import type { PartitionRef } from '../storage/directory.js';
import { BLOB_CONTAINERS, packKey, partitionKey, revisionKey } from '../storage/keys.js';
import { packUuidOf } from '../storage/pack-rows.js';
import type { Row, StoragePorts } from '../storage/ports.js';
import { placeOf } from '../storage/record-location.js';
import type { PackBlob } from './blob-names.js';
import { fence } from './fence.js';
import { findRevisions, type RevisionName } from './find-revisions.js';
import { verdictOn, type Verdict } from './orphan-plan.js';

const { records } = BLOB_CONTAINERS;
/** The head of an envelope is at its beginning, and shorter. */
const HEAD_BYTES = 1024;
const HEAD = /^\{"record_type":"([^"\\]+)","id":"([^"\\]+)","tenant":"([^"\\]+)","revision":(\d+),/;
const AT_ONCE = 8;

/** The revisions of a pack, by the partition of their rows. */
type Members = readonly { readonly ref: PartitionRef; readonly revisions: readonly RevisionName[] }[];

/**
 * What is to become of a pack: it is an orphan only when every record in it is fenced and no row names it. One that is
 * in use is known, as a rule, by its first line: one read of its head and one point read.
 */
export async function judgePack(ports: StoragePorts, pack: PackBlob, budget: Budget): Promise<Verdict> {
  const head = await find(ports, pack, HEAD_BYTES, budget);
  if (head === undefined) return 'orphan';
  const first = HEAD.exec(head)?.[0];
  // The head tells the partition only where the id does.
  const told = first !== undefined && pack.type.partition.kind !== 'member';
  const member = told ? memberOf(pack, `${first}"data":{}}`) : undefined;
  if (member !== undefined) {
    const verdict = worst(await look(ports, pack, [member], new Map(), budget));
    if (verdict !== 'orphan') return verdict;
  }
  return judgeWhole(ports, pack, budget);
}

/** A pack whose first line is not in use, or is not known, is read whole: it is at most as large as a batch. */
async function judgeWhole(ports: StoragePorts, pack: PackBlob, budget: Budget): Promise<Verdict> {
  const text = await find(ports, pack, undefined, budget);
  const lines = text?.split('\n').filter((line) => line !== '') ?? [];
  const members = lines.map((line) => memberOf(pack, line));
  const known = members.filter((member) => member !== undefined);
  if (known.length === 0 || known.length < members.length) return 'unclear';
  const partitions = byPartition(known);
  // In use for the greater part, perhaps: nobody is disturbed then.
  const before = worst(await look(ports, pack, partitions, new Map(), budget));
  if (before !== 'orphan') return before;
  // One of archived revisions has a row, and is for the job that packs them: somebody may be about to name it.
  if (await isKept(ports, pack, partitions, budget)) return 'named';
  const fenced = new Map<string, Row | undefined>();
  const limit = pLimit(AT_ONCE);
  const places = partitions.flatMap(({ ref, revisions }) => revisions.map(({ id }) => ({ ref, id })));
  const damaged = await Promise.all(
    places.map(({ ref, id }) =>
      limit(async () => {
        const done = await fence(ports.tables, ref, id, budget);
        if (done.kind === 'fenced') fenced.set(id, done.record);
        return done.kind === 'damaged';
      }),
    ),
  );
  if (damaged.includes(true)) return 'unclear';
  return worst(await look(ports, pack, partitions, fenced, budget));
}

async function isKept(
  { tables }: StoragePorts,
  { name }: PackBlob,
  members: Members,
  budget: Budget,
): Promise<boolean> {
  const rowKey = packKey(packUuidOf(name) ?? '');
  for (const { ref } of members) {
    const key = partitionKey(ref.tenant, ref.partition);
    if ((await budget.retry(() => tables.find(ref.table, key, rowKey))) !== undefined) return true;
  }
  return false;
}

async function find(
  ports: StoragePorts,
  { name }: PackBlob,
  length: number | undefined,
  budget: Budget,
): Promise<string | undefined> {
  const range = length === undefined ? undefined : { offset: 0, length };
  const content = await budget.retry(() => ports.blobs.find(records, name, range));
  return content === undefined ? undefined : Buffer.from(content.bytes).toString('utf8');
}

/** What each member's rows say, given the record rows that are known. */
async function look(
  ports: StoragePorts,
  pack: PackBlob,
  members: Members,
  recordRows: ReadonlyMap<string, Row | undefined>,
  budget: Budget,
): Promise<readonly Verdict[]> {
  const verdicts: Verdict[] = [];
  for (const { ref, revisions } of members) {
    const rows = await findRevisions(ports.tables, ref, revisions, budget);
    for (const { id, revision } of revisions)
      verdicts.push(verdictOn(pack.name, revision, recordRows.get(id), rows.get(revisionKey(id, revision))));
  }
  return verdicts;
}

function worst(verdicts: readonly Verdict[]): Verdict {
  if (verdicts.includes('named')) return 'named';
  return verdicts.includes('unclear') ? 'unclear' : 'orphan';
}

/** The revision that a line holds; undefined when it is not one of this pack. */
function memberOf(pack: PackBlob, line: string): Members[number] | undefined {
  let parsed: { record_type?: unknown; id?: unknown; tenant?: unknown; revision?: unknown; data?: unknown } | null; // prettier-ignore
  try {
    parsed = JSON.parse(line) as typeof parsed;
  } catch {
    return undefined;
  }
  const { record_type, id, tenant, revision, data } = parsed ?? {};
  if (record_type !== pack.type.recordType || tenant !== pack.tenant) return undefined;
  if (typeof id !== 'string' || typeof revision !== 'number' || !isObject(data)) return undefined;
  try {
    return { ref: placeOf(pack.type, pack.tenant, id, data), revisions: [{ id, revision }] };
  } catch (error) {
    if (isAppError(error, 'record-not-found')) return undefined;
    throw error;
  }
}

function byPartition(members: Members): Members {
  const groups = new Map<string, { ref: PartitionRef; revisions: RevisionName[] }>();
  for (const { ref, revisions } of members) {
    const group = groups.get(ref.partition) ?? { ref, revisions: [] };
    group.revisions.push(...revisions);
    groups.set(ref.partition, group);
  }
  return [...groups.values()];
}
