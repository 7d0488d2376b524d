import { isAppError } from '../../domain/errors.js';
import { isFault } from '../../storage/ports.js';
import { LIMITS } from '../../domain/limits.js';
import { identityOf, levelOf, told, type Finding, type FindingCode, type Suspicion } from './findings.js';
import { checkPiece, FIRST, type Piece } from './pieces.js';
import { Reads, type FsckTools } from './tools.js';

export interface FsckAsked {
  /** Makes anew what is derived and does not hold. */
  readonly repair: boolean;
  /** Hears of each finding once it is sure. */
  readonly report: (finding: Finding & { readonly repaired: boolean }) => void;
  /** Hears of how far it has come. */
  readonly progress: (said: string) => void;
}

export interface FsckResult {
  readonly pieces: number;
  /** Errors that are there at the end; those that were repaired are not. */
  readonly findings: number;
  readonly repaired: number;
  readonly info: number;
  /** Of findings and info, those that nobody heard of: there were too many of their code in a piece. */
  readonly untold: number;
}

export const NOTHING: FsckResult = { pieces: 0, findings: 0, repaired: 0, info: 0, untold: 0 };
const PROGRESS_PIECES = 200;

/**
 * Checks a tenant, a piece at a time. A finding is reported when it is found twice: at once where what it is about is old,
 * else when it has become so. Holds a piece, and of what is suspicious up to `LIMITS.fsckDoubts` pieces; when there are more, those
 * are settled before it goes on. Throws `storage-unavailable`.
 */
export async function fsckTenant(tools: FsckTools, tenant: string, asked: FsckAsked): Promise<FsckResult> {
  const reads = new Reads(tools);
  let result = NOTHING;
  let doubts: Doubt[] = [];
  const settle = async (): Promise<void> => {
    result = sum(result, await settled(reads, tenant, doubts, asked));
    doubts = [];
  };
  let piece: Piece | undefined = FIRST;
  while (piece !== undefined) {
    const { suspicions, more, next } = await checkPiece(reads, tenant, piece);
    if (suspicions.length > 0) doubts.push({ piece, suspicions, more });
    result = { ...result, pieces: result.pieces + 1 };
    if (result.pieces % PROGRESS_PIECES === 0) asked.progress(`${tenant}: ${String(result.pieces)} pieces, now ${nameOf(piece)}`); // prettier-ignore
    if (doubts.length >= LIMITS.fsckDoubts) await settle();
    piece = next;
  }
  await settle();
  return result;
}

interface Doubt {
  readonly piece: Piece;
  readonly suspicions: readonly Suspicion[];
  /** Findings beyond those, by code. */
  readonly more: ReadonlyMap<FindingCode, number>;
}

/**
 * Looks again at what was suspicious, repairs it if asked to, and says what there is. While something is repaired and there is
 * more than could be told, again.
 */
async function settled(
  reads: Reads,
  tenant: string,
  first: readonly Doubt[],
  asked: FsckAsked,
): Promise<FsckResult> {
  let result = NOTHING;
  const said = new Set<string>();
  for (let doubts = first; ;) {
    const sure = await confirmed(reads, tenant, doubts, asked);
    const standing = asked.repair ? await repaired(reads, tenant, sure) : sure;
    const left = new Set(findingsOf(standing).map(identityOf));
    const before = result.repaired;
    for (const finding of findingsOf(sure).filter((one) => !said.has(identityOf(one)))) {
      said.add(identityOf(finding));
      const mended = !left.has(identityOf(finding));
      asked.report({ ...told(finding), repaired: mended });
      result = sum(result, mended ? { ...NOTHING, repaired: 1 } : counted(finding.code, 1));
    }
    const crowded = standing.filter(({ more }) => more.size > 0);
    if (result.repaired === before || crowded.length === 0)
      return crowded.reduce((all, { more }) => sum(all, untold(more)), result);
    doubts = await looked(reads, tenant, crowded);
  }
}

/** An error is a finding; what is said for information is none. */
const counted = (code: FindingCode, count: number): FsckResult =>
  levelOf(code) === 'info' ? { ...NOTHING, info: count } : { ...NOTHING, findings: count };

const untold = (more: Doubt['more']): FsckResult =>
  [...more].reduce((all, [code, count]) => sum(all, { ...counted(code, count), untold: count }), NOTHING);

/** What is found a second time, after everything it is about has become old. */
async function confirmed(
  reads: Reads,
  tenant: string,
  doubts: readonly Doubt[],
  { progress }: FsckAsked,
): Promise<readonly Doubt[]> {
  const { clock } = reads.tools;
  let standing = await again(reads, tenant, doubts);
  const newest = Math.max(0, ...findingsOf(standing).map(({ sinceMs }) => sinceMs));
  // By its own clock the service may be ahead of us: what seems to be of the future is waited for no longer.
  const young = Math.min(newest + LIMITS.fsckYoungMs - clock.now(), LIMITS.fsckYoungMs);
  if (standing.length > 0 && young > 0) {
    progress(`${tenant}: something suspicious was just written and may be under way; looks again in ${String(Math.ceil(young / 1000))} s`); // prettier-ignore
    await clock.sleep(young);
    standing = await again(reads, tenant, standing);
  }
  return standing;
}

/** The pieces done again, with what is found in both. */
async function again(reads: Reads, tenant: string, doubts: readonly Doubt[]): Promise<readonly Doubt[]> {
  const now = await looked(reads, tenant, doubts);
  return doubts.flatMap((doubt, at) => {
    const { suspicions, more } = now[at] as Doubt;
    const known = new Set(doubt.suspicions.map(identityOf));
    const both = suspicions.filter((suspicion) => known.has(identityOf(suspicion)));
    const beyond = new Map<FindingCode, number>();
    for (const [code, count] of doubt.more) {
      const of = (all: readonly Suspicion[]): number => all.filter((one) => one.code === code).length;
      const now = (more.get(code) ?? 0) + of(suspicions) - of(both);
      if (now > 0) beyond.set(code, Math.min(count, now));
    }
    return both.length + beyond.size > 0 ? [{ piece: doubt.piece, suspicions: both, more: beyond }] : [];
  });
}

/** The pieces done anew, whatever is found in them; one for each. */
async function looked(reads: Reads, tenant: string, doubts: readonly Doubt[]): Promise<readonly Doubt[]> {
  reads.forget();
  const now: Doubt[] = [];
  for (const { piece } of doubts) {
    const { suspicions, more } = await checkPiece(reads, tenant, piece);
    now.push({ piece, suspicions, more });
  }
  return now;
}

/** Each finding once. */
function findingsOf(doubts: readonly Doubt[]): readonly Suspicion[] {
  const all = doubts.flatMap(({ suspicions }) => suspicions);
  return [...new Map(all.map((one) => [identityOf(one), one])).values()];
}

/** Findings about the log itself: while there are any, nothing that is held against it is touched. */
const OF_THE_LOG = /^(?:head|checkpoint|stream|log|bundle|tile)\./;

/**
 * Mends what can be, the log first: what only seemed wrong because the log could not be read is right again then. Resolves to
 * what is still found.
 */
async function repaired(reads: Reads, tenant: string, doubts: readonly Doubt[]): Promise<readonly Doubt[]> {
  const ofTheLog = ({ code }: Finding): boolean => OF_THE_LOG.test(code);
  let standing = doubts;
  const first = findingsOf(standing).filter(ofTheLog);
  if (await repair(first)) standing = await again(reads, tenant, standing);
  const all = findingsOf(standing);
  const logHolds = !all.some(ofTheLog);
  const rest = all.filter((one) => !ofTheLog(one) && (logHolds || !one.code.startsWith('event.')));
  return (await repair(rest)) ? again(reads, tenant, standing) : standing;
}

/** Whether there was anything to do. */
async function repair(findings: readonly Suspicion[]): Promise<boolean> {
  const repairs = new Map(findings.flatMap(({ repair: it }) => (it === undefined ? [] : [[it.name, it]])));
  for (const it of repairs.values()) {
    try {
      await it.run();
    } catch (error) {
      // Somebody changed it meanwhile, or it cannot be made whole: what is found again afterwards says so.
      const beaten = isFault(error, 'conflict', 'exists', 'missing', 'too-large');
      if (!beaten && !isAppError(error, 'integrity-failure')) throw error;
    }
  }
  return repairs.size > 0;
}

export function sum(a: FsckResult, b: FsckResult): FsckResult {
  return {
    pieces: a.pieces + b.pieces,
    findings: a.findings + b.findings,
    repaired: a.repaired + b.repaired,
    info: a.info + b.info,
    untold: a.untold + b.untold,
  };
}

function nameOf(piece: Piece): string {
  if (piece.kind === 'look') return `${piece.look} of ${piece.ref.table} ${piece.ref.partition}`;
  return piece.kind === 'bundle' ? `bundle ${String(piece.index)}` : piece.kind;
}
