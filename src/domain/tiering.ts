import { yearOf } from './clock.js';
import type { RecordType } from './record-type.js';

/** When what is stored is due for a cheaper tier: pure, by the declaration of its type (REQ-STO-004). */

const DAY_MS = 24 * 3_600_000;

/** What tells how old a revision is for its tier. */
export interface Aged {
  /** The time that lists are ordered by, which is in the record's id; milliseconds since 1970. */
  readonly createdMs: number;
  /** When the revision was stored; milliseconds since 1970. */
  readonly storedMs: number;
}

/**
 * True for types whose revisions a job packs. A pack is of one partition, so a type whose records have a partition each
 * has none: what is never moved (covenants) is such a type.
 */
export function isTiered(type: RecordType): boolean {
  return type.tiers.coolAfterDays !== undefined && type.partition.kind !== 'own';
}

/**
 * Since when a revision counts: for the time of its record, as the declaration says; where the current one always stays
 * hot (`tiers.currentStaysHot`) a revision is history of its own, and as old as it is.
 */
export function agedSinceMs(type: RecordType, { createdMs, storedMs }: Aged): number {
  return type.tiers.currentStaysHot === true ? storedMs : createdMs;
}

/** True when what counts since `sinceMs` is to be in the cool tier. */
export function coolIsDue(type: RecordType, sinceMs: number, nowMs: number): boolean {
  return isPast(type.tiers.coolAfterDays, sinceMs, nowMs);
}

/** True when what counts since `sinceMs` is to be in the archive tier. */
export function archiveIsDue(type: RecordType, sinceMs: number, nowMs: number): boolean {
  return isPast(type.tiers.archiveAfterDays, sinceMs, nowMs);
}

/** Records that were created after this are too young for the cool tier; milliseconds since 1970. */
export function coolBoundMs(type: RecordType, nowMs: number): number {
  return nowMs - (type.tiers.coolAfterDays ?? Infinity) * DAY_MS;
}

/** The last calendar year (UTC) of which every moment is due for the cool tier; undefined where there is none for the type. */
export function lastCoolYear({ tiers }: RecordType, nowMs: number): number | undefined {
  return lastYearPast(tiers.coolAfterDays, nowMs);
}

/** The same for the archive tier. */
export function lastArchivedYear({ tiers }: RecordType, nowMs: number): number | undefined {
  return lastYearPast(tiers.archiveAfterDays, nowMs);
}

function lastYearPast(days: number | undefined, nowMs: number): number | undefined {
  return days === undefined ? undefined : yearOf(nowMs - days * DAY_MS) - 1;
}

function isPast(days: number | undefined, sinceMs: number, nowMs: number): boolean {
  return days !== undefined && sinceMs + days * DAY_MS <= nowMs;
}
