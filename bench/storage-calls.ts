import type { RangePage, RowOperation, StoragePorts } from '../src/storage/ports.js';
import { wrapPorts, type PortCall } from '../test/support/wrap-ports.js';

/** What calls of storage are billed and counted as. */
const KINDS = [
  'points',
  'ranges',
  'transactions',
  'blobReads',
  'blobLists',
  'blobWrites',
  'blobDeletes',
  'queue',
] as const;
type CallKind = (typeof KINDS)[number];
export type CallCounts = Readonly<Record<CallKind, number>>;

const KIND_OF: Readonly<Record<string, CallKind>> = {
  'tables.find': 'points',
  'tables.range': 'ranges',
  'tables.commit': 'transactions',
  'blobs.find': 'blobReads',
  'blobs.appendState': 'blobReads',
  'blobs.blockState': 'blobReads',
  'blobs.list': 'blobLists',
  'blobs.delete': 'blobDeletes',
};

export const noCalls = (): Record<CallKind, number> => ({
  points: 0,
  ranges: 0,
  transactions: 0,
  blobReads: 0,
  blobLists: 0,
  blobWrites: 0,
  blobDeletes: 0,
  queue: 0,
});

export const kindOf = ({ port, method }: PortCall): CallKind =>
  port === 'queues' ? 'queue' : (KIND_OF[`${port}.${method}`] ?? 'blobWrites');

export const totalOf = (counts: CallCounts): number => KINDS.reduce((sum, kind) => sum + counts[kind], 0);

/** What a job writes about itself goes by how long it takes, and not by how much it does. */
const ofTheJobItself = ({ args }: PortCall): boolean => args[0] === 'jobs';

/** Ports whose calls are counted while somebody looks. */
export interface CountedPorts {
  readonly ports: StoragePorts;
  /** Begins to count anew; `look` is called before every call that is counted. */
  begin(look?: (call: PortCall) => Promise<void> | undefined): void;
  end(): Counted;
}

export interface Counted {
  readonly calls: CallCounts;
  /** Of the job's own row, besides. */
  readonly own: number;
  readonly rowsRead: number;
  readonly rowsWritten: number;
}

/** Counts calls and rows, and keeps none of them. */
export function countedPorts(real: StoragePorts): CountedPorts {
  let calls = noCalls();
  let [own, rowsRead, rowsWritten] = [0, 0, 0];
  let look: ((call: PortCall) => Promise<void> | undefined) | undefined;
  const ports = wrapPorts(real, async (call, run) => {
    if (ofTheJobItself(call)) {
      own += 1;
      return run();
    }
    calls[kindOf(call)] += 1;
    await look?.(call);
    if (call.method === 'commit') rowsWritten += (call.args[2] as readonly RowOperation[]).length;
    const answer = await run();
    if (call.method === 'range') rowsRead += (answer as RangePage).rows.length;
    if (call.method === 'find' && call.port === 'tables' && answer !== undefined) rowsRead += 1;
    return answer;
  });
  return {
    ports,
    begin: (looking) => {
      calls = noCalls();
      [own, rowsRead, rowsWritten] = [0, 0, 0];
      look = looking;
    },
    end: () => {
      look = undefined;
      return { calls, own, rowsRead, rowsWritten };
    },
  };
}
