import { LINEAGE_TABLE } from '../../src/storage/lineage-rows.js';
import type { Row, StoragePorts } from '../../src/storage/ports.js';
import { wrapPorts, type PortCall } from '../support/wrap-ports.js';

/** A mistake that lets a tenant see something of another's: a call of storage that forgets whose it is. */
export interface Leak {
  readonly name: string;
  readonly plant: (ports: StoragePorts) => StoragePorts;
}

type Call = (call: PortCall, run: () => Promise<unknown>, known: readonly string[]) => Promise<unknown>;

/** Partitions of tables are remembered as they are written, so that a call can go astray into those of others. */
function astray(lost: (ports: StoragePorts) => Call): Leak['plant'] {
  return (ports) => {
    const partitions = new Map<string, Set<string>>();
    const call = lost(ports);
    return wrapPorts(ports, (made, run) => {
      const [table, partition] = made.args as [string, string];
      if (made.port === 'tables' && made.method === 'commit')
        partitions.set(table, (partitions.get(table) ?? new Set()).add(partition));
      return call(made, run, [...(partitions.get(table) ?? [])]);
    });
  };
}

const partOf = (partition: string): string => partition.slice(partition.indexOf(':') + 1);
const others = (partition: string, known: readonly string[]): readonly string[] =>
  known.filter((other) => other !== partition && partOf(other) === partOf(partition));

/** A point read that finds nothing looks where the same thing of another tenant would be. */
const pointRead = (tables: (name: string) => boolean): Leak['plant'] =>
  astray((ports) => async ({ port, method, args }, run, known) => {
    const found = await run();
    const [table, partition, rowKey] = args as [string, string, string];
    if (port !== 'tables' || method !== 'find' || found !== undefined || !tables(table)) return found;
    for (const other of others(partition, known)) {
      const row: Row | undefined = await ports.tables.find(table, other, rowKey);
      if (row !== undefined) return row;
    }
    return found;
  });

/** A range read goes into the partition of another tenant when there is nothing in its own. */
const rangeRead = (tables: (name: string) => boolean): Leak['plant'] =>
  astray((ports) => async ({ port, method, args }, run, known) => {
    const found = (await run()) as { rows: readonly Row[] };
    const [table, partition, query] = args as Parameters<StoragePorts['tables']['range']>;
    if (port !== 'tables' || method !== 'range' || found.rows.length > 0 || !tables(table)) return found;
    const [other] = others(partition, known);
    return other === undefined ? found : ports.tables.range(table, other, query);
  });

/** Only the number of calls tells, as the time that they take would: a second look for what another tenant has. */
const slower = astray((ports) => async ({ port, method, args }, run, known) => {
  const found = await run();
  const [table, partition, rowKey] = args as [string, string, string];
  if (port !== 'tables' || method !== 'find' || found !== undefined) return found;
  for (const other of others(partition, known))
    if ((await ports.tables.find(table, other, rowKey)) !== undefined) await run();
  return found;
});

/** But keys: what is under another tenant's does not open, and the platform says so before it tells anything. */
const every = (table: string): boolean => !['keys', 'actors'].includes(table);

/** Each is found within the runs of the test. */
export const LEAKS: readonly Leak[] = [
  { name: 'a read of one row', plant: pointRead(every) },
  { name: 'a read of one row of decisions', plant: pointRead((table) => table === 'decisions') },
  { name: 'a read of operations', plant: pointRead((table) => table === 'operations') },
  { name: 'a list', plant: rangeRead(every) },
  { name: 'the way back of a link', plant: rangeRead((table) => table === LINEAGE_TABLE) },
  { name: 'the list of events', plant: rangeRead((table) => table === 'auditevents') },
  { name: 'what a tenant has set', plant: pointRead((table) => table === 'system') },
  { name: 'the time that it takes', plant: slower },
];
