import { linesFrom, type StreamPlace } from '../stream-lines.js';
import type { Reads } from './tools.js';

/**
 * The next `count` lines of a tenant's streams, without their newlines, fewer where there are no more; and the place
 * behind them. Holds those lines and one piece of a stream.
 */
export async function takeLines(
  reads: Reads,
  tenant: string,
  from: StreamPlace | undefined,
  count: number,
): Promise<{ readonly lines: readonly Uint8Array[]; readonly next: StreamPlace | undefined }> {
  const lines: Uint8Array[] = [];
  let next = from;
  for await (const { bytes, end } of linesFrom(reads.streams, tenant, from)) {
    lines.push(bytes);
    next = end;
    if (lines.length >= count) break;
  }
  return { lines, next };
}
