import { LIMITS } from '../domain/limits.js';
import { lastCleared } from './clear-order.js';
import { leafRun, type HashRun } from './hash-run.js';
import {
  LEDGER_SCHEMA_VERSION,
  storeStage,
  type Head,
  type Stage,
  type StoredStage,
} from './ledger-state.js';
import { TILE_WIDTH } from './log/tiles.js';
import { EMPTY_TREE, rootOf } from './merkle.js';
import type { PendingEvent } from './pending-row.js';
import { byEventId } from './read-pending.js';
import { planStream } from './stream-roll.js';

/** One round's work as a value: what is staged, and the head that commits it. */
export interface RoundPlan {
  readonly stage: Stage;
  readonly stored: StoredStage;
  readonly head: Head;
  /** Leaf hashes of the stage's events. */
  readonly leaves: HashRun;
}

/**
 * How many of `count` events a round takes that follows on `follows` in the log and is not the last: to where a bundle of
 * entries ends, where that is most of them, so that the next round finds no partial tile to read, to write anew and to
 * delete. Pure.
 */
export function wholeBundles(follows: number, count: number): number {
  const over = (follows + count) % TILE_WIDTH;
  return over <= count / 2 ? count - over : count;
}

/** What is known of a round before its events are chosen. */
export interface RoundPlace {
  /** Events that are in the log. */
  readonly follows: number;
  /** More are pending than those to choose from. */
  readonly more: boolean;
}

/**
 * The events one round takes: the first by event id within the bounds of a round. A lower revision of a record always
 * sorts before a higher one, so cutting the end off never parts a revision from its predecessor. Pure.
 */
export function takeRound(
  events: readonly PendingEvent[],
  { follows, more }: RoundPlace,
): readonly PendingEvent[] {
  const taken: PendingEvent[] = [];
  let bytes = 0;
  for (const event of [...events].sort(byEventId)) {
    bytes += lineBytes([event]);
    if (taken.length === LIMITS.sealRoundEvents || bytes > LIMITS.sealRoundBytes) break;
    taken.push(event);
  }
  const isLast = !more && taken.length === events.length;
  return isLast ? taken : taken.slice(0, wholeBundles(follows, taken.length));
}

/** Bytes of the events as lines of the stream. */
function lineBytes(events: readonly PendingEvent[]): number {
  return events.reduce((sum, { text }) => sum + Buffer.byteLength(text) + 1, 0);
}

/**
 * Plans the round that seals `events` (at least one, in log order) after `last`. Pure and deterministic: two sealers
 * with the same inputs plan the same stage, byte for byte.
 */
export function planStage(
  tenant: string,
  last: Head | undefined,
  events: readonly PendingEvent[],
  nowMs: number,
): RoundPlan {
  const follows = last?.tree_size ?? 0;
  const stream = planStream(tenant, last?.stream, nowMs);
  const stage: Stage = {
    schema_version: LEDGER_SCHEMA_VERSION,
    tenant,
    follows,
    stream: { ...stream, lines: events.length },
    events: events.map((event, position) => ({
      table: event.table,
      partition_key: event.partitionKey,
      row_key: event.rowKey,
      leaf_index: follows + position,
      event: event.text,
      ...(event.sealed === undefined ? {} : { sealed: event.sealed }),
      ...(event.subjects === undefined ? {} : { subjects: event.subjects }),
    })),
  };
  const before = last === undefined ? EMPTY_TREE : { size: last.tree_size, edge: last.edge };
  const leaves = leafRun(events.map(({ text }) => text));
  const tree = leaves.appendTo(before);
  const stored = storeStage(stage);
  const head: Head = {
    schema_version: LEDGER_SCHEMA_VERSION,
    tenant,
    tree_size: tree.size,
    root: rootOf(tree),
    edge: [...tree.edge],
    stage: stored.name,
    stream: {
      name: stream.name,
      offset: stream.offset + lineBytes(events),
      // One round is one block: its lines are fewer bytes than a block may have.
      blocks: (stream.create ? 0 : (last?.stream.blocks ?? 0)) + 1,
    },
    last_pending: lastCleared(stage),
  };
  return { stage, stored, head, leaves };
}
