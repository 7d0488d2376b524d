import { z } from 'zod';
import { sha256 } from '../../domain/schema-parts.js';
import type { TreeHead } from '../log/proof.js';
import type { StreamPlace } from '../stream-lines.js';

const count = z.number().int().nonnegative();

const schema = z.strictObject({
  seen: z.strictObject({ size: count, root: sha256() }).optional(),
  bundle: count,
  until: count,
  stream: z.strictObject({ name: z.string().min(1), offset: count }).optional(),
});

/** What is remembered of a tenant's log from one turn to the next. */
export interface TurnState {
  /** The last checkpoint that held: every later one goes on from it. */
  readonly seen?: TreeHead | undefined;
  /** The bundle to go on with; 0 begins a roll. */
  readonly bundle: number;
  /** Bundles of this roll. What came since is of the next one, so that a roll ends however fast the log grows. */
  readonly until: number;
  /** Where the lines of that bundle begin; the beginning when absent. */
  readonly stream?: StreamPlace | undefined;
}

export const FIRST_TURN: TurnState = { bundle: 0, until: 0 };

/** The state in a text that `formatState` made; undefined for any other text. Pure. */
export function parseState(text: string): TurnState | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** Equal for equal states. Pure. */
export function formatState({ seen, bundle, until, stream }: TurnState): string {
  return JSON.stringify({
    ...(seen === undefined ? {} : { seen: { size: seen.size, root: seen.root } }),
    bundle,
    until,
    ...(stream === undefined ? {} : { stream: { name: stream.name, offset: stream.offset } }),
  });
}
