import type { FindingCode } from '../../src/audit/fsck/findings.js';
import type { Row } from '../../src/storage/ports.js';
import { rowsIn, type FsckWorld } from './fsck-world.js';
import type { Vandal } from './vandal.js';

/** What somebody does to a storage who has the key of the account, and how fsck names it. */
export interface Deed {
  readonly name: string;
  readonly code: FindingCode;
  /** What fsck mends, the storage then being as it was. */
  readonly mended?: true;
  /** Found by whoever opens sealed values alone. */
  readonly open?: true;
  readonly azurite?: true;
  readonly do: (vandal: Vandal, world: FsckWorld) => Promise<unknown>;
}

/** A row of a table whose key begins so. */
export async function row(world: FsckWorld, table: string, prefix: string, at = 0): Promise<Row> {
  const found = (await rowsIn(world, table, prefix)).at(at);
  if (found === undefined) throw new Error(`there is no ${prefix} in ${table}`);
  return found;
}

export const idOf = ({ rowKey }: Row): string => rowKey.slice(rowKey.lastIndexOf(':') + 1);

/** Of no event of anybody. */
export const NO_EVENT = 'evt_0195b1f8-0000-7000-8000-000000000000';
