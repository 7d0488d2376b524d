import { openAzureStorage, type AzureStorage } from '../src/azure/index.js';
import type { Platform } from '../src/platform.js';
import { decisionType } from '../src/records/decision.js';
import { here } from './payload.js';
import { benchCall, benchPlatform } from './platform.js';
import { BATCH, BODY, PAGE, tenantOf, VOTE, type OperationName, type Side } from './side.js';

/** The platform in this process, on the Azure adapters. */
export class OurSide implements Side {
  readonly #storage: AzureStorage;
  readonly #platform: Platform;
  /** The record that each client reads and votes on. */
  readonly #ids: string[] = [];
  /** Tenants that were written to, and sealed where that is measured, before. */
  readonly #warm = new Set<string>();

  constructor(connectionString: string) {
    this.#storage = openAzureStorage({ connectionString });
    this.#platform = benchPlatform(this.#storage.ports);
  }

  async ready(operation: OperationName, clients: number): Promise<void> {
    if (operation === 'seal' || operation === 'batch') return this.#readyTenants(operation, clients);
    while (this.#ids.length < clients) {
      const { envelope } = await this.#manager.create(decisionType, BODY, benchCall(tenantOf('ours', 0)));
      this.#ids.push(envelope.id);
    }
  }

  async run(operation: OperationName, client: number): Promise<void> {
    const call = benchCall(tenantOf('ours', 0));
    const id = this.idOf(client);
    switch (operation) {
      case 'create':
        await this.#manager.create(decisionType, BODY, call);
        return;
      case 'read':
        await this.#manager.get(decisionType, id, call);
        return;
      case 'list':
        await this.#manager.list(decisionType, { filters: {}, limit: PAGE }, call);
        return;
      case 'vote':
        await this.#manager.act(decisionType, id, 'votes', VOTE, undefined, call);
        return;
      case 'batch':
        return this.fill(BATCH, tenantOf('ours', client));
      case 'seal': {
        const sealed = await this.#seal(tenantOf('ours', client));
        if (sealed !== BATCH) throw new Error(`a seal took ${String(sealed)} events`);
      }
    }
  }

  /** These operations are measured with a tenant for each client. */
  async #readyTenants(operation: 'seal' | 'batch', clients: number): Promise<void> {
    for (let client = 0; client < clients; client += 1) {
      const tenant = tenantOf('ours', client);
      if (!this.#warm.has(tenant)) await this.fill(1, tenant);
      if (!this.#warm.has(tenant) && operation === 'seal') await this.#seal(tenant);
      this.#warm.add(tenant);
      // Exactly one batch is pending when the clock starts.
      if (operation === 'seal') await this.fill(BATCH, tenant);
    }
  }

  /** Stores records, at most 100. */
  async fill(records: number, tenant = tenantOf('ours', 0)): Promise<void> {
    await this.#manager.createBatch(decisionType, Array<unknown>(records).fill(BODY), benchCall(tenant));
  }

  /** The record of a client. */
  idOf(client: number): string {
    return this.#ids[client] as string;
  }

  settle(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {
    this.#storage.close();
  }

  async #seal(tenant: string): Promise<number> {
    return (await this.#platform.sealer.sealTenant(tenant, { partitions: [here(tenant)] })).sealed;
  }

  get #manager() {
    return this.#platform.manager;
  }
}
