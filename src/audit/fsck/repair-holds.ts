import { LIMITS } from '../../domain/limits.js';
import {
  activeKey,
  activeRow,
  COUNT_KEY,
  countOperation,
  holdKey,
  HOLDS_TABLE,
  parseHoldRow,
} from '../../storage/hold-rows.js';
import type { PartitionRef } from '../../storage/directory.js';
import { prefixRange } from '../../storage/keys.js';
import type { Row, RowOperation } from '../../storage/ports.js';
import type { Repair } from './findings.js';
import { keyOf, type Reads } from './tools.js';

/** Holds whose rows are made anew in one transaction: of each the row in force and, as a guard, its own; and the count. */
const AT_A_TIME = Math.floor((LIMITS.transactionRows - 1) / 2);

/**
 * Makes what is in force anew from the holds: those that are active are, as they say, those that were released are not, and
 * the count is theirs. A hold that is damaged or missing leaves its row as it is: it goes on holding. Every transaction
 * replaces the count and the holds it follows from under their versions, so that a placement or a release meanwhile wins.
 */
export function repairHolds(reads: Reads, ref: PartitionRef): Repair {
  return { name: `holds ${ref.tenant}`, run: () => repair(reads, ref) };
}

async function repair(reads: Reads, ref: PartitionRef): Promise<void> {
  // The count first: whatever is placed or released after this changes its version.
  let count = await reads.row(HOLDS_TABLE, keyOf(ref), COUNT_KEY);
  const active = await rowsOf(reads, ref, 'a:');
  const operations: (readonly [own: Row, change: RowOperation])[] = [];
  for await (const own of walk(reads, ref, 'r:')) {
    const change = changeOf(ref.tenant, own, active);
    if (change !== undefined) operations.push([own, change]);
  }
  let standing = active.size;
  for (let at = 0; at === 0 || at < operations.length; at += AT_A_TIME) {
    const some = operations.slice(at, at + AT_A_TIME);
    for (const [, { kind }] of some) standing += kind === 'insert' ? 1 : kind === 'delete' ? -1 : 0;
    const guards = some.map(([{ rowKey, properties, etag }]) => ({ kind: 'replace', rowKey, properties, etag }) as const); // prettier-ignore
    const all = [...some.map(([, change]) => change), ...guards, countOperation(ref.tenant, standing, count)];
    await reads.budget().retry(() => reads.tools.ports.tables.commit(HOLDS_TABLE, keyOf(ref), all));
    count = await reads.row(HOLDS_TABLE, keyOf(ref), COUNT_KEY);
  }
}

/** What has to happen to the row of a hold among those in force; undefined when it is as it should be, or cannot be told. */
function changeOf(tenant: string, own: Row, active: ReadonlyMap<string, Row>): RowOperation | undefined {
  let hold: ReturnType<typeof parseHoldRow>;
  try {
    hold = parseHoldRow(own);
  } catch {
    return undefined;
  }
  if (own.rowKey !== holdKey(hold.holdId)) return undefined;
  const rowKey = activeKey(hold.holdId);
  const standing = active.get(rowKey);
  if (hold.state === 'released')
    return standing === undefined ? undefined : { kind: 'delete', rowKey, etag: standing.etag };
  const row = activeRow(tenant, hold);
  if (standing === undefined) return { kind: 'insert', ...row };
  const same = standing.properties['row_checksum'] === row.properties['row_checksum'];
  const equal = same && Object.keys(row.properties).every((name) => standing.properties[name] === row.properties[name]); // prettier-ignore
  return equal ? undefined : { kind: 'replace', ...row, etag: standing.etag };
}

async function rowsOf(reads: Reads, ref: PartitionRef, prefix: string): Promise<ReadonlyMap<string, Row>> {
  const rows = new Map<string, Row>();
  for await (const row of walk(reads, ref, prefix)) if (row.rowKey !== COUNT_KEY) rows.set(row.rowKey, row);
  return rows;
}

async function* walk(reads: Reads, ref: PartitionRef, prefix: string): AsyncGenerator<Row> {
  let after: string | undefined;
  do {
    const page = await reads.pageAfter(ref, prefixRange(prefix), after, LIMITS.rangeRows);
    yield* page.rows;
    after = page.more ? page.rows.at(-1)?.rowKey : undefined;
  } while (after !== undefined);
}
