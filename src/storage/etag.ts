import { sha256Hex } from '../domain/canonical-json.js';

/**
 * The entity tag of one stored revision: strong, opaque, the same on every host. It derives from the event that
 * committed the revision, never from the table row's own version, which also moves when the revision does not.
 */
export function revisionEtag(revision: number, eventId: string): string {
  return `"${String(revision)}-${sha256Hex(eventId).slice(0, 24)}"`;
}

/**
 * The tag of a revision with its parts: as strong as that of the revision alone, for what is shown moves with every
 * entry. Without entries it is that of the revision.
 */
export function partsEtag(etag: string, seq: number): string {
  return seq === 0 ? etag : `${etag.slice(0, -1)}.${String(seq)}"`;
}

/** The tag of an answer that shows one entry alone: a condition of a change takes it, and no read ever has it. */
export function oneEntryEtag(etag: string, seq: number): string {
  return `${partsEtag(etag, seq).slice(0, -1)}.one"`;
}

/**
 * The tag of what is shown with commitments in the places of sensitive values: a condition of a change takes it, and who
 * has a copy of one kind is never told that it is one of the other.
 */
export function maskedEtag(etag: string): string {
  return `${etag.slice(0, -1)}.masked"`;
}

/**
 * RFC 9110 13.1.1, strong comparison: does an `If-Match` header name this tag? The tag of a revision with some of its
 * parts names the revision too: what changes the record does not touch them, nor do they touch it. So does the tag of a
 * revision whose sensitive values were not shown.
 */
export function ifMatchHolds(header: string, etag: string): boolean {
  return header.split(',').some((candidate) => {
    const named = candidate.trim().replace(/^("[^".]*)(\.\d+(\.one)?)?(\.masked)?"$/, '$1"');
    return named === '*' || named === etag;
  });
}

/** The tag of what a tenant has set; from the event that committed it, like that of a revision. */
export function configurationEtag(eventId: string): string {
  return `"${sha256Hex(eventId).slice(0, 24)}"`;
}
