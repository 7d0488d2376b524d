import { createHash } from 'node:crypto';
import type { Content } from '../resource.js';

/** Something that is the same for everybody for as long as the process lives, and its entity tag. */
export interface Served {
  readonly content: Content;
  readonly etag: string;
}

/** `type`: the media type. */
export function served(type: string, bytes: Uint8Array): Served {
  const hash = createHash('sha256').update(bytes).digest('base64url');
  return { content: { type, bytes }, etag: `"${hash.slice(0, 22)}"` };
}
