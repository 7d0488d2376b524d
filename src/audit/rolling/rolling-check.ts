import { LIMITS } from '../../domain/limits.js';
import { TILE_WIDTH } from '../log/tiles.js';
import { linesFrom, type StreamPlace } from '../stream-lines.js';
import type { LeafFault } from '../leaf-verdict.js';
import { checkBundle } from './check-bundle.js';
import { checkCheckpoint, type Standing } from './check-checkpoint.js';
import { Mismatches, type Mismatch } from './mismatch.js';
import { FIRST_TURN, formatState, parseState, type TurnState } from './turn-state.js';
import { Turn, type RollingTools } from './turn.js';

/** What one look at a tenant's log came to. */
export interface TurnReport {
  /** To be given to the next one. */
  readonly state: string;
  /** Each thing once, and of many the first. */
  readonly mismatches: readonly Mismatch[];
  readonly counts: Readonly<Record<'bundles' | 'events' | 'rows' | 'rolls' | 'mismatches', number>>;
}

/**
 * Verifies logs a part at a time, by what anybody could verify them by who reads storage (audit-ledger.md, Checking). A
 * turn looks at a log's checkpoint, and at up to `LIMITS.verifyBundles` bundles from where the last turn ended: after some
 * turns it has rolled over all of it and begins again. It writes nothing.
 */
export class RollingCheck {
  constructor(private readonly tools: RollingTools) {}

  /**
   * One turn. `remembered` is the state of the last one, undefined for none. Looks at one bundle at least, also when time
   * is up. Throws `storage-unavailable`; what does not hold is in the report.
   */
  async turn(tenant: string, remembered: string | undefined, timeIsUp: () => boolean): Promise<TurnReport> {
    const mismatches = new Mismatches(tenant);
    const turn = new Turn(this.tools, tenant, mismatches.found);
    const before = remembered === undefined ? FIRST_TURN : parseState(remembered);
    if (before === undefined) mismatches.found('state.altered', `verify-logs ${tenant}`, 'it has another shape'); // prettier-ignore
    const { seen, ...at } = before ?? FIRST_TURN;
    const standing = await checkCheckpoint(turn, seen);
    const walked = standing === undefined ? { ...NOTHING, ...at } : await walk(turn, standing, at, timeIsUp);
    const { bundle, until, stream, bundles, events, rows, rolls } = walked;
    const next = { seen: standing?.sound === true ? standing.tree : seen, bundle, until, stream };
    const counts = { bundles, events, rows, rolls, mismatches: mismatches.count };
    return { state: formatState(next), mismatches: mismatches.first, counts };
  }
}

type Walked = Omit<TurnState, 'seen'> & Omit<TurnReport['counts'], 'mismatches'>;

/** Behind every stream. */
const NOWHERE: StreamPlace = { name: '~', offset: 0 };

const NOTHING = { bundles: 0, events: 0, rows: 0, rolls: 0 };

/** From where the last turn ended, up to the end of the roll or of what a turn may take. */
async function walk(
  turn: Turn,
  standing: Standing,
  { bundle: from, until: end, stream: place }: Omit<TurnState, 'seen'>,
  timeIsUp: () => boolean,
): Promise<Walked> {
  const all = Math.ceil(standing.tree.size / TILE_WIDTH);
  if (all === 0) return { ...NOTHING, bundle: 0, until: 0 };
  // A log that has become shorter than the roll has come is begun again.
  const goesOn = from > 0 && from < Math.min(end, all);
  let [bundle, stream] = goesOn ? [from, place] : [0, undefined];
  const until = goesOn ? Math.min(end, all) : all;
  // Without a place there were no lines up to here.
  const lines = linesFrom(turn.streams, turn.tenant, bundle > 0 ? (stream ?? NOWHERE) : undefined);
  let { bundles, events, rows } = NOTHING;
  let bytes = 0;
  let last: LeafFault | undefined;
  do {
    const looked = await checkBundle(turn, standing, bundle, lines, last);
    bundle += 1;
    stream = looked.stream ?? stream;
    bundles += 1;
    events += looked.leaves;
    rows += looked.rows;
    bytes += looked.bytes;
    last = looked.last;
  } while (bundle < until && bundles < LIMITS.verifyBundles && bytes < LIMITS.verifyBytes && !timeIsUp());
  await lines.return(undefined);
  const counts = { bundles, events, rows };
  return bundle < until
    ? { ...counts, rolls: 0, bundle, until, stream }
    : { ...counts, rolls: 1, bundle: 0, until: 0, stream: undefined };
}
