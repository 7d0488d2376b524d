import { openAzureStorage, type AzureStorage } from '../src/azure/index.js';
import type { Envelope } from '../src/domain/envelope.js';
import { HttpClient } from './http-client.js';
import { partitionOf } from './payload.js';
import { BATCH, BODY, PAGE, tenantOf, VOTE, type OperationName, type Side } from './side.js';

const TENANT = tenantOf('ours', 0);

/** The platform over HTTP: the local host in a process of its own. */
export class HostSide implements Side {
  readonly #client: HttpClient;
  readonly #storage: AzureStorage;
  readonly #ids: string[] = [];
  /** Tenants that were written to. */
  readonly #tenants = new Set([TENANT]);

  constructor(baseUrl: string, connectionString: string) {
    this.#client = new HttpClient(baseUrl);
    this.#storage = openAzureStorage({ connectionString });
  }

  async ready(operation: OperationName, clients: number): Promise<void> {
    while (this.#ids.length < clients) {
      const answer = await this.#send('POST', '/decisions', 201, BODY);
      this.#ids.push((JSON.parse(answer.toString()) as Envelope).id);
    }
    if (operation === 'batch') {
      for (let client = this.#tenants.size; client < clients; client += 1)
        await this.fill(1, tenantOf('ours', client));
    }
    await this.settle();
  }

  async run(operation: OperationName, client: number): Promise<void> {
    const id = this.idOf(client);
    switch (operation) {
      case 'create':
        await this.#send('POST', '/decisions', 201, BODY);
        return;
      case 'read':
        await this.#send('GET', `/decisions/${id}`, 200);
        return;
      case 'list':
        await this.#send('GET', `/decisions?limit=${String(PAGE)}`, 200);
        return;
      case 'vote':
        await this.#send('POST', `/decisions/${id}/votes`, 200, VOTE);
        return;
      case 'batch':
        return this.fill(BATCH, tenantOf('ours', client));
      case 'seal':
        throw new Error('sealing is no request');
    }
  }

  /** Stores records, at most 100. */
  async fill(records: number, tenant = TENANT): Promise<void> {
    this.#tenants.add(tenant);
    const items = Array<unknown>(records).fill(BODY);
    await this.#send('POST', '/decisions/batch', 201, { items }, tenant);
  }

  idOf(client: number): string {
    return this.#ids[client] as string;
  }

  /** The host seals in the background: the floor's turn comes when nothing is pending. */
  async settle(): Promise<void> {
    const end = performance.now() + 120_000;
    for (const tenant of this.#tenants) {
      while (await this.#hasPending(tenant)) {
        if (performance.now() > end) throw new Error('the host does not seal what it committed');
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  close(): void {
    this.#client.close();
    this.#storage.close();
  }

  async #hasPending(tenant: string): Promise<boolean> {
    const range = { from: 'o:', to: 'o;', limit: 1 };
    const { rows } = await this.#storage.ports.tables.range('decisions', partitionOf(tenant), range);
    return rows.length > 0;
  }

  #send(
    method: 'GET' | 'POST',
    path: string,
    expected: number,
    body?: unknown,
    tenant = TENANT,
  ): Promise<Buffer> {
    return this.#client.send(method, path, expected, body, tenant);
  }
}
