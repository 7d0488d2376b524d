import { bundleBytes, TILE_WIDTH, tileBytes } from '../../src/audit/log/tiles.js';
import { append, EMPTY_TREE, leafHash, rootOf, rootOfComplete } from '../../src/audit/merkle.js';
import { checksumOf, type Json } from '../../src/domain/canonical-json.js';
import { isFault, type Properties, type Row } from '../../src/storage/ports.js';
import { readRange } from '../../src/storage/range.js';
import { withRowChecksum } from '../../src/storage/row-checksum.js';
import { unlistedOf, TENANT, type FsckWorld } from './fsck-world.js';

type Change = Buffer | ((bytes: Buffer) => Buffer | undefined);

/** Does what somebody can who has the key of the storage account, and takes it all back afterwards. */
export class Vandal {
  readonly #undo: (() => Promise<void>)[] = [];
  #firstLeaf = '';

  private constructor(private readonly world: FsckWorld) {}

  static async at(world: FsckWorld): Promise<Vandal> {
    const vandal = new Vandal(world);
    const stream = await vandal.read('audit', await vandal.only('audit', `${TENANT}/`));
    vandal.#firstLeaf = leafHash(stream.subarray(0, stream.indexOf('\n')));
    // The ledger grows where it is mended: it is put back as it was.
    for (const container of ['ledger', 'audit'])
      for (const name of await vandal.#names(container)) await vandal.#keep(container, name);
    return vandal;
  }

  async undo(): Promise<void> {
    for (const undo of this.#undo.reverse()) await undo();
  }

  /** Takes nothing back. */
  leave(): void {
    this.#undo.length = 0;
  }

  firstLeaf(): string {
    return this.#firstLeaf;
  }

  /** A head whose root follows from its edge, and is that of no log. */
  readonly otherEdge = (bytes: Buffer): Buffer => {
    const head = JSON.parse(bytes.toString('utf8')) as { tree_size: number; edge: string[] };
    const edge = head.edge.map(() => 'ab'.repeat(32));
    return Buffer.from(JSON.stringify({ ...head, edge, root: rootOf({ size: head.tree_size, edge }) }));
  };

  /** A head of a log so long that nobody could walk it, whose root follows from its edge. */
  readonly longerHead = (bytes: Buffer): Buffer => {
    const [size, edge] = [2 ** 40, ['ab'.repeat(32)]];
    const head = JSON.parse(bytes.toString('utf8')) as object;
    return Buffer.from(JSON.stringify({ ...head, tree_size: size, edge, root: rootOf({ size, edge }) }));
  };

  /**
   * Another event in the place of one, in bundle and tiles, with head and checkpoint to fit: what is left to hold it against are
   * the streams, which cannot be written to in the middle.
   */
  async rewrite(leaf: number, signed: (root: string, size: number) => Promise<Buffer>): Promise<void> {
    const head = JSON.parse((await this.read('ledger', `${TENANT}/head`)).toString('utf8')) as {
      tree_size: number;
    };
    const stream = await this.read('audit', await this.only('audit', `${TENANT}/`));
    const texts = stream.toString('utf8').split('\n').slice(0, head.tree_size);
    texts[leaf] = (texts[leaf] as string).replace('"outcome":"success"', '"outcome":"failure"');
    const entries = texts.map((text) => Buffer.from(text));
    const tree = entries.reduce((grown, entry) => append(grown, leafHash(entry)), EMPTY_TREE);
    const hashes = entries.slice(0, TILE_WIDTH).map((entry) => leafHash(entry));
    const root = rootOf(tree);
    await this.blob(
      'ledger',
      `${TENANT}/tile/entries/000`,
      Buffer.from(bundleBytes(entries.slice(0, TILE_WIDTH))),
    );
    await this.blob('ledger', `${TENANT}/tile/0/000`, Buffer.from(tileBytes(hashes)));
    await this.blob('ledger', `${TENANT}/tile/1/000.p/1`, Buffer.from(rootOfComplete(hashes), 'hex'));
    await this.blob(
      'ledger',
      `${TENANT}/head`,
      Buffer.from(JSON.stringify({ ...head, edge: tree.edge, root })),
    );
    await this.blob('ledger', `${TENANT}/checkpoint`, await signed(root, head.tree_size));
  }

  async only(container: string, prefix: string): Promise<string> {
    return (await this.world.ports.blobs.list(container, prefix)).names[0] ?? '';
  }

  async read(container: string, name: string): Promise<Buffer> {
    return Buffer.from((await this.world.ports.blobs.find(container, name))?.bytes ?? []);
  }

  /** Replaces a blob, or deletes it. */
  async blob(container: string, name: string, change: Change): Promise<void> {
    const before = await this.#keep(container, name);
    const bytes = Buffer.isBuffer(change) ? change : change(Buffer.from(before.bytes));
    await this.world.ports.blobs.delete(container, name);
    if (bytes !== undefined) await this.#write(container, name, bytes, before.append);
  }

  async put(container: string, name: string, bytes: Buffer): Promise<void> {
    this.#undo.push(() => this.world.ports.blobs.delete(container, name));
    await this.#write(container, name, bytes, false);
  }

  async append(container: string, name: string, bytes: Buffer): Promise<void> {
    this.#undo.push(() => this.world.ports.blobs.delete(container, name));
    await this.#write(container, name, bytes, true);
  }

  /** Writes to a row; `sealed`: with a checksum that holds, which needs no key. */
  async row(table: string, row: Row, change: Properties, sealed: boolean): Promise<void> {
    const properties = { ...row.properties, ...change };
    this.#restore(table, row);
    await this.#upsert(table, row, sealed ? withRowChecksum(row.partitionKey, row.rowKey, properties) : properties); // prettier-ignore
  }

  /** Puts another row in the place of one, with a checksum that holds. */
  async replaced(table: string, row: Row, properties: Properties): Promise<void> {
    this.#restore(table, row);
    const { row_checksum: _, ...columns } = properties;
    await this.#upsert(table, row, withRowChecksum(row.partitionKey, row.rowKey, columns));
  }

  /** Puts a row where none was, with a checksum that holds. */
  async added(table: string, row: Row, properties: Properties): Promise<void> {
    this.#undo.push(async () => this.#delete(table, row));
    const { row_checksum: _, ...columns } = properties;
    await this.#upsert(table, row, withRowChecksum(row.partitionKey, row.rowKey, columns));
  }

  /** Moves a blob to the archive tier, from where nothing but a copy comes back. */
  async archived(container: string, name: string): Promise<void> {
    const { blobs } = this.world.ports;
    const bytes = await this.read(container, name);
    const before = (await blobs.blockState(container, name))?.tier ?? 'hot';
    this.#undo.push(async () => {
      await blobs.delete(container, name);
      await this.#write(container, name, bytes, false);
      await blobs.setTier(container, name, before);
    });
    await blobs.setTier(container, name, 'archive');
  }

  async rowAt(table: string, partitionKey: string, rowKey: string, change: Properties): Promise<void> {
    const row = await this.world.ports.tables.find(table, partitionKey, rowKey);
    if (row === undefined) throw new Error(`there is no ${rowKey}`);
    await this.row(table, row, change, true);
  }

  async copy(table: string, row: Row, rowKey: string): Promise<void> {
    const to = { ...row, rowKey };
    this.#undo.push(async () => this.#delete(table, to));
    await this.#upsert(table, to, withRowChecksum(row.partitionKey, rowKey, row.properties));
  }

  async gone(table: string, row: Row): Promise<void> {
    this.#restore(table, row);
    await this.#delete(table, row);
  }

  async goneFrom(table: string, partitionKey: string, rowKey: string): Promise<void> {
    const row = await this.world.ports.tables.find(table, partitionKey, rowKey);
    if (row === undefined) throw new Error(`there is no ${rowKey}`);
    await this.gone(table, row);
  }

  /** Deletes the first row of a table without a directory whose key begins so. */
  async goneAt(table: string, prefix: string): Promise<void> {
    await this.gone(table, await this.unlisted(table, prefix));
  }

  /** Writes to that row, whose checksum stays. */
  async rowIn(table: string, prefix: string, change: Properties): Promise<void> {
    await this.row(table, await this.unlisted(table, prefix), change, false);
  }

  /** The first row of a table without a directory whose key begins so. */
  async unlisted(table: string, prefix: string, is: (row: Row) => boolean = () => true): Promise<Row> {
    for (const key of unlistedOf(table)) {
      const rows = await readRange(this.world.ports.tables, table, key, { from: prefix, to: `${prefix}~` });
      const row = rows.find(is);
      if (row !== undefined) return row;
    }
    throw new Error(`there is no ${prefix} in ${table}`);
  }

  /** Other content, with a revision row and a record row that fit it. */
  async forge(_: FsckWorld, record: Row, revision: Row): Promise<void> {
    const blob = String(revision.properties['blob']);
    const stored = JSON.parse((await this.read('records', blob)).toString('utf8')) as { data: Json };
    const data = { ...(stored.data as object), title: 'What never was' } as unknown as Json;
    const checksum = checksumOf(data);
    const bytes = Buffer.from(JSON.stringify({ ...stored, data, checksum }));
    await this.blob('records', blob, bytes);
    const change = { checksum, length: bytes.length };
    await this.row('decisions', revision, change, true);
    await this.row('decisions', record, { ...change, title: 'What never was' }, true);
  }

  #restore(table: string, row: Row): void {
    this.#undo.push(() => this.#upsert(table, row, row.properties));
  }

  /** Whole rows: properties that were added go. */
  async #upsert(table: string, { partitionKey, rowKey }: Row, properties: Properties): Promise<void> {
    await this.world.ports.tables.commit(table, partitionKey, [{ kind: 'upsert', rowKey, properties }]);
  }

  async #delete(table: string, { partitionKey, rowKey }: Row): Promise<void> {
    try {
      await this.world.ports.tables.commit(table, partitionKey, [{ kind: 'delete', rowKey, etag: '*' }]);
    } catch (error) {
      if (!isFault(error, 'missing')) throw error;
    }
  }

  async #keep(container: string, name: string): Promise<{ bytes: Uint8Array; append: boolean }> {
    const { blobs } = this.world.ports;
    const bytes = await this.read(container, name);
    const append = container === 'audit' || /\/messages\/\d{4}\.jsonl$/.test(name);
    const state = append ? undefined : await blobs.blockState(container, name);
    this.#undo.push(async () => {
      if ((await this.read(container, name)).equals(bytes)) return;
      await blobs.delete(container, name);
      await this.#write(container, name, bytes, append);
      if (state !== undefined && state.tier !== 'hot') await blobs.setTier(container, name, state.tier);
    });
    return { bytes, append };
  }

  async #names(container: string): Promise<readonly string[]> {
    return (await this.world.ports.blobs.list(container, `${TENANT}/`)).names.filter(
      (name) => !name.endsWith('/lease'),
    );
  }

  async #write(container: string, name: string, bytes: Uint8Array, append: boolean): Promise<void> {
    const { blobs } = this.world.ports;
    if (!append) {
      await blobs.putOnce(container, name, bytes, 'application/octet-stream');
      return;
    }
    await blobs.createAppend(container, name);
    if (bytes.length > 0) await blobs.append(container, name, bytes, 0);
  }
}
