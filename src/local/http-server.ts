import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Connections } from './connections.js';
import { readBody } from './http-body.js';
import { HTTP_LIMITS, type HttpLimits } from './http-limits.js';
import { emptyAnswer, type Answer, type Dispatch, type RequestHead } from './http-types.js';
import { errorFields, type HostLog } from './host-log.js';
import { problemAnswer } from './problem-answer.js';
import { PortInUseError, StartError } from './start-error.js';

export interface HttpListener {
  readonly port: number;
  /** From now on requests are dispatched; before, they are answered with 503. */
  serve(dispatch: Dispatch): void;
  /** Stops accepting, lets requests in flight finish within `limitMs`, then closes every connection. */
  stop(limitMs: number): Promise<void>;
}

const LOOPBACK = '127.0.0.1';
/** The Fetch API, and with it `HttpRequest`, cannot express these. */
const UNSPEAKABLE = new Set(['CONNECT', 'TRACE']);
/** Ours to say, not the handler's. */
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'content-length']);

function readHead(request: IncomingMessage, port: number): RequestHead | undefined {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers))
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : value;
  // Of two such headers Node keeps the first and hides the other: a caller who is two is nobody.
  const credentials = request.headersDistinct['authorization'] ?? [];
  if (credentials.length > 1) headers['authorization'] = credentials.join(', ');
  // Azure's front end says where calls come from; here the socket does, whatever the client claims.
  headers['x-forwarded-for'] = request.socket.remoteAddress ?? LOOPBACK;
  const host = /^[\w.[\]:-]+$/.test(headers['host'] ?? '') ? headers['host'] : `${LOOPBACK}:${port}`;
  const target = request.url ?? '/';
  try {
    const url = new URL(target.startsWith('/') ? `http://${host}${target}` : target);
    return { method: request.method ?? 'GET', url, headers };
  } catch {
    return undefined;
  }
}

function unspeakable(method: string): Answer {
  return problemAnswer('method-not-allowed', `Nothing here takes ${method}.`, [
    ['allow', 'GET, POST, PATCH'],
  ]);
}

function writeHead(response: ServerResponse, answer: Answer, close: boolean): void {
  const head = answer.headers.filter(([name]) => !HOP_BY_HOP.has(name.toLowerCase()));
  for (const [name, value] of head) response.appendHeader(name, value);
  const bodiless = answer.status === 204 || answer.status === 304 || answer.status < 200;
  if (!bodiless) response.setHeader('content-length', answer.body.length);
  if (close) response.setHeader('connection', 'close');
  response.writeHead(answer.status);
}

function send(response: ServerResponse, answer: Answer, close: boolean): void {
  writeHead(response, answer, close);
  response.end(answer.body);
}

/** Sends the whole answer at once but ends the connection only when the rest of the body was read. */
async function sendAndDrain(response: ServerResponse, answer: Answer, drained: Promise<void>): Promise<void> {
  writeHead(response, answer, true);
  if (answer.body.length > 0) response.write(answer.body);
  else response.flushHeaders();
  await drained;
  response.end();
}

async function open(server: Server, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE'
          ? new PortInUseError(port)
          : new StartError(`cannot listen on port ${port}: ${error.code ?? error.message}`, { cause: error }),
      ),
    );
    server.listen({ port, host: LOOPBACK, exclusive: true }, resolve);
  });
  return (server.address() as AddressInfo).port;
}

const COMPLAINTS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: '413 Payload Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};

/** Says what Node would say of what is no HTTP, or too slow. */
function complain(socket: Socket, code = ''): void {
  if (socket.writable)
    socket.write(`HTTP/1.1 ${COMPLAINTS[code] ?? '400 Bad Request'}\r\nConnection: close\r\n\r\n`);
  socket.destroy();
}

/** A server that holds every connection to its limits; what is too slow is answered 408, a head too large 431. */
function limitedServer(limits: HttpLimits): Server {
  const server = createServer({
    keepAliveTimeout: limits.idleMs,
    headersTimeout: limits.headMs,
    requestTimeout: limits.requestMs,
    connectionsCheckingInterval: limits.checkMs,
    maxHeaderSize: limits.headBytes,
  });
  // All or none: Node leaves out in silence what is beyond a count, and the size bounds it.
  server.maxHeadersCount = 0;
  server.maxRequestsPerSocket = limits.requestsPerConnection;
  server.setTimeout(limits.silentMs);
  return server;
}

/**
 * Takes the port (0: any free one), on the loopback address only, and answers 503 until told what to serve. Whoever is
 * slow, or holds connections and says nothing, is cut (`HTTP_LIMITS`) and keeps nobody else from being served.
 */
export async function listen(
  wantedPort: number,
  log: HostLog,
  limits: HttpLimits = HTTP_LIMITS,
): Promise<HttpListener> {
  let dispatch: Dispatch = () => emptyAnswer(503, [['retry-after', '1']]);
  let stopping = false;
  const connections = new Connections(limits);

  const route: Dispatch = (head) =>
    UNSPEAKABLE.has(head.method) ? unspeakable(head.method) : dispatch(head);
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const head = readHead(request, port);
    try {
      const routed =
        head === undefined
          ? problemAnswer('request-malformed', 'The request names no address.')
          : route(head);
      if (typeof routed !== 'function') {
        send(response, routed, stopping);
        return;
      }
      const { socket } = request;
      const body = await readBody(request, (bytes) => connections.received(socket, bytes));
      connections.release(socket);
      const result = await connections.during(socket, routed(body.bytes));
      if (body.drained === undefined) send(response, result, stopping || connections.isBroken(socket));
      else await sendAndDrain(response, result, body.drained);
    } catch (error) {
      if (request.socket.destroyed) return;
      const { method = '', url = '' } = request;
      log.error('a request failed', { method, path: url.split('?', 1)[0] ?? '', ...errorFields(error) });
      if (response.headersSent) {
        response.destroy();
        return;
      }
      for (const name of response.getHeaderNames()) response.removeHeader(name);
      send(response, emptyAnswer(500), stopping);
    }
  };

  const server = limitedServer(limits);
  server.on('connection', (socket: Socket) => connections.add(socket));
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request;
    connections.began(socket, request);
    response.once('close', () => {
      connections.ended(socket);
      if ((stopping || connections.isBroken(socket)) && connections.isDone(socket)) socket.end();
    });
    void answer(request, response);
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    if (connections.broke(socket)) complain(socket, error.code);
  });
  const port = await open(server, wantedPort);

  return {
    port,
    serve: (next) => void (dispatch = next),
    stop: async (limitMs) => {
      stopping = true;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      connections.destroyIdle();
      const timer = setTimeout(() => server.closeAllConnections(), limitMs);
      await closed;
      clearTimeout(timer);
    },
  };
}
