import type { RecordType } from '../../src/domain/record-type.js';
import type { CallContext } from '../../src/storage/manager-types.js';

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;
export const YEAR = 365.25 * DAY;

/** A record as everybody knows it whom the platform has told of it. */
export interface Kept {
  readonly id: string;
  readonly type: RecordType;
  readonly tenant: string;
  /** Whom it is about; it is whole where it is about one alone and is deleted with them. */
  readonly people: readonly string[];
  readonly whole: boolean;
  /** Since when its period of retention counts; undefined where the record itself is never past its time. */
  readonly sinceMs: number | undefined;
  /** Checksums of the revisions that anybody was told of. */
  readonly told: Map<number, string>;
}

/** A caller who may see everything there is. */
export const callOf = (tenant: string, actor: string, correlationId: string): CallContext => ({ tenant, actor, correlationId, maySeeSensitive: true }); // prettier-ignore

/** When a record is over, as its declaration says; Infinity for what never is. */
export function overMs({ type, sinceMs }: Kept): number {
  if (sinceMs === undefined || type.retention === 'forever') return Infinity;
  const date = new Date(sinceMs);
  return date.setUTCFullYear(date.getUTCFullYear() + type.retention.years);
}

export const lastTold = ({ told }: Kept): number => Math.max(...told.keys());

/** An erasure: whose, of which key, and when it was seen to begin. */
export interface Erasing {
  readonly tenant: string;
  /** Hashes of the name. */
  readonly subject: string;
  readonly actor: string;
  /** The key it is to destroy; empty where there was none. */
  readonly keyId: string;
  readonly begunMs: number;
}
