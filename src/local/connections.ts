import type { Socket } from 'node:net';
import type { HttpLimits } from './http-limits.js';

interface Connection {
  /** Requests that are not answered to the end. */
  open: number;
  /** Of them, those whose handlers are at work. */
  atWork: number;
  /** Whose body is being read, and how much of it there is. */
  reading: { readonly complete: boolean } | undefined;
  bytes: number;
  /** What comes is no HTTP any more: what was asked before is answered, and nothing else. */
  broken: boolean;
}

/**
 * The connections of a listener. There are only so many of them, and so many bytes of bodies that are not whole: beyond
 * that the one is cut that has waited longest since it last got an answer, as slow senders and slow readers do, so that
 * whoever comes is served. A connection with a handler at work is never cut.
 */
export class Connections {
  /** Who waits longest comes first. */
  readonly #all = new Map<Socket, Connection>();
  #bytes = 0;

  constructor(private readonly limits: Pick<HttpLimits, 'connections' | 'bodiesBytes'>) {}

  /** A new connection; another one is cut for it, or itself where all are at work. */
  add(socket: Socket): void {
    this.#all.set(socket, { open: 0, atWork: 0, reading: undefined, bytes: 0, broken: false });
    socket.once('close', () => {
      this.release(socket);
      this.#all.delete(socket);
    });
    if (this.#all.size > this.limits.connections) this.#cut(() => true);
  }

  /** A head has come; `request` is complete once all of the body has. */
  began(socket: Socket, request: { readonly complete: boolean }): void {
    const connection = this.#all.get(socket);
    if (connection === undefined) return;
    connection.open += 1;
    connection.reading = request;
  }

  /** An answer has gone, or its connection. */
  ended(socket: Socket): void {
    const connection = this.#all.get(socket);
    if (connection === undefined) return;
    connection.open -= 1;
    this.#last(socket, connection);
  }

  /** Whether nothing more is to be answered on it. */
  isDone(socket: Socket): boolean {
    const { open = 0, broken = false, reading } = this.#all.get(socket) ?? {};
    // The rest of this body will never come.
    const lost = broken && reading !== undefined && !reading.complete ? 1 : 0;
    return open - lost <= 0;
  }

  /** Whether it is to be ended once it is done. */
  isBroken(socket: Socket): boolean {
    return this.#all.get(socket)?.broken ?? true;
  }

  /** What came is no HTTP; true when that can be said now, because no other answer is on its way. */
  broke(socket: Socket): boolean {
    const connection = this.#all.get(socket);
    if (connection === undefined || connection.broken) return false;
    connection.broken = true;
    return this.isDone(socket);
  }

  /** More of a body has come. */
  received(socket: Socket, bytes: number): void {
    const connection = this.#all.get(socket);
    if (connection === undefined) return;
    connection.bytes += bytes;
    this.#bytes += bytes;
    if (this.#bytes > this.limits.bodiesBytes) this.#cut(({ bytes: held }) => held > 0);
  }

  /** A body is whole, or not wanted any more. */
  release(socket: Socket): void {
    const connection = this.#all.get(socket);
    if (connection === undefined) return;
    this.#bytes -= connection.bytes;
    connection.bytes = 0;
    connection.reading = undefined;
  }

  /** Keeps the connection while `work` goes on. */
  async during<T>(socket: Socket, work: Promise<T>): Promise<T> {
    const connection = this.#all.get(socket);
    if (connection === undefined) return work;
    connection.atWork += 1;
    try {
      return await work;
    } finally {
      connection.atWork -= 1;
      if (this.#all.has(socket)) this.#last(socket, connection);
    }
  }

  /** Ends those that nothing is to be answered on. */
  destroyIdle(): void {
    for (const [socket, { open }] of this.#all) if (open === 0) socket.destroy();
  }

  #last(socket: Socket, connection: Connection): void {
    this.#all.delete(socket);
    this.#all.set(socket, connection);
  }

  #cut(what: (connection: Connection) => boolean): void {
    for (const [socket, connection] of this.#all) {
      if (connection.atWork > 0 || !what(connection)) continue;
      this.release(socket);
      this.#all.delete(socket);
      socket.destroy();
      return;
    }
  }
}
