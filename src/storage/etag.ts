import { sha256Hex } from '../domain/canonical-json.js';

/**
 * The entity tag of one stored revision: strong, opaque, the same on every host. It derives from the event that
 * committed the revision, never from the table row's own version, which also moves when the revision does not.
 */
export function revisionEtag(revision: number, eventId: string): string {
  return `"${String(revision)}-${sha256Hex(eventId).slice(0, 24)}"`;
}

/** RFC 9110 13.1.1, strong comparison: does an `If-Match` header name this tag? */
export function ifMatchHolds(header: string, etag: string): boolean {
  return header.split(',').some((candidate) => candidate.trim() === '*' || candidate.trim() === etag);
}
