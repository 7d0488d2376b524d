import type { Clock } from '../../src/domain/clock.js';
import type { StoragePorts } from '../../src/storage/ports.js';
import { memoryStorage, type MemoryStorage, type PortCall } from '../support/memory-ports.js';
import { wrapPorts } from '../support/wrap-ports.js';

/** One thing in storage that a call may have changed, as it was before. */
interface Touched {
  readonly what: string;
  readonly before: string;
  readonly now: () => Promise<string>;
}

const KEPT: readonly string[] = ['keys', 'actors'];

type Method = (...args: readonly unknown[]) => Promise<unknown>;

/**
 * A storage in memory that remembers what calls touched, and that can be emptied, so that a run of a million requests
 * needs no more memory than one of a thousand.
 */
export class HostileStorage {
  readonly ports: StoragePorts;
  #storage: MemoryStorage;
  #touched = new Map<string, Touched>();
  #sent = 0;

  constructor(private readonly clock: Clock) {
    this.#storage = memoryStorage({ clock });
    this.ports = wrapPorts(this.#storage.ports, (call) => this.#call(call));
  }

  get contents(): ReturnType<MemoryStorage['contents']> {
    return this.#storage.contents();
  }

  /** Everything is gone, as if by a hand from outside, but keys and what they open: a process keeps them for a while. */
  async empty(): Promise<void> {
    const { rows } = this.#storage.contents();
    this.#storage = memoryStorage({ clock: this.clock });
    for (const { table, row } of rows.filter((each) => KEPT.includes(each.table)))
      await this.#storage.ports.tables.commit(table, row.partitionKey, [
        { kind: 'insert', rowKey: row.rowKey, properties: row.properties },
      ]);
    this.forget();
  }

  forget(): void {
    this.#touched = new Map();
    this.#sent = 0;
  }

  /** Keys of rows and names of blobs that calls changed since `forget`, net of what was undone; messages that were sent. */
  async changes(): Promise<readonly string[]> {
    const changed: string[] = [];
    for (const { what, before, now } of this.#touched.values())
      if ((await now()) !== before) changed.push(what);
    return this.#sent === 0 ? changed : [...changed, `${this.#sent} messages`];
  }

  async #call({ port, method, args }: PortCall): Promise<unknown> {
    const target = this.#storage.ports[port];
    await this.#remember(port, method, args);
    return (Reflect.get(target, method) as Method).apply(target, [...args]);
  }

  async #remember(port: PortCall['port'], method: string, args: readonly unknown[]): Promise<void> {
    const { tables, blobs } = this.#storage.ports;
    const [place, name, operations] = args as [string, string, readonly { rowKey: string }[]];
    if (port === 'queues' && method === 'send') this.#sent += 1;
    if (port === 'tables' && method === 'commit')
      for (const { rowKey } of operations)
        await this.#note(`${place} ${name} ${rowKey}`, async () => {
          const row = await tables.find(place, name, rowKey);
          return JSON.stringify([row?.etag, row?.properties]);
        });
    if (
      port === 'blobs' &&
      [
        'putOnce',
        'commitBlocks',
        'swap',
        'createAppend',
        'append',
        'seal',
        'stageBlock',
        'commitBlocks',
        'delete',
        'setTier',
        'copyToHot',
      ].includes(method)
    )
      // prettier-ignore
      await this.#note(`${place} ${name}`, async () => {
        const blob = await blobs.find(place, name);
        return JSON.stringify([blob?.etag, blob?.bytes.length]);
      });
  }

  async #note(what: string, now: () => Promise<string>): Promise<void> {
    if (this.#touched.has(what)) return;
    // Keys that no row can have are refused by the call itself.
    const look = (): Promise<string> => now().catch(() => 'nothing');
    this.#touched.set(what, { what, before: await look(), now: look });
  }
}

/** Everything that lies in a storage, as one comparable text. */
export function dumpOf({ rows, blobs, messages }: HostileStorage['contents']): string {
  const lines = [
    ...rows
      .filter(({ table }) => table !== 'keys')
      .map(
        ({ table, row }) => `${table} ${row.partitionKey} ${row.rowKey} ${JSON.stringify(row.properties)}`,
      ),
    ...blobs.map(
      ({ container, name, bytes }) => `${container} ${name} ${Buffer.from(bytes).toString('base64')}`,
    ),
    ...messages.map(({ queue, id, text }) => `${queue} ${id} ${text}`),
  ];
  return lines.sort().join('\n');
}
