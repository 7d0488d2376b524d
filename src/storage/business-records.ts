import type { AgentState } from '../records/agent-state.js';
import type { Conversation, ConversationEntry } from '../records/conversation.js';
import type { Covenant } from '../records/covenant.js';
import type { Decision } from '../records/decision.js';
import type { BusinessMetric } from '../records/metric.js';
import type { WorkflowExecution } from '../records/workflow-execution.js';
import type { StoredRecord } from './manager-types.js';
import type { ShownPart } from './part-lister.js';

/** A decision as it is stored, with what a conditional change needs. */
export interface StoredDecision {
  readonly decision: Decision;
  readonly revision: number;
  readonly etag: string;
}

/** An agent's state as it is stored. */
export interface StoredAgentState {
  readonly state: AgentState;
  readonly id: string;
  readonly revision: number;
  readonly etag: string;
}

/** A workflow execution with its steps. */
export interface StoredWorkflowExecution {
  readonly execution: WorkflowExecution;
  readonly revision: number;
  readonly etag: string;
}

/** A metric with its current value. */
export interface StoredBusinessMetric {
  readonly metric: BusinessMetric;
  readonly revision: number;
  readonly etag: string;
}

/** A conversation with what its latest entries come to. */
export interface StoredConversation {
  readonly conversation: Conversation;
  readonly revision: number;
  readonly etag: string;
}

/** A covenant with its ledger and its recognitions. */
export interface StoredCovenant {
  readonly covenant: Covenant;
  readonly revision: number;
  readonly etag: string;
}

/** An entry of a conversation: a message as it stood after being posted, edited or reacted to. */
export type ListedMessage = ConversationEntry & ShownPart;

export interface MessageQuery {
  /** Inclusive, on the message's `timestamp`. */
  readonly from?: Date;
  /** 1 to 1,000; default 50. */
  readonly limit?: number;
  readonly cursor?: string;
}

export interface DecisionQuery {
  readonly status?: Decision['status'];
  readonly decisionType?: Decision['decision_type'];
  readonly createdBy?: string;
  /** Inclusive, on `created_at`. */
  readonly from?: Date;
  /** Exclusive, on `created_at`. */
  readonly to?: Date;
  /** 1 to 1,000; default 50. */
  readonly limit?: number;
  readonly cursor?: string;
}

/** A record that is a decision, typed. */
export function decisionOf(record: StoredRecord): StoredDecision {
  // The envelope was verified against its checksum and upgraded to the current schema.
  const decision = record.envelope.data as unknown as Decision;
  return { decision, revision: record.envelope.revision, etag: record.etag };
}

/** A record that is a workflow execution, typed. */
export function executionOf({ envelope, etag }: StoredRecord): StoredWorkflowExecution {
  const execution = envelope.data as unknown as WorkflowExecution;
  return { execution, revision: envelope.revision, etag };
}

/** A record that is a conversation, typed. */
export function conversationOf({ envelope, etag }: StoredRecord): StoredConversation {
  const conversation = envelope.data as unknown as Conversation;
  return { conversation, revision: envelope.revision, etag };
}

/** A record that is a metric, typed. */
export function metricOf({ envelope, etag }: StoredRecord): StoredBusinessMetric {
  const metric = envelope.data as unknown as BusinessMetric;
  return { metric, revision: envelope.revision, etag };
}

/** A record that is a covenant, typed. */
export function covenantOf({ envelope, etag }: StoredRecord): StoredCovenant {
  const covenant = envelope.data as unknown as Covenant;
  return { covenant, revision: envelope.revision, etag };
}
