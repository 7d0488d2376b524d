import { z } from 'zod';
import { formatTime } from '../domain/clock.js';
import { defineRecord } from '../domain/define-record.js';
import type { Issue } from '../domain/errors.js';
import { LIMITS } from '../domain/limits.js';
import type { DomainContext } from '../domain/record-type.js';
import { confidence, dictionary, label, partitionName, text, time } from '../domain/schema-parts.js';

/** REQ-DATA-004. */
const count = z.int().min(0);

/** `AgentMetrics`; what an agent does not measure it leaves out. */
const agentMetrics = z.strictObject({
  decisions_made: count.optional(),
  avg_confidence: confidence().optional(),
  avg_response_time_ms: z.number().min(0).optional(),
  success_rate: confidence().optional(),
  error_count: count.optional(),
  uptime_percentage: z.number().min(0).max(100).optional(),
});

const taskShape = { task_id: label(), description: text().optional(), status: label() };
/** `AgentTask` as it is stored. */
const storedTask = z.strictObject({ ...taskShape, started_at: time() });
/** `AgentTask` as it is submitted; `started_at` defaults to now. */
const submittedTask = z.strictObject({ ...taskShape, started_at: time().optional() });

const shape = {
  agent_id: label(),
  role: partitionName(),
  status: label(),
  /** Work under way in units of the agent's own; 1 is usually all it can take. */
  current_load: z.number().min(0).default(0),
  metrics: agentMetrics.default({}),
  configuration: dictionary().default({}),
};

const agentState = z.strictObject({
  ...shape,
  tasks: z.array(storedTask).max(LIMITS.listItems).default([]),
  last_updated: time(),
});
const submittedState = z.strictObject({
  ...shape,
  tasks: z.array(submittedTask).max(LIMITS.listItems).default([]),
});

export type AgentState = z.infer<typeof agentState>;
export type AgentStateInput = z.input<typeof submittedState>;

function create(input: z.output<typeof submittedState>, context: DomainContext): AgentState {
  const now = formatTime(context.nowMs);
  const tasks = input.tasks.map((task) => ({ ...task, started_at: task.started_at ?? now }));
  return { ...input, tasks, last_updated: now };
}

/** A task is listed once. */
function check({ tasks }: AgentState): readonly Issue[] {
  const ids = tasks.map(({ task_id }) => task_id);
  return ids.flatMap((id, at) =>
    ids.indexOf(id) === at
      ? []
      : [{ pointer: `/tasks/${String(at)}/task_id`, detail: 'is the id of another task of the list' }],
  );
}

/** What an agent is doing, put by the agent itself under its role and its name; the history is kept (REQ-DATA-004). */
export const agentStateType = defineRecord<AgentState, z.output<typeof submittedState>>({
  recordType: 'agent_state',
  collection: 'agents',
  table: 'agents',
  idPrefix: 'agt',
  schemaVersion: '1.0',
  migrations: [],
  schema: agentState,
  createSchema: submittedState,
  create,
  partition: { kind: 'member', member: 'role' },
  named: { member: 'agent_id' },
  summary: ['role', 'agent_id', 'status', 'current_load', 'last_updated'],
  indexes: [{ name: 'status', fields: ['status'] }],
  immutable: ['agent_id', 'role', 'last_updated'],
  settle: (next, _, context) => ({ ...next, last_updated: formatTime(context.nowMs) }),
  check,
  sensitive: {
    // Free words about work for somebody.
    '/tasks/*/description': 'pii',
    // Settings hold keys and addresses of what the agent may use.
    '/configuration': 'credential',
  },
  tiers: { coolAfterDays: 30, archiveAfterDays: 90 },
  retention: { years: 1, of: 'history', floor: false },
  cache: { ttlMs: 5 * 60_000 },
  actions: {},
  example: {
    agent_id: 'cfo-1',
    role: 'cfo',
    status: 'busy',
    current_load: 0.4,
    tasks: [{ task_id: 'budget-2027', description: 'Draft the budget', status: 'running' }],
    metrics: { decisions_made: 41, avg_confidence: 0.82, success_rate: 0.97 },
    configuration: { model: 'large' },
  },
});
