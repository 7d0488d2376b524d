import type { SealedSecrets } from '../domain/commitment.js';
import {
  ERASURE_SCHEMA_VERSION,
  type ErasureCertificate,
  type ErasureObstacle,
  type ErasureState,
} from '../domain/erasure.js';
import { parseId } from '../domain/ids.js';
import type { PartitionRef } from './directory.js';
import { invertedTime, partitionKey, revisionKey, SYSTEM_TENANT } from './keys.js';
import type { Properties, Row } from './ports.js';
import { broken } from './record-row.js';
import { rowIntact, withRowChecksum } from './row-checksum.js';
import { textColumns, textOf } from './text-columns.js';

/** Rows of table `erasures` (docs/erasure.md): one partition a tenant, because its events are the tenant's. */
export const ERASURES_TABLE = 'erasures';
const PARTITION = 'erasures';

/** Where the job finds what is not done yet: a row for each, `<tenant>:<id>`. Nothing without the erasure's own row. */
export const OPEN_PARTITION = partitionKey(SYSTEM_TENANT, 'open');

export const erasuresPartition = (tenant: string): PartitionRef => ({ tenant, table: ERASURES_TABLE, partition: PARTITION }); // prettier-ignore
export const erasuresPartitionKey = (tenant: string): string => partitionKey(tenant, PARTITION);
/** Newest first, and a point read by id: the time is in it. */
export const erasureKey = (id: string): string => `r:${invertedTime(parseId(id)?.ms ?? 0)}:${id}`;
export const openKey = (tenant: string, id: string): string => `${tenant}:${id}`;

/** How far what is the subject's alone has been disposed of, while that is under way. */
export interface DisposedSoFar {
  /** The record that was looked at last, in the order of the index. */
  readonly upTo: string;
  /** Of the legal holds that everything was held against when that was done last. */
  readonly holds: string;
}

/** An erasure as it lies there. */
export interface StoredErasure {
  readonly erasureId: string;
  readonly state: ErasureState;
  /** Blind hashes of the name: as a subject, and as an actor. */
  readonly subject: string;
  readonly actor: string;
  /** Reason, reference, when and by whom it was asked for; with commitments in the places of the first two. */
  readonly committed: Readonly<Record<string, unknown>>;
  readonly sealed: SealedSecrets;
  readonly waitingFor?: ErasureObstacle | undefined;
  /** The key that is to be destroyed; empty where there is none. Known once it has begun. */
  readonly keyId?: string | undefined;
  /** Pseudonyms that were there when it began. */
  readonly actors?: number | undefined;
  readonly certificate?: ErasureCertificate | undefined;
  readonly disposed?: DisposedSoFar | undefined;
  /** Its events, in their order. */
  readonly events: readonly string[];
}

/** An erasure and the version of its row. */
export interface FoundErasure extends StoredErasure {
  readonly etag: string;
}

interface NewRow {
  readonly rowKey: string;
  readonly properties: Properties;
}

function rowOf(tenant: string, rowKey: string, columns: Properties): NewRow {
  const all = { ...columns, schema_version: ERASURE_SCHEMA_VERSION };
  return { rowKey, properties: withRowChecksum(erasuresPartitionKey(tenant), rowKey, all) };
}

/** `r:`: the erasure as it is now. */
export function erasureRow(tenant: string, erasure: StoredErasure): NewRow {
  const { waitingFor, keyId, actors, certificate, disposed } = erasure;
  return rowOf(tenant, erasureKey(erasure.erasureId), {
    erasure_id: erasure.erasureId,
    state: erasure.state,
    subject: erasure.subject,
    actor: erasure.actor,
    ...textColumns('erasure', JSON.stringify(erasure.committed)),
    ...textColumns('sealed', JSON.stringify(erasure.sealed)),
    events: JSON.stringify(erasure.events),
    ...(waitingFor === undefined ? {} : { waiting_for: waitingFor }),
    ...(keyId === undefined ? {} : { key_id: keyId }),
    ...(actors === undefined ? {} : { actors }),
    ...(certificate === undefined ? {} : { certificate: JSON.stringify(certificate) }),
    ...(disposed === undefined ? {} : { disposed: JSON.stringify(disposed) }),
  });
}

/** `v:`: that this very event told of a step. Never changed: it tells, after a lost answer, who was first. */
export function erasureStepRow(tenant: string, erasureId: string, step: number, eventId: string): NewRow {
  return rowOf(tenant, revisionKey(erasureId, step), { event_id: eventId });
}

/** Throws `integrity-failure` for a row that is not what was written, or not that erasure's. */
export function parseErasureRow(row: Row): FoundErasure {
  const id = row.rowKey.slice(row.rowKey.lastIndexOf(':') + 1);
  const { properties } = row;
  const text = (name: string): string | undefined => properties[name] as string | undefined;
  if (!rowIntact(row) || text('erasure_id') !== id) throw broken(id, 0, 'erasure row');
  const certificate = text('certificate');
  const disposed = text('disposed');
  return {
    erasureId: id,
    state: text('state') as ErasureState,
    subject: String(text('subject')),
    actor: String(text('actor')),
    committed: JSON.parse(textOf('erasure', properties)) as Record<string, unknown>,
    sealed: JSON.parse(textOf('sealed', properties)) as SealedSecrets,
    events: JSON.parse(String(text('events'))) as string[],
    waitingFor: text('waiting_for') as ErasureObstacle | undefined,
    keyId: text('key_id'),
    actors: properties['actors'] as number | undefined,
    certificate: certificate === undefined ? undefined : (JSON.parse(certificate) as ErasureCertificate),
    disposed: disposed === undefined ? undefined : (JSON.parse(disposed) as DisposedSoFar),
    etag: row.etag,
  };
}
