import { parseId } from '../domain/ids.js';
import type { RecordType } from '../domain/record-type.js';
import type { PartitionRef } from '../storage/directory.js';
import { inboxPrefix } from '../storage/inbox.js';
import { isTenant, valueOfKey } from '../storage/keys.js';
import { OPERATION_PREFIX } from '../storage/operations.js';
import { streamPackName } from '../storage/part-lines.js';
import { detailBlobName, packBlobName, placeOfKey } from '../storage/record-location.js';
import { yearBlobName, yearBlobOf } from '../storage/year-rows.js';

/** A detail blob of one revision. */
export interface LooseBlob {
  readonly kind: 'loose';
  readonly name: string;
  readonly ref: PartitionRef;
  readonly id: string;
  readonly revision: number;
  /** The time in its name: when its writer, by its own clock, was about to write it. */
  readonly ms: number;
}

/** A blob that holds the details of many. */
export interface PackBlob {
  readonly kind: 'pack';
  readonly name: string;
  readonly type: RecordType;
  readonly tenant: string;
  readonly ms: number;
}

/** A blob that holds lines of the entries of many; `ref` is where they and its row are. */
export interface StreamPackBlob {
  readonly kind: 'stream-pack';
  readonly name: string;
  readonly ref: PartitionRef;
  readonly uuid: string;
  readonly ms: number;
}

/** Data that waits for its inbox message. */
export interface InboxBlob {
  readonly kind: 'inbox';
  readonly name: string;
  readonly tenant: string;
  readonly operationId: string;
  readonly ms: number;
}

/** A file with values of a year of a series. */
export interface YearBlob {
  readonly kind: 'year';
  readonly name: string;
  readonly type: RecordType;
  /** Of the record. */
  readonly ref: PartitionRef;
  readonly id: string;
  readonly year: number;
  readonly ms: number;
}

export type OurBlob = LooseBlob | PackBlob | StreamPackBlob | InboxBlob | YearBlob;

/**
 * What a name in the container `records` stands for; undefined when nothing of ours is called exactly so (a poisoned
 * message, data that another sender put beside a message of its own): such a blob is nobody's to collect. Pure.
 */
export function parseBlobName(types: readonly RecordType[], name: string): OurBlob | undefined {
  const parts = name.split('/');
  const [tenant = '', second, third, id = '', file = ''] = parts;
  if (!isTenant(tenant)) return undefined;
  if (parts.length === 3 && third !== undefined) return inbox(name, tenant, third);
  const type = types.find(({ recordType }) => recordType === second);
  if (type === undefined) return undefined;
  if (parts.length === 6) return year(type, name, parts, id);
  if (parts.length === 4) return pack(type, name, tenant, id);
  return streamPack(type, name, tenant, id, file) ?? loose(type, name, parts, id, file);
}

function year(
  type: RecordType,
  name: string,
  [tenant = '', , partition = '']: readonly string[],
  id: string,
): YearBlob | undefined {
  const named = yearBlobOf(name);
  const parsed = parseId(`year_${named?.uuid ?? ''}`);
  if (named === undefined || parsed === undefined || type.parts?.series === undefined) return undefined;
  if (parseId(id)?.prefix !== type.idPrefix) return undefined;
  const ref = placeOfKey(type, tenant, id, partition);
  if (ref === undefined) return undefined;
  if (name !== yearBlobName(type, type.parts, ref, id, named.year, named.uuid)) return undefined;
  return { kind: 'year', name, type, ref, id, year: named.year, ms: parsed.ms };
}

function inbox(name: string, tenant: string, file: string): InboxBlob | undefined {
  const operationId = withoutEnd(file, '.json');
  const parsed = parseId(operationId);
  if (parsed?.prefix !== OPERATION_PREFIX || name !== `${inboxPrefix(tenant)}${file}`) return undefined;
  return { kind: 'inbox', name, tenant, operationId, ms: parsed.ms };
}

function pack(type: RecordType, name: string, tenant: string, file: string): PackBlob | undefined {
  const uuid = withoutEnd(file, '.jsonl');
  const parsed = parseId(`pack_${uuid}`);
  if (parsed === undefined || name !== packBlobName(type, tenant, uuid)) return undefined;
  return { kind: 'pack', name, type, tenant, ms: parsed.ms };
}

function streamPack(
  type: RecordType,
  name: string,
  tenant: string,
  encoded: string,
  file: string,
): StreamPackBlob | undefined {
  const [partition, uuid] = [valueOfKey(encoded), withoutEnd(file, '.jsonl')];
  const parsed = parseId(`pack_${uuid}`);
  if (type.parts?.stream === undefined || partition === undefined || parsed === undefined) return undefined;
  const ref = { tenant, table: type.parts.table, partition };
  if (name !== streamPackName(type, ref, uuid)) return undefined;
  return { kind: 'stream-pack', name, ref, uuid, ms: parsed.ms };
}

function loose(
  type: RecordType,
  name: string,
  [tenant = '', , partition = '']: readonly string[],
  id: string,
  file: string,
): LooseBlob | undefined {
  const [, revision, eventId = ''] = /^([1-9]\d{0,9})-(.+)\.json$/.exec(file) ?? [];
  const event = parseId(eventId);
  if (revision === undefined || event?.prefix !== 'evt') return undefined;
  if (parseId(id)?.prefix !== type.idPrefix) return undefined;
  const ref = placeOfKey(type, tenant, id, partition);
  if (ref === undefined) return undefined;
  if (name !== detailBlobName(type, ref, id, Number(revision), eventId)) return undefined;
  return { kind: 'loose', name, ref, id, revision: Number(revision), ms: event.ms };
}

function withoutEnd(text: string, end: string): string {
  return text.endsWith(end) ? text.slice(0, -end.length) : '';
}
