import type { TransactionAction } from '@azure/data-tables';
import type { BlobTier, RangeQuery, RowOperation, StoragePorts } from '../src/storage/ports.js';
import { wrapPorts, type PortCall } from '../test/support/wrap-ports.js';
import type { Floor } from './floor.js';
import { actionOf } from './payload.js';

/** Calls that were under way at once. */
export type Wave = readonly PortCall[];

/**
 * Ports that read and do not write: what is done on them is rehearsed, and can then be done by the bare SDK, with the
 * same rows, bytes and ETags, in the same order, and at once where it was at once.
 */
export class Rehearsal {
  readonly ports: StoragePorts;
  #take: { readonly waves: PortCall[][]; underWay: number } | undefined;

  constructor(real: StoragePorts) {
    this.ports = wrapPorts(real, async (call, run) => {
      const take = this.#take;
      if (take === undefined) return run();
      if (take.underWay === 0) take.waves.push([]);
      take.underWay += 1;
      take.waves.at(-1)?.push(call);
      try {
        return READS.includes(call.method) ? await run() : pretended(call);
      } finally {
        take.underWay -= 1;
      }
    });
  }

  /** Resolves to the calls of `work`, of whose writes none was made. */
  async of(work: () => Promise<unknown>): Promise<readonly Wave[]> {
    const take = (this.#take = { waves: [], underWay: 0 });
    try {
      await work();
      return take.waves;
    } finally {
      this.#take = undefined;
    }
  }
}

const READS = ['find', 'range'];

/** What a port would have answered to a write. */
function pretended({ method, args }: PortCall): unknown {
  if (method === 'commit') return (args[2] as readonly RowOperation[]).map(() => 'W/"rehearsed"');
  if (method === 'putOnce') return '"rehearsed"';
  throw new Error(`${method} cannot be rehearsed`);
}

/** Makes calls of ports with the bare SDK. */
export async function perform(floor: Floor, waves: readonly Wave[]): Promise<void> {
  for (const wave of waves) await Promise.all(wave.map((call) => performOne(floor, call)));
}

/** Makes one. */
export async function performOne(floor: Floor, { port, method, args }: PortCall): Promise<unknown> {
  const [first, second, third] = args as [string, string, unknown];
  switch (`${port}.${method}`) {
    case 'tables.find':
      return floor.row({ table: first, partitionKey: second, rowKey: third as string }).catch(unlessMissing);
    case 'tables.range':
      return floor.list({ table: first, partitionKey: second, ...(third as RangeQuery) });
    case 'tables.commit': {
      const actions = (third as readonly RowOperation[]).map((operation) => compared(second, operation));
      return floor.commit({ table: first, actions });
    }
    case 'blobs.find': {
      const range = third as { readonly offset: number; readonly length: number } | undefined;
      return floor.download({ container: first, name: second }, range?.offset, range?.length);
    }
    case 'blobs.putOnce':
      return floor.put({ container: first, name: second, bytes: third as Uint8Array });
    case 'blobs.list':
      return floor.names(first, second);
    case 'blobs.delete':
      return floor.remove({ container: first, name: second });
    case 'blobs.setTier':
      return floor.setTier({ container: first, name: second }, third as BlobTier);
    default:
      throw new Error(`the floor has no ${port}.${method}`);
  }
}

/** The SDK compares ETags of updates alone; the platform's deletes of single rows are not compared here. */
function compared(key: string, operation: RowOperation): TransactionAction {
  const action = actionOf(key, operation);
  if (action[0] !== 'update' || !('etag' in operation)) return action;
  return ['update', action[1], operation.kind === 'merge' ? 'Merge' : 'Replace', { etag: operation.etag }];
}

function unlessMissing(error: unknown): void {
  if ((error as { readonly statusCode?: number }).statusCode !== 404) throw error;
}
