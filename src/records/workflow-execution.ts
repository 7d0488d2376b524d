import { z } from 'zod';
import { endTime, formatTime } from '../domain/clock.js';
import { defineRecord } from '../domain/define-record.js';
import { AppError, invalid, type Issue } from '../domain/errors.js';
import { METADATA_LINKS } from '../domain/links.js';
import { defineParts } from '../domain/parts.js';
import type { DomainContext } from '../domain/record-type.js';
import { EVERY_VALUE, METADATA_SENSITIVE, METADATA_SUBJECTS } from '../domain/subjects.js';
import { dictionary, label, partitionName, recordId, text, time } from '../domain/schema-parts.js';

/** REQ-DATA-002. */
const STATUSES = ['pending', 'running', 'completed', 'failed', 'cancelled'] as const;
const FINAL: readonly string[] = ['completed', 'failed', 'cancelled'];
const STEP_STATUSES = ['running', 'completed', 'failed', 'skipped'] as const;
/** A step that failed may be tried again; one that was completed or skipped is over. */
const STEP_MOVES: Readonly<Record<string, readonly string[]>> = {
  running: ['running', 'completed', 'failed', 'skipped'],
  failed: ['running'],
  completed: [],
  skipped: [],
};
const count = z.int().min(0).max(1_000_000);

/** `ErrorInfo`. */
const errorInfo = z.strictObject({
  code: label(),
  message: text(),
  step_id: label().optional(),
  retryable: z.boolean(),
  occurred_at: time().optional(),
});

const stepShape = {
  step_id: label(),
  step_name: label().optional(),
  agent: label().optional(),
  status: z.enum(STEP_STATUSES),
  completed_at: time().optional(),
  error: text().optional(),
};
/** `StepResult` as it is stored. */
const stepResult = z.strictObject({ ...stepShape, started_at: time(), output: dictionary().default({}) });
/** `StepResult` as it is submitted; the same `step_id` again moves that step on. */
const submittedStep = z.strictObject({
  ...stepShape,
  started_at: time().optional(),
  output: dictionary().optional(),
});

const workflowExecution = z.strictObject({
  execution_id: recordId(),
  workflow_name: partitionName(),
  version: label(),
  status: z.enum(STATUSES),
  started_at: time(),
  completed_at: time().optional(),
  initiated_by: label(),
  parameters: dictionary().default({}),
  current_step: count,
  total_steps: count,
  step_results: z.record(z.string(), stepResult),
  error_info: errorInfo.optional(),
  metadata: dictionary().default({}),
});
const submittedExecution = z.strictObject({
  workflow_name: partitionName(),
  version: label(),
  status: z.enum(STATUSES).default('pending'),
  total_steps: count.default(0),
  parameters: dictionary().default({}),
  initiated_by: label().optional(),
  started_at: time().optional(),
  metadata: dictionary().default({}),
});

export type WorkflowExecution = z.infer<typeof workflowExecution>;
export type WorkflowExecutionInput = z.input<typeof submittedExecution>;
export type StepResult = z.infer<typeof stepResult>;
export type StepResultInput = z.input<typeof submittedStep>;

function create(input: z.output<typeof submittedExecution>, context: DomainContext): WorkflowExecution {
  const startedAt = input.started_at ?? formatTime(context.nowMs);
  return {
    ...input,
    execution_id: context.id,
    initiated_by: input.initiated_by ?? context.actor,
    started_at: startedAt,
    ...(FINAL.includes(input.status) ? { completed_at: endTime(startedAt, context.nowMs) } : {}),
    current_step: 0,
    step_results: {},
  };
}

function settle(
  next: WorkflowExecution,
  previous: WorkflowExecution,
  context: DomainContext,
): WorkflowExecution {
  const ends = FINAL.includes(next.status) && !FINAL.includes(previous.status);
  const { error_info: error } = next;
  return {
    ...next,
    ...(ends ? { completed_at: endTime(next.started_at, context.nowMs) } : {}),
    ...(error === undefined ? {} : { error_info: { ...error, occurred_at: error.occurred_at ?? formatTime(context.nowMs) } }),
  }; // prettier-ignore
}

function check({ status, error_info: error }: WorkflowExecution): readonly Issue[] {
  return error !== undefined && status !== 'failed'
    ? [{ pointer: '/error_info', detail: 'belongs to a failed execution' }]
    : [];
}

interface StepTotals extends Record<string, unknown> {
  /** Distinct steps that were begun. */
  readonly begun: number;
}

const steps = defineParts<WorkflowExecution, z.output<typeof submittedStep>, StepResult, StepTotals>({
  path: 'steps',
  table: 'workflowsteps',
  verb: 'step',
  input: submittedStep,
  entry: stepResult,
  nameMember: 'step_id',
  // What a step made, and what went wrong in it, quotes what it worked on: about whom the record says.
  sensitive: { '/output': 'pii', '/error': 'pii' },
  shownAt: '/step_results/*',
  initial: { begun: 0 },
  example: { step_id: 'check', status: 'completed', agent: 'bot-7', output: { approved: true } },
  add: ({ record, previous, totals }, input, { nowMs }) => {
    const begun = totals.begun + (previous === undefined ? 1 : 0);
    const again = previous?.status === 'failed';
    const { error: _, completed_at: __, ...kept } = previous ?? { output: {} };
    const startedAt = input.started_at ?? (again ? undefined : previous?.started_at) ?? formatTime(nowMs);
    const completedAt =
      input.completed_at ?? (input.status === 'running' ? undefined : endTime(startedAt, nowMs));
    if (completedAt !== undefined && input.status === 'running')
      throw invalid([{ pointer: '/completed_at', detail: 'belongs to a step that is not running' }]);
    if (completedAt !== undefined && completedAt < startedAt)
      throw invalid([{ pointer: '/completed_at', detail: 'must not be before started_at' }]);
    if (FINAL.includes(record.status))
      throw new AppError('transition-not-allowed', `An execution that is ${record.status} takes no more steps.`); // prettier-ignore
    if (previous !== undefined && STEP_MOVES[previous.status]?.includes(input.status) !== true)
      throw new AppError('transition-not-allowed', `A step that is ${previous.status} cannot become ${input.status}.`); // prettier-ignore
    if (record.total_steps > 0 && begun > record.total_steps)
      throw invalid([{ pointer: '/step_id', detail: `must be one of ${String(record.total_steps)} steps` }]);
    const entry = {
      ...kept,
      ...input,
      output: input.output ?? previous?.output ?? {},
      started_at: startedAt,
      ...(completedAt === undefined ? {} : { completed_at: completedAt }),
    };
    const from = previous === undefined ? {} : { from: previous.status };
    return { entry, totals: { begun }, details: { name: input.step_id, status: { ...from, to: input.status } } }; // prettier-ignore
  },
  holds: {
    members: ['total_steps'],
    check: ({ total_steps: total }, { begun }) =>
      total === 0 || total >= begun
        ? []
        : [
            {
              pointer: '/total_steps',
              detail: `must be at least ${String(begun)}: so many steps were begun`,
            },
          ],
  },
  derive: (record, { begun }, entries) => ({
    ...record,
    current_step: begun,
    total_steps: Math.max(record.total_steps, begun),
    step_results: Object.fromEntries(entries.map((step) => [step.step_id, step])),
  }),
});

/** Runs of workflows with their steps (REQ-DATA-002). */
export const workflowExecutionType = defineRecord<WorkflowExecution, z.output<typeof submittedExecution>>({
  recordType: 'workflow_execution',
  collection: 'workflow-executions',
  table: 'workflows',
  idPrefix: 'wfx',
  idField: 'execution_id',
  schemaVersion: '1.0',
  migrations: [],
  schema: workflowExecution,
  createSchema: submittedExecution,
  create,
  orderedBy: 'started_at',
  partition: { kind: 'member', member: 'workflow_name' },
  summary: ['workflow_name', 'version', 'status', 'started_at', 'completed_at'],
  indexes: [
    { name: 'status', fields: ['status'] },
    { name: 'initiated_by', fields: ['initiated_by'] },
  ],
  immutable: [
    'execution_id', 'workflow_name', 'version', 'started_at', 'completed_at', 'initiated_by', 'current_step',
    'step_results',
  ], // prettier-ignore
  transitions: {
    field: 'status',
    moves: {
      pending: ['running', 'failed', 'cancelled'],
      running: ['completed', 'failed', 'cancelled'],
      completed: [],
      failed: [],
      cancelled: [],
    },
    mutableWhenFinal: ['metadata'],
  },
  settle,
  check,
  sensitive: {
    // A person, or what acts for one.
    '/initiated_by': 'pii',
    // Whatever the run is about: orders, applicants, accounts.
    '/parameters': 'pii',
    // Messages of errors repeat what they failed on.
    '/error_info/message': 'pii',
    ...METADATA_SENSITIVE,
  },
  subjects: { [EVERY_VALUE]: METADATA_SUBJECTS, '/initiated_by': ['/initiated_by'] },
  links: METADATA_LINKS,
  tiers: { coolAfterDays: 30, archiveAfterDays: 90 },
  retention: { years: 3, from: 'completed_at' },
  // REQ-STO-019: active ones.
  cache: { ttlMs: 60_000, when: ({ status }) => status === 'pending' || status === 'running' },
  actions: {},
  parts: steps,
  example: {
    workflow_name: 'invoice-approval',
    version: '2.1',
    total_steps: 3,
    parameters: { invoice: 'INV-1042', amount_eur: 18_400 },
    metadata: { region: 'eu' },
  },
});
