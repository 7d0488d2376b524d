import { createHmac, timingSafeEqual } from 'node:crypto';
import { AppError } from '../domain/errors.js';
import { LIMITS } from '../domain/limits.js';

/** Where a listing stopped: after this row of this partition. */
export interface Position {
  readonly partition: string;
  readonly rowKey: string;
}

const TAG_BYTES = 16;

/**
 * Opaque, authenticated cursors. A cursor is bound to the query it came from (tenant, collection, filters), so that it
 * cannot be used to look elsewhere, and works on every host that has the same key.
 */
export class Cursors {
  constructor(private readonly key: Uint8Array) {}

  /** `query` is any text that names the listing unambiguously. */
  encode(query: string, position: Position): string {
    const body = Buffer.from(JSON.stringify([position.partition, position.rowKey]), 'utf8');
    return `${body.toString('base64url')}.${this.#tag(query, body).toString('base64url')}`;
  }

  /** Throws `request-malformed` for a cursor that is broken, altered, or of another query. */
  decode(query: string, cursor: string): Position {
    const { bytes, given } = partsOfCursor(cursor);
    if (!timingSafeEqual(given, this.#tag(query, bytes))) throw refused();
    const [partition, rowKey] = JSON.parse(bytes.toString('utf8')) as [string, string];
    return { partition, rowKey };
  }

  #tag(query: string, body: Uint8Array): Buffer {
    const mac = createHmac('sha256', this.key);
    mac.update(`${String(Buffer.byteLength(query))}:${query}`).update(body);
    return mac.digest().subarray(0, TAG_BYTES);
  }
}

/**
 * What a cursor is made of. Throws `request-malformed` for a text that no host can have handed out, so that it is refused
 * before anything is read.
 */
export function partsOfCursor(cursor: string): { readonly bytes: Buffer; readonly given: Buffer } {
  const [body, tag, ...rest] = cursor.length > LIMITS.cursorChars ? [] : cursor.split('.');
  if (body === undefined || tag === undefined || rest.length > 0) throw refused();
  const bytes = Buffer.from(body, 'base64url');
  const given = Buffer.from(tag, 'base64url');
  // Another spelling of the same bytes is an alteration too.
  if (`${bytes.toString('base64url')}.${given.toString('base64url')}` !== cursor) throw refused();
  if (given.length !== TAG_BYTES) throw refused();
  return { bytes, given };
}

function refused(): AppError {
  return new AppError('request-malformed', 'The cursor is broken or belongs to another query.');
}
