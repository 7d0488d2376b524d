import { Floor, type RowRange, type Sealing } from './floor.js';
import { atRevision, fresh, partitionOf, recordRowOf, type Templates, type Writes } from './payload.js';
import { PAGE, tenantOf, type OperationName, type Side } from './side.js';

/** Serials are six hex digits: creates count up from 0, each record that is voted on has one of the last. */
const VOTED_FROM = 0xf00000;

/** The floor as a side of the comparison: its payloads are made off the clock. */
export class FloorSide implements Side {
  readonly #floor: Floor;
  readonly #ready: Writes[][] = [];
  #serial = 0;
  /** Revision that the next vote of each client makes. */
  readonly #revisions: number[] = [];
  readonly #streams = new Set<string>();

  /** `readTenant` is whose records are read and listed: the platform's own, so that both find the same. */
  constructor(
    connectionString: string,
    private readonly templates: Templates,
    private readonly readTenant: string,
    private readonly idOf: (client: number) => string,
  ) {
    this.#floor = new Floor(connectionString);
  }

  async ready(operation: OperationName, clients: number, runs: number): Promise<void> {
    for (let client = 0; client < clients; client += 1) {
      if (operation === 'vote') await this.#readyToVote(client);
      const payloads: Writes[] = [];
      for (let run = 0; run < runs; run += 1) payloads.push(await this.#payload(operation, client));
      this.#ready[client] = payloads;
    }
  }

  run(operation: OperationName, client: number): Promise<unknown> {
    return this.answer(operation, client);
  }

  /** Does an operation and gives the bytes that would answer it. */
  async answer(operation: OperationName, client: number): Promise<Uint8Array> {
    if (operation === 'read') return this.#floor.read(this.#recordRow(client));
    if (operation === 'list')
      return Buffer.from(JSON.stringify({ items: await this.#floor.list(this.#page()) }));
    const writes = this.#ready[client]?.shift();
    const [blob] = writes?.blobs ?? [];
    const [commit] = writes?.transactions ?? [];
    if (writes === undefined || blob === undefined || commit === undefined)
      throw new Error(`nothing is ready for ${operation}`);
    if (operation === 'create') await this.#floor.create(blob, commit);
    if (operation === 'vote') await this.#floor.vote(recordRowOf(writes), blob, commit);
    if (operation === 'batch') await this.#floor.batch(blob, writes.transactions);
    if (operation === 'seal') await this.#floor.seal(sealingOf(writes, tenantOf('bare', client)));
    return blob.bytes;
  }

  settle(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {
    this.#floor.close();
  }

  async #payload(operation: OperationName, client: number): Promise<Writes> {
    const tenant = tenantOf('bare', 0);
    const { templates } = this;
    switch (operation) {
      case 'read':
      case 'list':
        return { blobs: [], transactions: [] };
      case 'create':
        return fresh(templates.create, tenant, (this.#serial += 1));
      case 'batch':
        return fresh(templates.batch, tenantOf('bare', client), (this.#serial += 1));
      case 'vote': {
        const revision = this.#revisions[client] ?? 2;
        this.#revisions[client] = revision + 1;
        return this.#voteAt(client, revision);
      }
      case 'seal':
        return this.#readyToSeal(tenantOf('bare', client));
    }
  }

  /** The record that a client votes on, made once. */
  async #readyToVote(client: number): Promise<void> {
    if (this.#revisions[client] !== undefined) return;
    const { blobs, transactions } = fresh(this.templates.created, tenantOf('bare', 0), VOTED_FROM + client);
    for (const blob of blobs) await this.#floor.put(blob);
    for (const transaction of transactions) await this.#floor.commit(transaction);
    this.#revisions[client] = 2;
  }

  /** Each revision is its own event, of the same record. */
  #voteAt(client: number, revision: number): Writes {
    const recorded = atRevision(this.templates.vote, revision);
    const event = /evt_[0-9a-f-]{24}([0-9a-f]{12})/.exec(recorded)?.[1] ?? '';
    const own = revision.toString(16).padStart(12, '0');
    return fresh(recorded.replaceAll(event, own), tenantOf('bare', 0), VOTED_FROM + client);
  }

  /** A batch of records whose events are pending, and what it takes to seal them. */
  async #readyToSeal(tenant: string): Promise<Writes> {
    const serial = (this.#serial += 1);
    const recorded = fresh(this.templates.seal, tenant, serial);
    const { stage, head, tiles, stream, checkpoint } = blobsOfSeal(recorded);
    // Stages are named after their content and tiles after their place, where no id stands.
    const own = serial.toString(16).padStart(6, '0');
    const name = stage.name.replace(/[0-9a-f]{6}\.json$/, `${own}.json`);
    const ownTiles = tiles.map((tile) => ({ ...tile, name: `${tile.name}-${own}` }));
    const sealing = { ...recorded, blobs: [{ ...stage, name }, head, ...ownTiles, stream, checkpoint] };
    if (!this.#streams.has(tenant)) {
      await this.#floor.put(head);
      await this.#floor.put(checkpoint);
      await this.#floor.createStream(stream);
      this.#streams.add(tenant);
    }
    const { blobs, transactions } = fresh(this.templates.pending, tenant, serial);
    for (const pack of blobs) await this.#floor.batch(pack, transactions);
    return sealing;
  }

  #recordRow(client: number) {
    return {
      table: 'decisions',
      partitionKey: partitionOf(this.readTenant),
      rowKey: `r:${this.idOf(client)}`,
    };
  }

  #page(): RowRange {
    // One row more tells whether there is another page.
    return { table: 'decisions', partitionKey: partitionOf(this.readTenant), from: 'i:all::', to: 'i:all:;', limit: PAGE + 1 }; // prettier-ignore
  }
}

/** The blobs of a seal, as they come. */
function blobsOfSeal({ blobs }: Writes) {
  const [stage, head, ...rest] = blobs;
  const [stream, checkpoint] = rest.slice(-2);
  if (stage === undefined || head === undefined || stream === undefined || checkpoint === undefined)
    throw new Error('a seal writes stage, head, tiles, stream and checkpoint');
  return { stage, head, tiles: rest.slice(0, -2), stream, checkpoint };
}

function sealingOf({ blobs, transactions }: Writes, tenant: string): Sealing {
  const clear = transactions.at(-1);
  if (clear === undefined) throw new Error('a seal clears');
  const pending = {
    table: 'decisions',
    partitionKey: partitionOf(tenant),
    from: 'o:',
    to: 'o;',
    limit: 1000,
  };
  return { pending, ...blobsOfSeal({ blobs, transactions }), index: transactions.slice(0, -1), clear };
}
