import { HttpClient } from './http-client.js';
import { BATCH, BODY, VOTE, type OperationName, type Side } from './side.js';

/** The floor behind its minimal server. */
export class FloorHttpSide implements Side {
  readonly #client: HttpClient;

  constructor(
    baseUrl: string,
    private readonly idOf: (client: number) => string,
  ) {
    this.#client = new HttpClient(baseUrl);
  }

  async ready(operation: OperationName, clients: number, runs: number): Promise<void> {
    const ids = Array.from({ length: clients }, (_, client) => this.idOf(client));
    await this.#client.send('POST', `/ready/${operation}/${String(clients)}/${String(runs)}`, 200, ids);
  }

  async run(operation: OperationName, client: number): Promise<void> {
    const path = `/run/${operation}/${String(client)}`;
    const method = operation === 'read' || operation === 'list' ? 'GET' : 'POST';
    await this.#client.send(method, path, 200, bodyOf(operation));
  }

  settle(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {
    this.#client.close();
  }
}

/** The same body as the platform gets. */
function bodyOf(operation: OperationName): unknown {
  if (operation === 'create') return BODY;
  if (operation === 'vote') return VOTE;
  if (operation === 'batch') return { items: Array<unknown>(BATCH).fill(BODY) };
  return undefined;
}
