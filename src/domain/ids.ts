import { createHash } from 'node:crypto';
import { v7, validate } from 'uuid';
import type { Entropy } from './clock.js';

const SHAPE = /^([a-z]{2,8})_([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})$/;

export interface ParsedId {
  readonly prefix: string;
  /** The time the id was made for, milliseconds since 1970. */
  readonly ms: number;
}

/** `<prefix>_<UUIDv7>` whose time is `ms` (architecture.md, storage layout); 73 random bits make it unique. */
export function newId(prefix: string, ms: number, entropy: Entropy): string {
  return `${prefix}_${v7({ msecs: ms, random: entropy.bytes(16) })}`;
}

/**
 * A name for the part `at` of what a record was created with: follows from the record's id, whose randomness it has, so that
 * every attempt at the create names it the same.
 */
export function partName(prefix: string, ms: number, recordId: string, at: number): string {
  const seed = createHash('sha256')
    .update(`${recordId}/${String(at)}`)
    .digest();
  return newId(prefix, ms, { bytes: (count) => seed.subarray(0, count) });
}

/** The parts of an id of this platform, or undefined when it is not one (another version, upper case, no prefix). */
export function parseId(id: string): ParsedId | undefined {
  const match = SHAPE.exec(id);
  if (match === null || !validate(match[2])) return undefined;
  const hex = (match[2] as string).replace('-', '').slice(0, 12);
  return { prefix: match[1] as string, ms: Number.parseInt(hex, 16) };
}
