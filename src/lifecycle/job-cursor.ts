/** Cursors of jobs are JSON in the job's row, whose checksum holds them together; an empty one is the beginning. */
export function readCursor<T extends object>(cursor: string): Partial<T> {
  return cursor === '' ? {} : (JSON.parse(cursor) as T);
}
