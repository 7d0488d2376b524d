import { LIMITS } from '../domain/limits.js';
import { CannotTell, findFile, printable, type CliIo } from './io.js';

/** Reads a log over HTTP: `<url>/checkpoint`, `<url>/tile/…`, `<url>/tile/entries/…` (C2SP tlog-tiles). */
export interface LogClient {
  /** The bytes at a path, or undefined when the server says that there are none. Throws CannotTell. */
  readonly get: (path: string, maxBytes: number) => Promise<Uint8Array | undefined>;
}

const TRIES = 5;
const BUSY = [429, 500, 502, 503, 504];

/** How long to wait before another try: what the server asks for, within reason, or longer each time. */
function waitMs(response: Response | undefined, tries: number): number {
  const asked = Number(response?.headers.get('retry-after') ?? '');
  const wanted = Number.isFinite(asked) && asked > 0 ? asked * 1000 : 250 * 2 ** tries;
  return Math.min(wanted, LIMITS.logRetryWaitMs);
}

/** A body of at most `maxBytes`; more than that is not what was asked for. */
async function bodyOf(response: Response, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > maxBytes) throw new CannotTell('an answer is longer than what was asked for can be');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

/** A client for the log below `url`, with these headers on each request. Throws CannotTell for what is no URL. */
export function logClient(url: string, headers: Headers, io: CliIo): LogClient {
  const ask = httpClient(url, headers, io);
  return {
    async get(path, maxBytes) {
      const answer = await ask(path, maxBytes);
      return answer instanceof Uint8Array ? answer : undefined;
    },
  };
}

/** A log in a folder, with files as they are served. */
export function folderClient(folder: string, io: CliIo): LogClient {
  return { get: (path, maxBytes) => findFile(io, `${folder}/${path}`, maxBytes) };
}

/** The bytes at a path below an address, or the status that says that there are none. Throws CannotTell. */
export type Ask = (path: string, maxBytes: number) => Promise<Uint8Array | 404 | 410>;

/** Asks a server, again while it is busy, with these headers on each request. Throws CannotTell for what is no URL. */
export function httpClient(url: string, headers: Headers, io: CliIo): Ask {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw new CannotTell('--url is not the address of a log');
  const base = url.replace(/\/+$/, '');
  const once = async (path: string, maxBytes: number): Promise<Uint8Array | Response | Error> => {
    const { signal, clear } = io.deadline(LIMITS.logRequestMs);
    try {
      // A redirect would carry the caller's headers to somewhere else.
      const response = await io.fetch(`${base}/${path}`, { headers, redirect: 'error', signal });
      if (response.ok) return await bodyOf(response, maxBytes);
      await response.body?.cancel();
      return response;
    } catch (error) {
      if (error instanceof CannotTell) throw error;
      return error as Error;
    } finally {
      clear();
    }
  };
  return async (path, maxBytes) => {
    for (let tries = 1; ; tries++) {
      const answer = await once(path, maxBytes);
      if (answer instanceof Uint8Array) return answer;
      const status = answer instanceof Error ? undefined : answer.status;
      if (status === 404 || status === 410) return status;
      const final = status !== undefined && !BUSY.includes(status);
      if (final || tries >= TRIES) throw new CannotTell(`cannot read ${path}: ${whatWentWrong(answer)}`);
      await io.sleep(waitMs(answer instanceof Error ? undefined : answer, tries));
    }
  };
}

function whatWentWrong(answer: Response | Error): string {
  if (!(answer instanceof Error)) return `the server answered ${String(answer.status)}`;
  const { cause } = answer;
  return printable(cause instanceof Error ? cause.message : answer.message);
}
