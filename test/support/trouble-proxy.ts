import {
  createServer,
  request as send,
  Agent,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Trouble } from './trouble.js';

export interface TroubleProxy {
  /** Of the account behind it, by way of the proxy. */
  readonly connectionString: string;
  /** What becomes of the next requests; undefined leaves one alone. */
  plan: () => Trouble | undefined;
  /** How many requests had which trouble. */
  readonly counts: Partial<Record<Trouble, number>>;
  close(): Promise<void>;
}

const ENDPOINT = /(Blob|Queue|Table)Endpoint=http:\/\/127\.0\.0\.1:(\d+)/g;

/** Stands between a process and its storage account, on real connections, and makes trouble there. */
export async function startTroubleProxy(connectionString: string, slowMs: number): Promise<TroubleProxy> {
  const servers: Server[] = [];
  const agent = new Agent({ keepAlive: true });
  let through = connectionString;
  const proxy = {
    plan: (): Trouble | undefined => undefined,
    counts: {} as Partial<Record<Trouble, number>>,
  };
  for (const [whole, service = '', port = ''] of connectionString.matchAll(ENDPOINT)) {
    const server = createServer((request, response) => {
      const trouble = proxy.plan();
      if (trouble !== undefined) proxy.counts[trouble] = (proxy.counts[trouble] ?? 0) + 1;
      // Whatever breaks on the way breaks the connection of who asked.
      pass(request, response, { port: Number(port), agent, trouble, slowMs }).catch(() => response.destroy());
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    servers.push(server);
    const { port: ours } = server.address() as AddressInfo;
    through = through.replace(whole, `${service}Endpoint=http://127.0.0.1:${ours}`);
  }
  return Object.assign(proxy, {
    connectionString: through,
    close: async () => {
      for (const server of servers) {
        server.closeAllConnections();
        server.close();
      }
      agent.destroy();
    },
  });
}

interface Way {
  readonly port: number;
  readonly agent: Agent;
  readonly trouble: Trouble | undefined;
  readonly slowMs: number;
}

async function pass(request: IncomingMessage, response: ServerResponse, way: Way): Promise<void> {
  const { trouble } = way;
  if (trouble === 'reset before') {
    request.socket.resetAndDestroy();
    return;
  }
  if (trouble === 'busy') {
    request.resume();
    refuse(response, 503, 'ServerBusy');
    return;
  }
  if (trouble === 'silence') {
    request.resume();
    return;
  }
  const answer = await forward(request, way);
  if (trouble === 'reset after' || trouble === 'lost answer' || trouble === 'late') {
    answer.resume();
    await once(answer, 'end');
    if (trouble === 'reset after') request.socket.resetAndDestroy();
    if (trouble === 'late') refuse(response, 500, 'OperationTimedOut');
    return;
  }
  response.writeHead(answer.statusCode ?? 502, answer.headers);
  if (trouble === 'broken body') {
    for await (const chunk of answer) {
      const bytes = chunk as Buffer;
      response.write(bytes.subarray(0, bytes.length / 2));
      break;
    }
    response.flushHeaders();
    await delay(5);
    request.socket.destroy();
    return;
  }
  if (trouble === 'slow') {
    response.flushHeaders();
    await delay(way.slowMs);
  }
  await pipeline(answer, response);
}

async function forward(request: IncomingMessage, { port, agent }: Way): Promise<IncomingMessage> {
  const { method, url, headers } = request;
  const onward = send({ host: '127.0.0.1', port, method, path: url, headers, agent });
  const [answer] = await Promise.all([
    once(onward, 'response').then(([first]) => first as IncomingMessage),
    pipeline(request, onward),
  ]);
  return answer;
}

function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'x-ms-error-code': code, 'retry-after': '1', 'content-length': 0 });
  response.end();
}
