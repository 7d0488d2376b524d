import { LIMITS } from '../domain/limits.js';
import { isFault, type RecordTable, type RowOperation } from '../storage/ports.js';

/** Row operations that are only ever applied together, and how to see that they were. */
export interface Unit {
  readonly operations: readonly RowOperation[];
  /** The row that is there, or is gone, exactly when the unit was applied. */
  readonly proof: { readonly rowKey: string; readonly gone: boolean };
  /** What to do when the unit is refused and yet was not applied: something else was there. Nothing if left out. */
  readonly force?: readonly RowOperation[];
}

export interface UnitTarget {
  readonly tables: RecordTable;
  readonly table: string;
  readonly partitionKey: string;
  /**
   * True when everybody applies these very units in this very order, so that those applied are always the first
   * ones: an applied unit then vouches for all before it.
   */
  readonly ordered: boolean;
  /** Called before each transaction. */
  readonly before?: () => Promise<void>;
}

/** What a transaction carries for each operation besides its properties, generously. */
const OPERATION_BYTES = 3 * 1024;

/**
 * Applies units, many in a transaction, skipping those that were applied before: a transaction refused with `exists`
 * or `missing` is halved until the units at fault stand alone. Applying twice, or by several at once, is harmless.
 * Faults: `unavailable`.
 */
export async function applyUnits(target: UnitTarget, units: readonly Unit[]): Promise<void> {
  for (const batch of batches(units)) await applyBatch(target, batch);
}

async function applyBatch(target: UnitTarget, batch: readonly Unit[]): Promise<void> {
  const [first] = batch;
  const last = batch.at(-1);
  if (first === undefined || last === undefined) return;
  try {
    await target.before?.();
    await target.tables.commit(
      target.table,
      target.partitionKey,
      batch.flatMap(({ operations }) => operations),
    );
  } catch (error) {
    const refused = isFault(error, 'exists', 'missing');
    if (!refused && !(isFault(error, 'too-large') && batch.length > 1)) throw error;
    if (batch.length === 1) return settleRefused(target, first);
    if (refused && target.ordered && (await wasApplied(target, last))) return;
    const half = Math.ceil(batch.length / 2);
    await applyBatch(target, batch.slice(0, half));
    await applyBatch(target, batch.slice(half));
  }
}

async function settleRefused(target: UnitTarget, unit: Unit): Promise<void> {
  if (unit.force === undefined || (await wasApplied(target, unit))) return;
  try {
    await target.tables.commit(target.table, target.partitionKey, unit.force);
  } catch (error) {
    // Somebody else applied the unit between our look and our commit.
    if (!isFault(error, 'missing')) throw error;
  }
}

async function wasApplied(target: UnitTarget, unit: Unit): Promise<boolean> {
  const row = await target.tables.find(target.table, target.partitionKey, unit.proof.rowKey);
  return (row === undefined) === unit.proof.gone;
}

/** Whole units, at most 100 rows and 4 MiB a transaction; the same units always make the same transactions. */
function* batches(units: readonly Unit[]): Generator<readonly Unit[]> {
  let batch: Unit[] = [];
  let rows = 0;
  let bytes = 0;
  for (const unit of units) {
    const size = sizeOf(unit.operations);
    const full =
      rows + unit.operations.length > LIMITS.transactionRows || bytes + size > LIMITS.transactionBytes;
    if (full && batch.length > 0) {
      yield batch;
      batch = [];
      rows = 0;
      bytes = 0;
    }
    batch.push(unit);
    rows += unit.operations.length;
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

function sizeOf(operations: readonly RowOperation[]): number {
  return operations.reduce(
    (sum, operation) =>
      sum +
      OPERATION_BYTES +
      ('properties' in operation ? Buffer.byteLength(JSON.stringify(operation.properties)) : 0),
    0,
  );
}
