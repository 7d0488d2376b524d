import { z } from 'zod';
import { LIMITS } from '../../domain/limits.js';
import type { Migration, RecordData } from '../../domain/record-type.js';
import { dictionary, label, recordId, sha256, text, time, title } from '../../domain/schema-parts.js';

/**
 * Decisions as schema version 0.9 had them. It borrows nothing from the current declaration, which may move on: a
 * version that was once stored does not change.
 */

/** What a vote was called, and what it is called since. */
const VOTES = {
  yes: 'approve',
  no: 'reject',
  abstain: 'abstain',
  conditional: 'approve_with_conditions',
} as const;

/** Certainty in whole percent. */
const percent = (): z.ZodType<number, number> => z.int().min(0).max(100);

const voteShape = {
  agent: label(),
  vote: z.enum(['yes', 'no', 'abstain', 'conditional']),
  certainty: percent(),
  comment: text().optional(),
  conditions: z.array(text()).max(LIMITS.listItems).default([]),
};
const conditionsStated = (vote: { vote: string; conditions: readonly string[] }): boolean =>
  vote.vote !== 'conditional' || vote.conditions.length > 0;
const CONDITIONS_NEEDED = { path: ['conditions'], error: 'must not be empty with conditional' };

const storedVote = z.strictObject({ ...voteShape, at: time() }).refine(conditionsStated, CONDITIONS_NEEDED);
const submittedVote = z
  .strictObject({ ...voteShape, at: time().optional() })
  .refine(conditionsStated, CONDITIONS_NEEDED);

const result = z.strictObject({
  text: text().refine((value) => value.trim() !== '', 'must not be blank'),
  certainty: percent(),
  actions: z.array(text()).max(LIMITS.listItems).default([]),
  next: text().optional(),
  impact: dictionary().optional(),
});

const provenance = z.strictObject({
  source: label(),
  derived_from: z.array(recordId()).max(LIMITS.listItems).default([]),
  policy_version: label().optional(),
  model: label().optional(),
  inputs_checksum: sha256().optional(),
  approved_by: label().optional(),
});

const common = {
  decision_type: z.enum(['strategic', 'financial', 'technical', 'operational']),
  title: title(),
  completed_at: time().optional(),
  context: dictionary().default({}),
  result: result.optional(),
  provenance: provenance.optional(),
  metadata: dictionary().default({}),
};
const status = z.enum(['queued', 'in_progress', 'completed', 'failed']);

const stored = z.strictObject({
  decision_id: recordId(),
  ...common,
  status,
  created_at: time(),
  created_by: label(),
  votes: z.array(storedVote).max(LIMITS.listItems).default([]),
});

const submitted = z.strictObject({
  ...common,
  status: status.default('queued'),
  created_at: time().optional(),
  created_by: label().optional(),
  votes: z.array(submittedVote).max(LIMITS.listItems).default([]),
});

type Result = z.output<typeof result>;
type Vote = z.output<typeof submittedVote>;

/** The member under its newer name, where it is there. */
const named = (name: string, value: unknown): RecordData => (value === undefined ? {} : { [name]: value });

function outcomeOf({ text: decision, certainty, actions, next, impact = {} }: Result): RecordData {
  return {
    decision,
    confidence: certainty / 100,
    action_items: actions,
    ...named('next_steps', next),
    impact_assessment: impact,
  };
}

function voteOf({ agent, vote, certainty, comment, conditions, at }: Vote): RecordData {
  return {
    agent,
    vote: VOTES[vote],
    confidence: certainty / 100,
    ...named('reasoning', comment),
    conditions,
    ...named('timestamp', at),
  };
}

/** The same for what was stored and for what is submitted: stored votes have all their times. */
function migrate({ votes, context, result: decided, ...same }: RecordData): RecordData {
  return {
    ...same,
    inputs: context,
    agent_votes: (votes as readonly Vote[]).map(voteOf),
    ...(decided === undefined ? {} : { outcome: outcomeOf(decided as Result) }),
  };
}

const TEXTS = {
  decision_type: 'strategic',
  title: 'Open a second warehouse in Rotterdam',
  context: { budget_eur: 1_200_000 },
  result: {
    text: 'Go ahead',
    certainty: 85,
    actions: ['Sign the lease'],
    next: 'Hire',
    impact: { jobs: 12 },
  },
  provenance: { source: 'board-meeting', derived_from: [] },
  metadata: { region: 'eu' },
};
const VOTE = { agent: 'cfo', vote: 'conditional', certainty: 70, conditions: ['within budget'] };

/** From 0.9 to 1.0: votes, inputs and outcome got the specification's names, and certainty became a share. */
export const decisionFrom09: Migration = {
  from: '0.9',
  to: '1.0',
  schema: stored,
  migrate,
  example: {
    ...TEXTS,
    decision_id: 'dec_01990000-0000-7000-8000-000000000000',
    status: 'completed',
    created_at: '2025-08-31T12:00:00.000Z',
    completed_at: '2025-09-02T12:00:00.000Z',
    created_by: 'ada',
    votes: [{ ...VOTE, comment: 'A fair price', at: '2025-09-01T12:00:00.000Z' }],
  },
  create: {
    schema: submitted,
    migrate,
    renamed: {
      '/inputs': '/context',
      '/agent_votes': '/votes',
      '/agent_votes/*/confidence': '/votes/*/certainty',
      '/agent_votes/*/reasoning': '/votes/*/comment',
      '/agent_votes/*/timestamp': '/votes/*/at',
      '/outcome': '/result',
      '/outcome/decision': '/result/text',
      '/outcome/confidence': '/result/certainty',
      '/outcome/action_items': '/result/actions',
      '/outcome/next_steps': '/result/next',
      '/outcome/impact_assessment': '/result/impact',
    },
    example: { ...TEXTS, votes: [VOTE] },
  },
  deprecated: { since: '2026-11-01T00:00:00.000Z', sunset: '2027-11-01T00:00:00.000Z' },
};
