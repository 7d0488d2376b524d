import pLimit from 'p-limit';
import { canonicalJson, type Json } from '../../domain/canonical-json.js';
import { HOLD_TYPE } from '../../domain/hold.js';
import { toldOf } from '../../storage/hold-content.js';
import {
  activeKey,
  COUNT_KEY,
  holdKey,
  HOLDS_TABLE,
  parseActiveRow,
  parseHoldRow,
  type StoredHold,
} from '../../storage/hold-rows.js';
import type { PartitionRef } from '../../storage/directory.js';
import { prefixRange, revisionKey } from '../../storage/keys.js';
import type { Row } from '../../storage/ports.js';
import { rowIntact } from '../../storage/row-checksum.js';
import { eventOf } from './event-of.js';
import type { Found } from './findings.js';
import { repairHolds } from './repair-holds.js';
import { AT_ONCE, keyOf, rowAt, type Reads } from './tools.js';

/** Holds that are looked at together. */
const HOLDS = 40;
const ACTIVE = prefixRange('a:');

/**
 * Legal holds of a tenant after a row key, one page; before the first, what is in force. Each hold has its events and says
 * what they say, and is in force exactly while it is active. Resolves to the last row, undefined at the end.
 */
export async function checkHolds(
  reads: Reads,
  ref: PartitionRef,
  after: string | undefined,
  found: Found,
): Promise<string | undefined> {
  if (after === undefined) await checkActive(reads, ref, found);
  const page = await reads.pageAfter(ref, prefixRange('r:'), after, HOLDS);
  const limit = pLimit(AT_ONCE);
  await Promise.all(page.rows.map((row) => limit(() => checkHold(reads, ref, row, found))));
  return reads.after(page);
}

/** Rows of what is in force are as many as are counted, and each is of a hold that is there. Holds at most 1,000 of them. */
async function checkActive(reads: Reads, ref: PartitionRef, found: Found): Promise<void> {
  const key = keyOf(ref);
  const repair = repairHolds(reads, ref);
  const limit = pLimit(AT_ONCE);
  let counted: Row | undefined;
  let active = 0;
  let sinceMs = 0;
  let after: string | undefined;
  do {
    const page = await reads.pageAfter(ref, ACTIVE, after, HOLDS);
    const rows = page.rows.filter(({ rowKey }) => rowKey !== COUNT_KEY);
    counted ??= page.rows.find(({ rowKey }) => rowKey === COUNT_KEY);
    active += rows.length;
    sinceMs = Math.max(sinceMs, ...page.rows.map(({ timestampMs }) => timestampMs));
    const one = async (row: Row): Promise<void> => {
      const id = idIn(row);
      const hold = await reads.row(HOLDS_TABLE, key, holdKey(id));
      if (hold === undefined) found('hold.missing', rowAt(HOLDS_TABLE, key, holdKey(id)), `${row.rowKey} is in force`, { sinceMs: row.timestampMs }); // prettier-ignore
    };
    await Promise.all(rows.map((row) => limit(() => one(row))));
    after = page.more ? page.rows.at(-1)?.rowKey : undefined;
  } while (after !== undefined);
  const says = counted === undefined ? 0 : counted.properties['active'];
  if ((counted === undefined || rowIntact(counted)) && says === active) return;
  found('hold.active', rowAt(HOLDS_TABLE, key, COUNT_KEY), `there are ${String(active)} in force, and another number is counted`, { sinceMs, repair }); // prettier-ignore
}

async function checkHold(reads: Reads, ref: PartitionRef, row: Row, found: Found): Promise<void> {
  const key = keyOf(ref);
  const hold = parsed(() => parseHoldRow(row));
  // That it is altered is said where rows are walked.
  if (hold === undefined) return;
  const since = { sinceMs: row.timestampMs };
  const where = rowAt(HOLDS_TABLE, key, row.rowKey);
  const active = await reads.row(HOLDS_TABLE, key, activeKey(hold.holdId));
  const wrong = activeFault(hold, active);
  if (wrong !== undefined)
    found('hold.active', rowAt(HOLDS_TABLE, key, activeKey(hold.holdId)), wrong, { ...since, repair: repairHolds(reads, ref) }); // prettier-ignore
  const placed: Step = { step: 1, eventId: hold.placedEvent, action: 'place', reason: 'reason' };
  const released: Step = {
    step: 2,
    eventId: hold.releasedEvent ?? '',
    action: 'release',
    reason: 'release_reason',
  };
  const steps = hold.state === 'active' ? [placed] : [placed, released];
  for (const { step, eventId, action, reason } of steps) {
    const witness = await reads.row(HOLDS_TABLE, key, revisionKey(hold.holdId, step));
    if (witness === undefined || (rowIntact(witness) && witness.properties['event_id'] !== eventId))
      found('hold.event', where, `the row of its step ${String(step)} is missing, or of another event`, since); // prettier-ignore
    const told = await eventOf(reads, ref, eventId);
    if (told === 'missing') found('hold.event', where, `there is no event ${eventId}`, since);
    if (typeof told === 'string') continue;
    const { resourceType, facts, details } = told.event;
    const same =
      resourceType === HOLD_TYPE &&
      facts.resource_id === hold.holdId &&
      told.event.action === action &&
      canonicalJson(details as Json) === canonicalJson(toldOf(hold.committed, reason));
    if (!same) found('hold.event', where, `it is not what ${eventId} says`, since);
  }
}

/** What is wrong with the row of a hold among those in force. */
function activeFault({ state, scope }: StoredHold, row: Row | undefined): string | undefined {
  if (state === 'released') return row === undefined ? undefined : 'it is in force, and was released';
  if (row === undefined) return 'it is active, and not in force';
  const active = parsed(() => parseActiveRow(row));
  if (active === undefined) return 'it is not what was written';
  const same = canonicalJson(active.scope) === canonicalJson(scope);
  return same ? undefined : 'it covers something else than its hold says';
}

/** What happened to a hold, and the member of it that its event tells. */
interface Step {
  readonly step: 1 | 2;
  readonly eventId: string;
  readonly action: string;
  readonly reason: 'reason' | 'release_reason';
}

const idIn = ({ rowKey }: Row): string => rowKey.slice(rowKey.lastIndexOf(':') + 1);

function parsed<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}
