/** Gets a JSON document. Rejects when it does not come whole and in time. */
export type FetchJson = (url: string) => Promise<unknown>;

const TIMEOUT_MS = 5_000;
/** Keys and settings of a sign-in service are a few kilobytes. */
const MOST_BYTES = 256 * 1024;

/** Over HTTP: status 200, without following redirects, at most 256 KiB within 5 seconds. */
export function fetchJsonWith(fetch: typeof globalThis.fetch): FetchJson {
  return async (url) => {
    const response = await fetch(url, {
      headers: { accept: 'application/json' },
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (response.status !== 200) throw new Error(`status ${String(response.status)}`);
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      bytes += chunk.byteLength;
      if (bytes > MOST_BYTES) throw new Error('the document is too large');
      chunks.push(chunk);
    }
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
  };
}
