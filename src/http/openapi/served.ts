import { createHash } from 'node:crypto';
import fresh from 'fresh';
import type { Answer, Content, Input } from '../resource.js';

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

/** The answer to who asks for it, which `If-None-Match` may make shorter. */
export function unchanging(
  input: Input,
  { content, etag }: Served,
  more: Readonly<Record<string, string>> = {},
): Answer {
  const headers = { ...more, etag };
  const condition = input.headers.get('if-none-match');
  if (condition !== null && fresh({ 'if-none-match': condition }, { etag })) return { status: 304, headers };
  return { status: 200, headers, content };
}
