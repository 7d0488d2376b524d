import type { TableEntityResult, TransactionAction } from '@azure/data-tables';
import { makeClients, type AzureClients } from '../src/azure/clients.js';
import type { BlobTier } from '../src/storage/ports.js';

/**
 * The floor: what the same work costs with bare calls of the Azure SDK, and nothing else. The same bytes (the rows and
 * blobs of `payload.ts` are those the platform itself writes, under other ids), no more round trips than the guarantee
 * needs, one after the other only where one needs the other's answer. The SDK's clients are made as the platform makes
 * its own: the same keep-alive agents, no retries. No parsing, checking, hashing or retrying of ours.
 */
export interface BlobToPut {
  readonly container: string;
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface Transaction {
  readonly table: string;
  readonly actions: readonly TransactionAction[];
}

export interface RowName {
  readonly table: string;
  readonly partitionKey: string;
  readonly rowKey: string;
}

/** A key range of one partition. */
export interface RowRange {
  readonly table: string;
  readonly partitionKey: string;
  readonly from: string;
  readonly to: string;
  readonly limit: number;
}

/** One round of sealing: what is read, staged, committed, published and cleared. */
export interface Sealing {
  readonly pending: RowRange;
  readonly stage: BlobToPut;
  readonly head: BlobToPut;
  /** Bundles and tiles that grow. */
  readonly tiles: readonly BlobToPut[];
  readonly stream: BlobToPut;
  readonly checkpoint: BlobToPut;
  readonly index: readonly Transaction[];
  readonly clear: Transaction;
}

/** What tiers are called by the SDK. */
const TIERS = { hot: 'Hot', cool: 'Cool', archive: 'Archive' } as const;
/** Transactions of one batch under way at once, as many as the platform has. */
const PARALLEL = 4;

export class Floor {
  readonly #clients: AzureClients;

  constructor(connectionString: string) {
    this.#clients = makeClients({ connectionString });
  }

  close(): void {
    this.#clients.close();
  }

  /** 2 round trips: the detail, then the commit that makes it count. */
  async create(detail: BlobToPut, commit: Transaction): Promise<void> {
    await this.put(detail);
    await this.commit(commit);
  }

  /** 2 round trips: the row, then the part of the blob it names. */
  async read(name: RowName): Promise<Uint8Array> {
    const row = await this.row(name);
    const blob = { container: 'records', name: String(row['blob']) };
    return (await this.download(blob, Number(row['offset']), Number(row['length']))).bytes;
  }

  /** 1 round trip. */
  async list(range: RowRange): Promise<readonly TableEntityResult<Record<string, unknown>>[]> {
    const { partitionKey, from, to } = range;
    const filter = `PartitionKey eq '${partitionKey}' and RowKey ge '${from}' and RowKey lt '${to}'`;
    const found = this.#clients.table(range.table).listEntities({ queryOptions: { filter } });
    const page = await found.byPage({ maxPageSize: range.limit }).next();
    return page.done === true ? [] : page.value;
  }

  /** 3 round trips: the row for its ETag, the detail, the commit that replaces the row (its first action). */
  async vote(name: RowName, detail: BlobToPut, commit: Transaction): Promise<void> {
    const { etag } = await this.row(name);
    await this.put(detail);
    const [, entity] = commit.actions[0] as ['update', { partitionKey: string; rowKey: string }];
    const replace: TransactionAction = ['update', entity, 'Replace', { etag }];
    await this.commit({ table: commit.table, actions: [replace, ...commit.actions.slice(1)] });
  }

  /** 1 blob for all details, then transactions of whole records. */
  async batch(pack: BlobToPut, commits: readonly Transaction[]): Promise<void> {
    await this.put(pack);
    const left = [...commits];
    const worker = async (): Promise<void> => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) await this.commit(next);
    };
    await Promise.all(Array.from({ length: PARALLEL }, worker));
  }

  /** Head and pending rows; stage; the head that commits it; then tiles, lines, checkpoint, index and clearing. */
  async seal({ pending, stage, head, tiles, stream, checkpoint, index, clear }: Sealing): Promise<void> {
    const before = await this.download(head);
    await this.list(pending);
    await this.put(stage);
    const conditions = { ifMatch: before.etag };
    await this.#blob(head).upload(Buffer.from(head.bytes), head.bytes.length, { conditions });
    await Promise.all(tiles.map((tile) => this.put(tile)));
    await this.append(stream);
    const signed = await this.download(checkpoint);
    await this.#blob(checkpoint).upload(Buffer.from(checkpoint.bytes), checkpoint.bytes.length, { conditions: { ifMatch: signed.etag } }); // prettier-ignore
    for (const transaction of index) await this.commit(transaction);
    await this.commit(clear);
  }

  async put(blob: BlobToPut): Promise<void> {
    const conditions = { ifNoneMatch: '*' };
    await this.#blob(blob).upload(Buffer.from(blob.bytes), blob.bytes.length, { conditions });
  }

  /** One row needs no transaction. */
  async commit({ table, actions }: Transaction): Promise<void> {
    const [only] = actions;
    if (actions.length === 1 && only?.[0] === 'create') {
      await this.#clients.table(table).createEntity(only[1]);
      return;
    }
    await this.#clients.table(table).submitTransaction([...actions]);
  }

  async createStream({ container, name }: BlobToPut): Promise<void> {
    await this.#clients.blobs.getContainerClient(container).getAppendBlobClient(name).create();
  }

  async append({ container, name, bytes }: BlobToPut): Promise<void> {
    const stream = this.#clients.blobs.getContainerClient(container).getAppendBlobClient(name);
    await stream.appendBlock(Buffer.from(bytes), bytes.length);
  }

  /** Names of blobs, one page. */
  async names(container: string, prefix: string): Promise<readonly string[]> {
    const pages = this.#clients.blobs.getContainerClient(container).listBlobsFlat({ prefix }).byPage();
    const page = await pages.next();
    return page.done === true ? [] : page.value.segment.blobItems.map(({ name }) => name);
  }

  /** As the platform deletes: one that is gone is gone. */
  async remove(blob: Pick<BlobToPut, 'container' | 'name'>): Promise<void> {
    await this.#blob(blob).deleteIfExists();
  }

  async setTier(blob: Pick<BlobToPut, 'container' | 'name'>, tier: BlobTier): Promise<void> {
    await this.#blob(blob).setAccessTier(TIERS[tier]);
  }

  row({ table, partitionKey, rowKey }: RowName): Promise<TableEntityResult<Record<string, unknown>>> {
    return this.#clients.table(table).getEntity(partitionKey, rowKey);
  }

  #blob({ container, name }: Pick<BlobToPut, 'container' | 'name'>) {
    return this.#clients.blobs.getContainerClient(container).getBlockBlobClient(name);
  }

  async download(
    blob: Pick<BlobToPut, 'container' | 'name'>,
    offset?: number,
    length?: number,
  ): Promise<{ bytes: Uint8Array; etag: string }> {
    const { readableStreamBody, etag = '' } = await this.#blob(blob).download(offset, length);
    const chunks: Uint8Array[] = [];
    for await (const chunk of readableStreamBody ?? []) chunks.push(chunk as unknown as Uint8Array);
    return { bytes: Buffer.concat(chunks), etag };
  }
}
