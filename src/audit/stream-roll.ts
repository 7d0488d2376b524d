import { LIMITS } from '../domain/limits.js';
import { dayOf } from '../storage/keys.js';
import type { Head, Stage } from './ledger-state.js';

type StreamPlan = Omit<Stage['stream'], 'lines'>;

/**
 * Where the next lines go: on with the head's stream, or to a new one when the day of sealing has changed or the
 * stream is full (Azure allows 50,000 blocks in an append blob). A stream's day never goes backwards, whatever the
 * clock says, so that names sort in log order. Pure.
 */
export function planStream(tenant: string, last: Head['stream'] | undefined, nowMs: number): StreamPlan {
  const today = dayOf(nowMs);
  if (last === undefined) return { name: streamName(tenant, today, 1), offset: 0, create: true };
  const { day, number } = partsOf(last.name);
  const fresh = (name: string): StreamPlan => ({ name, offset: 0, create: true, seals: last.name });
  if (today > day) return fresh(streamName(tenant, today, 1));
  if (last.blocks >= LIMITS.streamBlocks) return fresh(streamName(tenant, day, number + 1));
  return { name: last.name, offset: last.offset, create: false };
}

/** `<tenant>/<YYYY-MM-DD of sealing>/<nnnn>.jsonl` in the container `audit`. */
function streamName(tenant: string, day: string, number: number): string {
  return `${tenant}/${day}/${String(number).padStart(4, '0')}.jsonl`;
}

function partsOf(name: string): { readonly day: string; readonly number: number } {
  const [day = '', file = ''] = name.split('/').slice(-2);
  return { day, number: Number.parseInt(file, 10) };
}
