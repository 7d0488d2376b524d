import type { IncomingMessage } from 'node:http';

/** A handler sees one byte more than this of a larger body, so that its own limit refuses it. */
export const BODY_LIMIT = 16 * 1024 * 1024;
/** How much of a refused body is read and thrown away, so that its sender gets to read the answer. */
const DRAIN_LIMIT = 64 * 1024 * 1024;
const DRAIN_MS = 20_000;

export interface ReadBody {
  /** The body, or its first `BODY_LIMIT` + 1 bytes. */
  readonly bytes: Uint8Array;
  /** Resolves when what is left of a cut body was read, or not worth reading; undefined when nothing was cut. */
  readonly drained: Promise<void> | undefined;
}

/** Throws away what still comes, within bounds; never rejects. */
function drain(request: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    let bytes = 0;
    const done = (): void => {
      clearTimeout(timer);
      request.pause();
      request.off('data', count);
      resolve();
    };
    const count = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes > DRAIN_LIMIT) done();
    };
    const timer = setTimeout(done, DRAIN_MS);
    request.on('data', count).once('end', done).once('close', done).once('error', done);
  });
}

/** Reads the body up to the limit, and says of each piece how large it is. Rejects when the client goes away in the middle of it. */
export function readBody(request: IncomingMessage, received: (bytes: number) => void): Promise<ReadBody> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const stop = (): void => {
      request.off('data', take).off('end', end).off('error', fail).off('close', gone);
    };
    const take = (chunk: Buffer): void => {
      chunks.push(chunk);
      length += chunk.length;
      received(chunk.length);
      if (length <= BODY_LIMIT) return;
      stop();
      const bytes = Buffer.concat(chunks, length).subarray(0, BODY_LIMIT + 1);
      resolve({ bytes, drained: drain(request) });
    };
    const end = (): void => {
      stop();
      resolve({ bytes: Buffer.concat(chunks, length), drained: undefined });
    };
    const fail = (error: Error): void => {
      stop();
      reject(error);
    };
    const gone = (): void => fail(new Error('the client closed the connection'));
    request.on('data', take).once('end', end).once('error', fail).once('close', gone);
    // A connection that breaks while nobody listens must not end the process.
    request.on('error', () => undefined);
  });
}
