import { Agent, request } from 'node:http';

/** Requests on kept connections, the same for whoever serves. */
export class HttpClient {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });

  /** `base` without a slash at its end. */
  constructor(private readonly base: string) {}

  /** Rejects when the status is not what is expected. */
  send(
    method: 'GET' | 'POST',
    path: string,
    expected: number,
    body?: unknown,
    tenant?: string,
  ): Promise<Buffer> {
    const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const headers = {
      ...(tenant === undefined ? {} : { 'x-dev-tenant': tenant }),
      ...(bytes === undefined ? {} : { 'content-type': 'application/json', 'content-length': bytes.length }),
    };
    return new Promise((resolve, reject) => {
      const outgoing = request(`${this.base}${path}`, { method, headers, agent: this.#agent }, (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        incoming.on('error', reject);
        incoming.on('end', () => {
          const text = Buffer.concat(chunks);
          if (incoming.statusCode === expected) resolve(text);
          else
            reject(
              new Error(`${method} ${path} answered ${String(incoming.statusCode)}: ${text.toString()}`),
            );
        });
      });
      outgoing.on('error', reject);
      outgoing.end(bytes);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
