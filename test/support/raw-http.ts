import { connect } from 'node:net';

/** What a server said on a connection, until it or the time ended it. */
export interface RawAnswer {
  readonly text: string;
  /** Whether the server ended the connection by itself. */
  readonly closed: boolean;
}

export interface RawOptions {
  /** Stop waiting once this is true of what was said. */
  readonly until?: (text: string) => boolean;
  /** How long to wait for the server in all. */
  readonly limitMs?: number;
  /** End our side once everything is sent. */
  readonly half?: boolean;
}

/** Sends bytes as they are and listens; never rejects for what the server does. */
export function sendRaw(
  port: number,
  bytes: string | Uint8Array,
  options: RawOptions = {},
): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const chunks: Buffer[] = [];
    const text = (): string => Buffer.concat(chunks).toString('latin1');
    const done = (closed: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ text: text(), closed });
    };
    const timer = setTimeout(() => done(false), options.limitMs ?? 10_000);
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      if (options.until?.(text()) === true) done(false);
    });
    socket.on('end', () => done(true)).on('close', () => done(true));
    // A reset ends the connection like anything else.
    socket.on('error', () => undefined);
    if (options.half === true) socket.end(bytes);
    else socket.write(bytes);
  });
}

export interface ParsedAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The answers on one connection, as far as they came whole. */
export function answersIn(text: string): readonly ParsedAnswer[] {
  const answers: ParsedAnswer[] = [];
  for (let at = 0; ;) {
    const end = text.indexOf('\r\n\r\n', at);
    const status = /^HTTP\/1\.[01] (\d{3})/.exec(text.slice(at, at + 12))?.[1];
    if (end < 0 || status === undefined) return answers;
    const lines = text.slice(at, end).split('\r\n').slice(1);
    const headers = Object.fromEntries(
      lines.map((line) => [
        line.slice(0, line.indexOf(':')).toLowerCase(),
        line.slice(line.indexOf(':') + 1).trim(),
      ]),
    );
    at = end + 4 + Number(headers['content-length'] ?? 0);
    // What comes before the answer proper, such as 100 Continue.
    if (status.startsWith('1')) continue;
    answers.push({ status: Number(status), headers, body: text.slice(end + 4, at) });
  }
}
