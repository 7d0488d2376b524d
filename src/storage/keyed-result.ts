import { AppError } from '../domain/errors.js';
import { sha256Hex } from '../domain/canonical-json.js';
import { LIMITS } from '../domain/limits.js';
import type { Totals } from '../domain/parts.js';
import type { Budget } from './backoff.js';
import type { PartitionRef } from './directory.js';
import { idempotencyKey, partitionKey } from './keys.js';
import type { Property, RecordTable, Row, RowOperation } from './ports.js';
import { broken } from './record-row.js';
import { rowIntact, withRowChecksum } from './row-checksum.js';

/**
 * The `k:` rows: what a commit under an Idempotency-Key leaves in the record's own partition, in the same transaction.
 * The reservation says who may try; this row says who won.
 */
/** Which revisions answered the key. */
export interface KeyedResult {
  readonly fingerprint: string;
  readonly revisions: readonly { readonly id: string; readonly revision: number }[];
  /** Of an addition: the last entry there was with it, and what the parts came to. */
  readonly part?: AnsweredPart | undefined;
}

export interface AnsweredPart {
  readonly seq: number;
  readonly totals: Totals;
  /** The event of the entry that was added; rows of before there was this have none. */
  readonly event_id?: string | undefined;
  /** Where nothing was added, because this entry said it already; number 0 came with the record. */
  readonly standing?: { readonly seq: number; readonly name: string } | undefined;
}

/** A `k:` row as it stands. */
export interface StoredResult extends KeyedResult {
  readonly expiresMs: number;
  readonly etag: string;
}

/** Hash of scope and key: what `k:` rows are named by. */
export function keyHash(tenant: string, request: { readonly scope: string; readonly key: string }): string {
  return sha256Hex(JSON.stringify([tenant, request.scope, request.key]));
}

/** Each transaction of a batch has a key row of its own; the first is named as that of a single write. */
export function partHash(hash: string, part: number): string {
  return part === 0 ? hash : sha256Hex(`${hash}/${String(part)}`);
}

/**
 * The create-only row that a commit under a key inserts: of several attempts one wins. `expiredEtag` is that of a row
 * which an earlier life of the key left there, and which is replaced.
 */
export function keyedRow(
  partition: string,
  hash: string,
  result: KeyedResult,
  nowMs: number,
  expiredEtag?: string,
): RowOperation {
  const rowKey = idempotencyKey(hash);
  const properties = {
    schema_version: '1.0',
    fingerprint: result.fingerprint,
    revisions: JSON.stringify(result.revisions),
    ...(result.part === undefined ? {} : { part: JSON.stringify(result.part) }),
    expires_ms: nowMs + LIMITS.idempotencyKeptMs,
  };
  const row = { rowKey, properties: withRowChecksum(partition, rowKey, properties) };
  return expiredEtag === undefined
    ? { kind: 'insert', ...row }
    : { kind: 'replace', ...row, etag: expiredEtag };
}

/** Throws `integrity-failure` when the row is not what was written. */
function parseKeyedRow(row: Row): StoredResult {
  if (!rowIntact(row)) throw broken(row.rowKey, 0, 'idempotency row');
  return {
    fingerprint: String(row.properties['fingerprint']),
    revisions: JSON.parse(String(row.properties['revisions'])) as { id: string; revision: number }[],
    part: parseJson(row.properties['part']) as KeyedResult['part'],
    expiresMs: Number(row.properties['expires_ms']),
    etag: row.etag,
  };
}

function parseJson(value: Property | undefined): unknown {
  return typeof value === 'string' ? (JSON.parse(value) as unknown) : undefined;
}

/** Looks up the `k:` row of a key in a partition. One point read. */
export async function findKeyedResult(
  tables: RecordTable,
  ref: PartitionRef,
  hash: string,
  budget: Budget,
): Promise<StoredResult | undefined> {
  const key = partitionKey(ref.tenant, ref.partition);
  const row = await budget.retry(() => tables.find(ref.table, key, idempotencyKey(hash)));
  return row === undefined ? undefined : parseKeyedRow(row);
}

/** After a lost commit: the result of the attempt that won under the same key. Throws for another body's. */
export async function findOwnResult(
  tables: RecordTable,
  ref: PartitionRef,
  reservation: { readonly hash: string; readonly fingerprint: string },
  budget: Budget,
): Promise<StoredResult | undefined> {
  const keyed = await findKeyedResult(tables, ref, reservation.hash, budget);
  if (keyed !== undefined && keyed.fingerprint !== reservation.fingerprint) throw reused();
  return keyed;
}

/** The key was used before, with another body. */
export function reused(): AppError {
  return new AppError('idempotency-key-reused', 'This Idempotency-Key was used with another body.');
}
