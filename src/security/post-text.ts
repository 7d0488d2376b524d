/** An answer as text. */
export interface TextAnswer {
  readonly status: number;
  readonly text: string;
}

/** Posts a text. Rejects when the answer does not come whole and in time. */
export type PostText = (path: string, body: string) => Promise<TextAnswer>;

const TIMEOUT_MS = 10_000;
/** A few lines of signatures. */
const MOST_BYTES = 64 * 1024;

/** Over HTTP, below `base`: without following redirects, at most 64 KiB within 10 seconds. Any status is an answer. */
export function postTextWith(fetch: typeof globalThis.fetch, base: string): PostText {
  return async (path, body) => {
    const response = await fetch(`${base}/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      body,
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      bytes += chunk.byteLength;
      if (bytes > MOST_BYTES) throw new Error('the answer is too large');
      chunks.push(chunk);
    }
    return { status: response.status, text: Buffer.concat(chunks).toString('utf8') };
  };
}
