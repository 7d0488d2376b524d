import { z } from 'zod';
import { endTime, formatTime, parseTime } from '../domain/clock.js';
import { defineAction, defineRecord } from '../domain/define-record.js';
import { compareVersions } from '../domain/dotted-version.js';
import { AppError, invalid, type Issue } from '../domain/errors.js';
import { CHAIN_BEGIN, chainBreak, chained } from '../domain/hash-chain.js';
import { LIMITS } from '../domain/limits.js';
import type { DomainContext } from '../domain/record-type.js';
import { EVERY_VALUE } from '../domain/subjects.js';
import {
  covenant,
  IN_FORCE,
  STANDING,
  submittedAmendment,
  submittedCovenant,
  submittedEnding,
  submittedRecognition,
  submittedSupersession,
  submittedVersion,
  type Covenant,
  type CovenantLedger,
} from './covenant/schemas.js';

export type {
  Covenant,
  CovenantAmendment,
  CovenantAmendmentInput,
  CovenantInput,
  CovenantLedger,
  CovenantVersionInput,
  PeerRecognition,
  PeerRecognitionInput,
} from './covenant/schemas.js';

function create(input: z.output<typeof submittedCovenant>, { id, nowMs }: DomainContext): Covenant {
  const createdAt = input.created_at ?? formatTime(nowMs);
  const { version, status } = input;
  return {
    ...input,
    covenant_id: id,
    peer_recognitions: [],
    amendments: [],
    ledger_head: CHAIN_BEGIN,
    ...(IN_FORCE.includes(status) ? { in_force_version: version } : {}),
    version_history: [{ version, status, revision: 1, created_at: createdAt }],
    created_at: createdAt,
    updated_at: endTime(createdAt, nowMs),
  };
}

/** The ledger only grows, and nothing is added to one that was altered: that would lend credit to it. */
function assertGrown(next: Covenant, previous: Covenant, { id, revision = 1 }: DomainContext): void {
  if (chainBreak(previous.amendments, previous.ledger_head) !== undefined)
    throw new AppError('integrity-failure', 'The ledger of the covenant does not hold together.', { evidence: { id, revision: revision - 1, what: 'ledger' } }); // prettier-ignore
  if (previous.amendments.some(({ hash }, at) => next.amendments[at]?.hash !== hash))
    throw new AppError('record-immutable', 'Amendments are added and never changed.');
}

/** What follows from a change: which version is in force, and what has become of the others. */
function settle(next: Covenant, previous: Covenant, context: DomainContext): Covenant {
  assertGrown(next, previous, context);
  const { nowMs, revision = 1 } = context;
  const now = endTime(previous.updated_at, nowMs);
  const { version, status } = next;
  const known = previous.version_history;
  const history = version === previous.version ? known : [...known, { version, status, revision, created_at: now }]; // prettier-ignore
  const before = history.slice(0, -1).map((entry) => {
    // A draft waits beside the version in force; anything else takes its place.
    if (!STANDING.includes(entry.status) || (status === 'draft' && IN_FORCE.includes(entry.status))) return entry; // prettier-ignore
    return { ...entry, status: STANDING.includes(status) ? ('superseded' as const) : status, ended_at: now };
  });
  const last = history.slice(-1).map((entry) => ({ ...entry, status, ...(STANDING.includes(status) ? {} : { ended_at: entry.ended_at ?? now }) })); // prettier-ignore
  const { in_force_version: inForce, ...rest } = next;
  const standing = IN_FORCE.includes(status) ? version : status === 'draft' ? inForce : undefined;
  return {
    ...rest,
    ...(standing === undefined ? {} : { in_force_version: standing }),
    version_history: [...before, ...last],
    updated_at: now,
  };
}

function check(data: Covenant): readonly Issue[] {
  const { principles, verification, governance, peer_recognitions: recognitions } = data;
  const twice = (values: readonly (string | undefined)[], pointerOf: (at: number) => string): Issue[] =>
    values.flatMap(
      (value, at) =>
      value === undefined || values.indexOf(value) === at ? [] : [{ pointer: pointerOf(at), detail: 'is that of another one of the list' }], // prettier-ignore
    );
  const after = (first: string | undefined, second: string | undefined, pointer: string, what: string) =>
    first === undefined || second === undefined || first <= second ? [] : [{ pointer, detail: `must not be before ${what}` }]; // prettier-ignore
  const sound = chainBreak(data.amendments, data.ledger_head) === undefined;
  return [
    ...twice(principles.map((one) => one.principle_id), (at) => `/principles/${String(at)}/principle_id`),
    ...twice(principles.map((one) => one.name), (at) => `/principles/${String(at)}/name`),
    ...twice(recognitions.map((one) => JSON.stringify([one.peer, one.covenant_version])), (at) => `/peer_recognitions/${String(at)}/peer`),
    ...after(verification.verified_at, verification.expires_at, '/verification/expires_at', 'verified_at'),
    ...after(governance.last_reviewed_at, governance.next_review_at, '/governance/next_review_at', 'last_reviewed_at'),
    ...(sound ? [] : [{ pointer: '/amendments', detail: 'is not the ledger that was kept' }]),
  ]; // prettier-ignore
}

/** Throws `payload-too-large` where a list has no room for one more. */
function assertRoom(list: readonly unknown[], what: string): void {
  if (list.length >= LIMITS.listItems)
    throw new AppError('payload-too-large', `A covenant has at most ${String(LIMITS.listItems)} ${what}.`);
}

const EXAMPLE = {
  organization: {
    name: 'Meridian Cooperative',
    jurisdiction: 'NL',
    contact: { name: 'J. de Vries', email: 'covenant@meridian.example' },
  },
  compliance_standard: 'BIC-1.0',
  principles: [
    {
      principle_id: 'P1',
      name: 'Transparency',
      statement: 'Decisions and their reasons are open to members.',
    },
  ],
  governance: { model: 'elected board', quorum: 0.5, amendment_threshold: 'two thirds of the members' },
};

const versions = defineAction<Covenant, z.output<typeof submittedVersion>>({
  verb: 'version',
  input: submittedVersion,
  example: { ...EXAMPLE, version: '1.1' },
  allowedIn: STANDING,
  makesRevision: true,
  apply: (current, input) => {
    if (compareVersions(input.version, current.version) <= 0)
      throw invalid([{ pointer: '/version', detail: `must be higher than ${current.version}` }]);
    assertRoom(current.version_history, 'versions');
    return { ...current, ...input, schema_version: input.schema_version ?? current.schema_version };
  },
});

const amendments = defineAction<Covenant, z.output<typeof submittedAmendment>>({
  verb: 'amendment',
  input: submittedAmendment,
  example: { title: 'Quorum', description: 'Half of the members, not two thirds.', proposed_by: 'board' },
  allowedIn: STANDING,
  apply: (current, input, { nowMs }) => {
    assertRoom(current.amendments, 'amendments');
    const now = formatTime(nowMs);
    const entry = chained(current.amendments.at(-1), {
      ...input,
      covenant_version: current.version,
      effective_at: input.effective_at ?? now,
      recorded_at: now,
    });
    return {
      ...current,
      status: current.status === 'draft' ? 'draft' : 'amended',
      amendments: [...current.amendments, entry],
      ledger_head: entry.hash,
    };
  },
});

const recognitions = defineAction<Covenant, z.output<typeof submittedRecognition>>({
  verb: 'recognition',
  input: submittedRecognition,
  example: { peer: 'Harbour Guild' },
  allowedIn: STANDING,
  apply: (current, input, { nowMs }) => {
    const at = input.recognized_at ?? formatTime(nowMs);
    if ((parseTime(at) ?? 0) > nowMs + LIMITS.createdAtAheadMs)
      throw invalid([{ pointer: '/recognized_at', detail: 'must be at most 5 minutes ahead' }]);
    const { version, peer_recognitions: all } = current;
    const others = all.filter(({ peer, covenant_version }) => peer !== input.peer || covenant_version !== version); // prettier-ignore
    assertRoom(others, 'recognitions');
    return { ...current, peer_recognitions: [...others, { ...input, recognized_at: at, covenant_version: version }] }; // prettier-ignore
  },
});

const activation = defineAction<Covenant, Record<string, never>>({
  verb: 'activation',
  input: z.strictObject({}),
  example: {},
  allowedIn: ['draft'],
  apply: (current) => ({ ...current, status: 'active' }),
});

const supersession = defineAction<Covenant, z.output<typeof submittedSupersession>>({
  verb: 'supersession',
  input: submittedSupersession,
  example: { reason: 'Joined into another covenant.' },
  allowedIn: IN_FORCE,
  apply: (current, { reason, by }, { id, nowMs }) => {
    if (by === id) throw invalid([{ pointer: '/by', detail: 'must be another covenant' }]);
    const ending = {
      reason,
      ...(by === undefined ? {} : { superseded_by: by }),
      ended_at: formatTime(nowMs),
    };
    return { ...current, status: 'superseded', ending };
  },
});

const revocation = defineAction<Covenant, z.output<typeof submittedEnding>>({
  verb: 'revocation',
  input: submittedEnding,
  example: { reason: 'The cooperative was dissolved.' },
  allowedIn: STANDING,
  apply: (current, { reason }, { nowMs }) => {
    return { ...current, status: 'revoked', ending: { reason, ended_at: formatTime(nowMs) } };
  },
});

function ledger({ covenant_id, amendments: entries, ledger_head: head }: Covenant): CovenantLedger {
  const brokenAt = chainBreak(entries, head);
  return { covenant_id, entries, head, verified: brokenAt === undefined, ...(brokenAt === undefined ? {} : { broken_at: brokenAt }) }; // prettier-ignore
}

/** Covenants with their versions, the ledger of their amendments, and who recognizes them (REQ-DATA-005). */
export const covenantType = defineRecord<Covenant, z.output<typeof submittedCovenant>>({
  recordType: 'covenant',
  collection: 'covenants',
  table: 'covenants',
  idPrefix: 'cov',
  idField: 'covenant_id',
  schemaVersion: '1.0',
  migrations: [],
  schema: covenant,
  createSchema: submittedCovenant,
  create,
  orderedBy: 'created_at',
  partition: { kind: 'own', listedIn: 'index' },
  summary: ['organization_name', 'compliance_standard', 'version', 'status', 'in_force_version'],
  summaryFrom: { organization_name: '/organization/name' },
  indexes: [
    { name: 'status', fields: ['status'] },
    { name: 'compliance_standard', fields: ['compliance_standard'] },
    { name: 'status.compliance_standard', fields: ['status', 'compliance_standard'] },
  ],
  immutable: [
    'covenant_id', 'version', 'peer_recognitions', 'amendments', 'ledger_head', 'in_force_version', 'version_history',
    'ending', 'created_at', 'updated_at',
  ], // prettier-ignore
  transitions: {
    field: 'status',
    moves: { draft: ['active'], active: [], amended: [], superseded: [], revoked: [] },
    mutableWhenFinal: [],
    patchableIn: ['draft'],
  },
  settle,
  check,
  // What an organization publishes of itself stays clear, also who proposed an amendment: that is in the hashes of a
  // ledger that anybody may check, and may be an office instead of a name. The person to ask is a person.
  sensitive: {
    '/organization/contact/name': 'pii',
    '/organization/contact/email': 'pii',
    '/organization/contact/phone': 'pii',
  },
  subjects: { [EVERY_VALUE]: ['/organization/contact/email', '/organization/contact/name'] },
  tiers: {},
  retention: 'forever',
  actions: { versions, amendments, recognitions, activation, supersession, revocation },
  views: {
    ledger: (data) => ledger(data) as unknown as Record<string, unknown>,
    versions: ({ covenant_id, version, in_force_version, version_history: items }) => ({
      covenant_id,
      version,
      ...(in_force_version === undefined ? {} : { in_force_version }),
      items,
    }),
  },
  example: EXAMPLE,
});
