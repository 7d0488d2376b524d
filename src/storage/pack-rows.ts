import { formatTime } from '../domain/clock.js';
import type { Tier } from '../domain/envelope.js';
import { packKey } from './keys.js';
import type { Properties, Row } from './ports.js';
import { broken } from './record-row.js';
import { rowIntact, withRowChecksum } from './row-checksum.js';
import { textColumns, textOf } from './text-columns.js';

/** A revision in a pack; in a pack of streams, a file of the entries of a record. */
export interface PackMember {
  readonly id: string;
  /** Of a file, its number. */
  readonly revision: number;
}

/**
 * The row `a:<uuid>` of a pack of archived revisions, in the partition of its records. It is there before the blob is, so
 * that no pack is ever unknown; what the rows of records name decides what is in use.
 */
export interface Pack {
  readonly uuid: string;
  readonly recordType: string;
  readonly blob: string;
  /** Where the blob is, or is about to be: the blob goes first. */
  readonly tier: Tier;
  /** `writing` until rows name it and it is known which ones. */
  readonly state: 'writing' | 'stored';
  readonly bytes: number;
  /** hex SHA-256 of the blob. */
  readonly checksum: string;
  /** Whose revisions are in it; while it is `writing`, whose may be. */
  readonly members: readonly PackMember[];
  /** Times by which they are due for the next tier, milliseconds since 1970. */
  readonly oldestMs: number;
  readonly youngestMs: number;
}

export interface StoredPack extends Pack {
  readonly etag: string;
}

const NAME = /\/(?:_packs|_streams\/[^/]+)\/([0-9a-f-]{36})\.jsonl$/;

/** The UUID in the name of a pack; undefined for any other blob. */
export function packUuidOf(blob: string): string | undefined {
  return NAME.exec(blob)?.[1];
}

/** Columns of the row, with its checksum. */
export function packRow(partitionKey: string, pack: Pack): { rowKey: string; properties: Properties } {
  const rowKey = packKey(pack.uuid);
  const columns = {
    schema_version: '1.0',
    record_type: pack.recordType,
    blob: pack.blob,
    tier: pack.tier,
    state: pack.state,
    bytes: pack.bytes,
    checksum: pack.checksum,
    member_count: pack.members.length,
    oldest: formatTime(pack.oldestMs),
    youngest: formatTime(pack.youngestMs),
    ...textColumns('members', pack.members.map(({ id, revision }) => `${id}:${String(revision)}`).join(' ')),
  };
  return { rowKey, properties: withRowChecksum(partitionKey, rowKey, columns) };
}

/** Reads the row. Throws `integrity-failure` when it is not what was written. */
export function parsePackRow(row: Row): StoredPack {
  const columns = row.properties;
  const uuid = row.rowKey.slice(packKey('').length);
  const members = textOf('members', columns).split(' ').filter((text) => text !== '').map(memberOf); // prettier-ignore
  if (!rowIntact(row) || members.length !== columns['member_count']) throw broken(uuid, 0, 'pack row');
  const text = (name: string): string => String(columns[name]);
  return {
    uuid,
    recordType: text('record_type'),
    blob: text('blob'),
    tier: text('tier') as Tier,
    state: text('state') as Pack['state'],
    bytes: Number(columns['bytes']),
    checksum: text('checksum'),
    members,
    oldestMs: Date.parse(text('oldest')),
    youngestMs: Date.parse(text('youngest')),
    etag: row.etag,
  };
}

function memberOf(text: string): PackMember {
  const at = text.lastIndexOf(':');
  return { id: text.slice(0, at), revision: Number(text.slice(at + 1)) };
}
