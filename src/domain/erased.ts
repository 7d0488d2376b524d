import { COMMITMENT_MEMBER, isCommitment, type Commitment, type SealedSecrets, type Secrets } from './commitment.js'; // prettier-ignore
import { commitmentPlaces } from './commitment-places.js';
import { replaceAt } from './committed-form.js';
import type { StoredEnvelope } from './envelope.js';
import { pathsOf, valueAt, type Path } from './pointer-patterns.js';
import type { RecordData, RecordType } from './record-type.js';

/** Said of a record in a text that must be some value: which commitment is meant. */
const mark = (commitment: Commitment): string => `${COMMITMENT_MEMBER}:${commitment.$commitment}`;

/**
 * What may stand for an erased value while a record is changed, so that schemas and rules find a value there: the
 * commitment itself where any object will do, a text that is like no other, a list of that text.
 */
const STAND_INS: readonly ((commitment: Commitment) => unknown)[] = [
  (commitment) => commitment,
  mark,
  (commitment) => [mark(commitment)],
];

/**
 * A change of a record some of whose sensitive values were erased: their commitments have no values any more, and yet
 * the record is one. `change` is given the record with values of their kind in their places; what is left of those in
 * what it makes is the commitment again, wherever it is now, and goes into the next revision as it is. An erased value that
 * is replaced is replaced. Costs a look at the sensitive places where nothing was erased.
 */
export function overErased(
  type: RecordType,
  current: RecordData,
  change: (current: RecordData) => RecordData,
): RecordData {
  const patterns = Object.keys(type.sensitive);
  const erased = pathsOf(current, patterns).filter((path) => isCommitment(valueAt(current, path)));
  if (erased.length === 0) return change(current);
  const next = change(withStandIns(type, current, erased));
  const commitments = new Map(
    erased.map((path) => [(valueAt(current, path) as Commitment).$commitment, valueAt(current, path)]),
  );
  return pathsOf(next, patterns).reduce<RecordData>(
    (data, path) => replaceAt(data, path, restored(valueAt(data, path), commitments)) as RecordData,
    next,
  );
}

/** The first stand-in for each erased value that the schema takes at its place. */
function withStandIns(type: RecordType, current: RecordData, erased: readonly Path[]): RecordData {
  const chosen = erased.map(() => 0);
  const standing = (): RecordData =>
    erased.reduce<RecordData>((data, path, at) => {
      const standIn = STAND_INS[chosen[at] ?? 0];
      return replaceAt(data, path, standIn?.(valueAt(current, path) as Commitment)) as RecordData;
    }, current);
  for (const _ of STAND_INS.slice(1)) {
    const issues = type.schema.safeParse(standing()).error?.issues ?? [];
    erased.forEach((path, at) => {
      if (issues.some((issue) => path.every((part, place) => issue.path[place] === part))) chosen[at] = (chosen[at] ?? 0) + 1; // prettier-ignore
    });
  }
  return standing();
}

/** The commitment that a value stands for; a value that does not is itself, without what a patch was merged into. */
function restored(value: unknown, commitments: ReadonlyMap<string, unknown>): unknown {
  const text: unknown = Array.isArray(value) && value.length === 1 ? value[0] : value;
  if (typeof text === 'string' && text.startsWith(`${COMMITMENT_MEMBER}:`))
    return commitments.get(text.slice(COMMITMENT_MEMBER.length + 1)) ?? value;
  if (!isCommitment(value)) return value;
  const { [COMMITMENT_MEMBER]: _, ...rest } = value as unknown as Record<string, unknown>;
  return Object.keys(rest).length === 0 ? value : rest;
}

/**
 * What was sealed of commitments that a committed form carries on from the revision `before`, at their places now. It
 * opens nowhere, and names the keys that are gone: a commitment of which nothing is sealed would be one that somebody has
 * tampered with.
 */
export function carriedSeals(
  committed: RecordData,
  secrets: Secrets,
  before: Pick<StoredEnvelope, 'data' | 'sealed'> | undefined,
): SealedSecrets {
  if (before?.sealed === undefined) return {};
  const carried = [...commitmentPlaces(committed)].filter(([pointer]) => !Object.hasOwn(secrets, pointer));
  if (carried.length === 0) return {};
  const { sealed } = before;
  const known = new Map([...commitmentPlaces(before.data)].map(([pointer, hash]) => [hash, sealed[pointer]]));
  return Object.fromEntries(
    carried.flatMap(([pointer, hash]) => {
      const text = known.get(hash);
      return text === undefined ? [] : [[pointer, text] as const];
    }),
  );
}
