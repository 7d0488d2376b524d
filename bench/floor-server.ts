import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { FloorSide } from './floor-side.js';
import { recordTemplates } from './payload.js';
import type { OperationName } from './side.js';

/**
 * The floor over HTTP, in a process of its own like the host it is held against: a plain server that reads the request,
 * parses its JSON, makes the floor's calls and answers with as many bytes. `POST /ready/…` makes payloads off the clock.
 */
const ids: string[] = [];

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** A batch is answered with the envelopes without their data. */
function heads(pack: Uint8Array): Buffer {
  const lines = Buffer.from(pack).toString('utf8').trimEnd().split('\n');
  return Buffer.from(JSON.stringify({ items: lines.map((line) => line.slice(0, line.indexOf('"data"'))) }));
}

/** Serves until it is told to stop; prints its address as the host does. */
export async function serve(connectionString: string, readTenant: string): Promise<void> {
  const templates = await recordTemplates();
  const side = new FloorSide(connectionString, templates, readTenant, (client) => ids[client] as string);
  const answerTo = async (path: string, body: Buffer): Promise<Uint8Array> => {
    const [, kind, operation = '', clients = '', runs = ''] = path.split('/');
    const name = operation as OperationName;
    if (kind === 'ready') {
      ids.splice(0, ids.length, ...(JSON.parse(body.toString()) as string[]));
      await side.ready(name, Number(clients), Number(runs));
      return Buffer.from('{}');
    }
    if (body.length > 0) JSON.parse(body.toString());
    const answer = await side.answer(name, Number(clients));
    return name === 'batch' ? heads(answer) : answer;
  };
  // As the host has it: Node's own five seconds pass between two rounds, and closing races with the next request.
  const server = createServer({ keepAliveTimeout: 65_000 }, (request, response) => {
    bodyOf(request)
      .then((body) => answerTo(request.url ?? '', body))
      .then(
        (answer) => {
          response.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length });
          response.end(answer);
        },
        (error: unknown) => {
          response.writeHead(500).end(String(error));
        },
      );
  });
  server.listen(0, '127.0.0.1', () => {
    process.stdout.write(`ready http://127.0.0.1:${String((server.address() as AddressInfo).port)}\n`);
  });
  process.on('SIGTERM', () => process.exit(0));
}
