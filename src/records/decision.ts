import { z } from 'zod';
import { endTime, formatTime } from '../domain/clock.js';
import { defineAction, defineRecord } from '../domain/define-record.js';
import { AppError, type Issue } from '../domain/errors.js';
import { LIMITS } from '../domain/limits.js';
import { METADATA_LINKS } from '../domain/links.js';
import type { DomainContext } from '../domain/record-type.js';
import { EVERY_VALUE, METADATA_SENSITIVE, METADATA_SUBJECTS } from '../domain/subjects.js';
import {
  confidence,
  dictionary,
  label,
  recordId,
  sha256,
  text,
  time,
  title,
} from '../domain/schema-parts.js';
import { decisionFrom09 } from './older/decision-0-9.js';

/** REQ-DATA-001. */
const DECISION_TYPES = ['strategic', 'financial', 'technical', 'operational'] as const;
const STATUSES = ['queued', 'in_progress', 'completed', 'failed'] as const;
const VOTES = ['approve', 'reject', 'abstain', 'approve_with_conditions'] as const;
const FINAL: readonly string[] = ['completed', 'failed'];

const voteShape = {
  agent: label(),
  vote: z.enum(VOTES),
  confidence: confidence(),
  reasoning: text().optional(),
  conditions: z.array(text()).max(LIMITS.listItems).default([]),
};
/** Conditions and the vote that promises them go together. */
const conditionsStated = (vote: { vote: string; conditions: readonly string[] }): boolean =>
  vote.vote !== 'approve_with_conditions' || vote.conditions.length > 0;
const CONDITIONS_NEEDED = { path: ['conditions'], error: 'must not be empty with approve_with_conditions' };

/** `AgentVote` as it is stored. */
const storedVote = z
  .strictObject({ ...voteShape, timestamp: time() })
  .refine(conditionsStated, CONDITIONS_NEEDED);
/** `AgentVote` as it is submitted; `timestamp` defaults to now. */
const submittedVote = z
  .strictObject({ ...voteShape, timestamp: time().optional() })
  .refine(conditionsStated, CONDITIONS_NEEDED);

/** `DecisionOutcome`. */
const outcome = z.strictObject({
  decision: text().refine((value) => value.trim() !== '', 'must not be blank'),
  confidence: confidence(),
  action_items: z.array(text()).max(LIMITS.listItems).default([]),
  next_steps: text().optional(),
  impact_assessment: dictionary().default({}),
});

/** `DecisionProvenance`: where a decision came from and what it was made with. */
const provenance = z.strictObject({
  source: label(),
  derived_from: z.array(recordId()).max(LIMITS.listItems).default([]),
  policy_version: label().optional(),
  model: label().optional(),
  inputs_checksum: sha256().optional(),
  approved_by: label().optional(),
});

const decision = z.strictObject({
  decision_id: recordId(),
  decision_type: z.enum(DECISION_TYPES),
  title: title(),
  status: z.enum(STATUSES),
  created_at: time(),
  completed_at: time().optional(),
  created_by: label(),
  inputs: dictionary().default({}),
  agent_votes: z.array(storedVote).max(LIMITS.listItems).default([]),
  outcome: outcome.optional(),
  provenance: provenance.optional(),
  metadata: dictionary().default({}),
});

const createDecision = z.strictObject({
  decision_type: z.enum(DECISION_TYPES),
  title: title(),
  status: z.enum(STATUSES).default('queued'),
  created_at: time().optional(),
  completed_at: time().optional(),
  created_by: label().optional(),
  inputs: dictionary().default({}),
  agent_votes: z.array(submittedVote).max(LIMITS.listItems).default([]),
  outcome: outcome.optional(),
  provenance: provenance.optional(),
  metadata: dictionary().default({}),
});

export type Decision = z.infer<typeof decision>;
export type DecisionInput = z.input<typeof createDecision>;
export type AgentVote = z.infer<typeof storedVote>;
export type AgentVoteInput = z.input<typeof submittedVote>;
export type DecisionOutcome = z.infer<typeof outcome>;
export type DecisionOutcomeInput = z.input<typeof outcome>;
export type DecisionProvenance = z.infer<typeof provenance>;

function create(input: z.output<typeof createDecision>, context: DomainContext): Decision {
  const createdAt = input.created_at ?? formatTime(context.nowMs);
  const done = FINAL.includes(input.status);
  const completedAt = input.completed_at ?? (done ? endTime(createdAt, context.nowMs) : undefined);
  return {
    ...input,
    decision_id: context.id,
    created_at: createdAt,
    created_by: input.created_by ?? context.actor,
    agent_votes: input.agent_votes.map((vote) => stamped(vote, context.nowMs)),
    ...(completedAt === undefined ? {} : { completed_at: completedAt }),
  };
}

function stamped(vote: z.output<typeof submittedVote>, nowMs: number): AgentVote {
  return { ...vote, timestamp: vote.timestamp ?? formatTime(nowMs) };
}

/** One standing vote an agent; times in order; `completed_at` exactly when the decision is done. */
function check(data: Decision): readonly Issue[] {
  const issues: Issue[] = [];
  const agents = data.agent_votes.map((vote) => vote.agent);
  agents.forEach((agent, at) => {
    if (agents.indexOf(agent) !== at) issues.push({ pointer: `/agent_votes/${String(at)}/agent`, detail: 'has voted already' }); // prettier-ignore
  });
  if (data.completed_at !== undefined) {
    if (!FINAL.includes(data.status)) {
      issues.push({ pointer: '/completed_at', detail: 'belongs to a completed or failed decision' });
    } else if (data.completed_at < data.created_at) {
      issues.push({ pointer: '/completed_at', detail: 'must not be before created_at' });
    }
  }
  return issues;
}

const votes = defineAction<Decision, z.output<typeof submittedVote>>({
  verb: 'vote',
  input: submittedVote,
  example: {
    agent: 'cfo-agent',
    vote: 'approve',
    confidence: 0.8,
    reasoning: 'Pays for itself in two years.',
  },
  apply: (current, input, context) => {
    if (FINAL.includes(current.status)) {
      throw new AppError(
        'transition-not-allowed',
        `A decision that is ${current.status} takes no more votes.`,
      );
    }
    const vote = stamped(input, context.nowMs);
    const others = current.agent_votes.filter((standing) => standing.agent !== vote.agent);
    return { ...current, agent_votes: [...others, vote] };
  },
});

const decide = defineAction<Decision, DecisionOutcome>({
  verb: 'outcome',
  input: outcome,
  example: { decision: 'Open it in May', confidence: 0.9, action_items: ['Sign the lease'] },
  apply: (current, input) => {
    if (current.outcome !== undefined)
      throw new AppError('record-immutable', 'The outcome of a decision is final.');
    if (FINAL.includes(current.status)) {
      throw new AppError('record-immutable', `A decision that is ${current.status} is final.`);
    }
    return { ...current, outcome: input };
  },
});

/** Decisions with their votes, outcome and provenance (REQ-DATA-001). */
export const decisionType = defineRecord<Decision, z.output<typeof createDecision>>({
  recordType: 'decision',
  collection: 'decisions',
  table: 'decisions',
  idPrefix: 'dec',
  idField: 'decision_id',
  schemaVersion: '1.0',
  migrations: [decisionFrom09],
  schema: decision,
  createSchema: createDecision,
  create,
  orderedBy: 'created_at',
  partition: { kind: 'month-of-creation' },
  summary: ['decision_type', 'title', 'status', 'completed_at'],
  indexes: [
    { name: 'status', fields: ['status'] },
    { name: 'decision_type', fields: ['decision_type'] },
    { name: 'status.decision_type', fields: ['status', 'decision_type'] },
    { name: 'created_by', fields: ['created_by'] },
  ],
  immutable: [
    'decision_id', 'created_at', 'created_by', 'completed_at', 'agent_votes', 'outcome', 'provenance',
  ], // prettier-ignore
  transitions: {
    field: 'status',
    moves: {
      queued: ['in_progress', 'failed'],
      in_progress: ['completed', 'failed'],
      completed: [],
      failed: [],
    },
    mutableWhenFinal: ['metadata'],
  },
  settle: (next, previous, context) =>
    FINAL.includes(next.status) && !FINAL.includes(previous.status)
      ? { ...next, completed_at: endTime(next.created_at, context.nowMs) }
      : next,
  check,
  // What was decided, by which agents and with which votes is what the record is for: it stays clear.
  sensitive: {
    // A person, or what acts for one.
    '/created_by': 'pii',
    // Whatever was known of the matter, and of the people in it.
    '/inputs': 'pii',
    // Free words about a proposal and whoever made it.
    '/agent_votes/*/reasoning': 'pii',
    '/agent_votes/*/conditions/*': 'pii',
    // A person.
    '/provenance/approved_by': 'pii',
    ...METADATA_SENSITIVE,
  },
  subjects: {
    [EVERY_VALUE]: METADATA_SUBJECTS,
    '/created_by': ['/created_by'],
    '/agent_votes/*/reasoning': ['/created_by', '/agent_votes/*/agent'],
    '/agent_votes/*/conditions/*': ['/created_by', '/agent_votes/*/agent'],
    '/provenance/approved_by': ['/provenance/approved_by'],
  },
  links: ['/provenance/derived_from/*', ...METADATA_LINKS],
  tiers: { coolAfterDays: 30, archiveAfterDays: 90 },
  retention: { years: 7, from: 'created_at' },
  actions: { votes, outcome: decide },
  example: {
    decision_type: 'strategic',
    title: 'Open a second warehouse in Rotterdam',
    inputs: { budget_eur: 1_200_000, horizon_months: 18 },
    provenance: { source: 'board-meeting', derived_from: [], policy_version: '2026-03' },
    metadata: { region: 'eu' },
  },
});
