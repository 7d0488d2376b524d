import { isAppError } from '../domain/errors.js';
import { agentStateType, type AgentState, type AgentStateInput } from '../records/agent-state.js';
import {
  conversationType,
  type ConversationInput,
  type ConversationMessageInput,
  type MessageEditInput,
  type MessageReactionInput,
} from '../records/conversation.js';
import {
  covenantType,
  type CovenantAmendmentInput,
  type CovenantInput,
  type CovenantLedger,
  type CovenantVersionInput,
  type PeerRecognitionInput,
} from '../records/covenant.js';
import {
  decisionType,
  type AgentVoteInput,
  type DecisionInput,
  type DecisionOutcomeInput,
} from '../records/decision.js';
import { metricType, type BusinessMetricInput, type MetricValueInput } from '../records/metric.js';
import {
  workflowExecutionType,
  type StepResultInput,
  type WorkflowExecutionInput,
} from '../records/workflow-execution.js';
import {
  conversationOf,
  covenantOf,
  decisionOf,
  executionOf,
  metricOf,
  type DecisionQuery,
  type ListedMessage,
  type MessageQuery,
  type StoredAgentState,
  type StoredBusinessMetric,
  type StoredConversation,
  type StoredCovenant,
  type StoredDecision,
  type StoredWorkflowExecution,
} from './business-records.js';
import type { CallContext, Page } from './manager-types.js';
import type { Summary } from './record-row.js';
import { UnifiedStorageManager } from './unified-storage-manager.js';

/**
 * The storage manager in the words of the business (REQ-STO-003): typed, per record type, usable as a library without
 * HTTP. Times in queries are Dates; everything stored is the specification's snake_case.
 *
 * Types are those of what is stored. A caller without `maySeeSensitive` finds commitments (`isCommitment`) in the places of
 * sensitive values, whatever their types say, and so does every caller in those of values that were erased.
 */
export class BusinessStorageManager extends UnifiedStorageManager {
  /** Stores a decision and returns its id. Throws `record-invalid` with pointers into the decision. */
  async storeDecision(decision: DecisionInput, call: CallContext): Promise<string> {
    return (await this.create(decisionType, decision, call)).envelope.id;
  }

  /** Stores up to 100 decisions and returns their ids in order (REQ-STO-020). */
  async batchStoreDecisions(
    decisions: readonly DecisionInput[],
    call: CallContext,
  ): Promise<readonly string[]> {
    return (await this.createBatch(decisionType, decisions, call)).items.map((head) => head.id);
  }

  /** Throws `record-not-found`. */
  async getDecision(id: string, call: CallContext): Promise<StoredDecision> {
    return decisionOf(await this.get(decisionType, id, call));
  }

  /** Like `getDecision`, but undefined when there is none. */
  async findDecision(id: string, call: CallContext): Promise<StoredDecision | undefined> {
    return undefinedIfMissing(this.getDecision(id, call));
  }

  /** The decision as it stood at a time. Throws `record-not-found` before its first revision. */
  async getDecisionAsOf(id: string, asOf: Date, call: CallContext): Promise<StoredDecision> {
    return decisionOf(await this.getAsOf(decisionType, id, asOf.toISOString(), call));
  }

  /** Summaries of decisions, newest first. */
  async listDecisions(query: DecisionQuery, call: CallContext): Promise<Page<Summary>> {
    const filters = { status: query.status, decision_type: query.decisionType, created_by: query.createdBy };
    return this.list(
      decisionType,
      {
        filters: definedOnly(filters),
        fromMs: query.from?.getTime(),
        toMs: query.to?.getTime(),
        limit: query.limit ?? 50,
        cursor: query.cursor,
      },
      call,
    );
  }

  /** Casts or replaces an agent's vote. */
  async voteOnDecision(id: string, vote: AgentVoteInput, call: CallContext): Promise<StoredDecision> {
    return decisionOf(await this.act(decisionType, id, 'votes', vote, undefined, call));
  }

  /** Records the final outcome. Throws `record-immutable` for a second one. */
  async recordOutcome(id: string, outcome: DecisionOutcomeInput, call: CallContext): Promise<StoredDecision> {
    return decisionOf(await this.act(decisionType, id, 'outcome', outcome, undefined, call));
  }

  /** Stores a workflow execution and returns its id. */
  async storeWorkflowExecution(execution: WorkflowExecutionInput, call: CallContext): Promise<string> {
    return (await this.create(workflowExecutionType, execution, call)).envelope.id;
  }

  /** Stores up to 100 workflow executions and returns their ids in order (REQ-STO-020). */
  async batchStoreWorkflowExecutions(
    executions: readonly WorkflowExecutionInput[],
    call: CallContext,
  ): Promise<readonly string[]> {
    return (await this.createBatch(workflowExecutionType, executions, call)).items.map((head) => head.id);
  }

  /** Begins a step or moves it on. Throws `transition-not-allowed` for a move that is none. */
  async recordStep(id: string, step: StepResultInput, call: CallContext): Promise<StoredWorkflowExecution> {
    return executionOf(await this.addPart(workflowExecutionType, id, 'steps', step, undefined, call));
  }

  /** Throws `record-not-found`. */
  async getWorkflowExecution(id: string, call: CallContext): Promise<StoredWorkflowExecution> {
    return executionOf(await this.get(workflowExecutionType, id, call));
  }

  /** Stores a metric with the values it has so far, and returns its id. */
  async storeBusinessMetric(metric: BusinessMetricInput, call: CallContext): Promise<string> {
    return (await this.create(metricType, metric, call)).envelope.id;
  }

  /** Stores up to 100 metrics and returns their ids in order (REQ-STO-020). */
  async batchStoreBusinessMetrics(
    metrics: readonly BusinessMetricInput[],
    call: CallContext,
  ): Promise<readonly string[]> {
    return (await this.createBatch(metricType, metrics, call)).items.map((head) => head.id);
  }

  /** Adds 1 to 1,000 values of any times, in any order. */
  async recordMetricValues(
    id: string,
    values: readonly MetricValueInput[],
    call: CallContext,
  ): Promise<StoredBusinessMetric> {
    return metricOf(await this.addPart(metricType, id, 'values', { values }, undefined, call));
  }

  /** Throws `record-not-found`. */
  async getBusinessMetric(id: string, call: CallContext): Promise<StoredBusinessMetric> {
    return metricOf(await this.get(metricType, id, call));
  }

  /** Stores a conversation with the messages it has so far, at most 100, and returns its id. */
  async storeConversation(conversation: ConversationInput, call: CallContext): Promise<string> {
    return (await this.create(conversationType, conversation, call)).envelope.id;
  }

  /** Stores up to 100 conversations and returns their ids in order (REQ-STO-020). */
  async batchStoreConversations(
    conversations: readonly ConversationInput[],
    call: CallContext,
  ): Promise<readonly string[]> {
    return (await this.createBatch(conversationType, conversations, call)).items.map((head) => head.id);
  }

  /** Throws `record-not-found`. */
  async getConversation(id: string, call: CallContext): Promise<StoredConversation> {
    return conversationOf(await this.get(conversationType, id, call));
  }

  /** Adds a message; one that is there already is left as it is. Throws `record-exists` for another of its `message_id`. */
  async addMessage(
    id: string,
    message: ConversationMessageInput,
    call: CallContext,
  ): Promise<StoredConversation> {
    return conversationOf(await this.addPart(conversationType, id, 'messages', message, undefined, call));
  }

  /** Throws `record-invalid` for a message that is not there. */
  async editMessage(id: string, edit: MessageEditInput, call: CallContext): Promise<StoredConversation> {
    return conversationOf(await this.addPart(conversationType, id, 'edits', edit, undefined, call));
  }

  /** Throws `record-invalid` for a message that is not there. */
  async reactToMessage(
    id: string,
    reaction: MessageReactionInput,
    call: CallContext,
  ): Promise<StoredConversation> {
    return conversationOf(await this.addPart(conversationType, id, 'reactions', reaction, undefined, call));
  }

  /** Every message, edit and reaction in the order they came. A page may be short; only a null cursor ends the list. */
  async listMessages(id: string, query: MessageQuery, call: CallContext): Promise<Page<ListedMessage>> {
    const { from, limit = 50, cursor } = query;
    const page = { fromMs: from?.getTime(), limit, cursor };
    const found = await this.listParts(conversationType, id, 'messages', page, call);
    return { ...found, items: found.items as readonly ListedMessage[] };
  }

  /** Stores a covenant and returns its id. */
  async storeCovenant(covenant: CovenantInput, call: CallContext): Promise<string> {
    return (await this.create(covenantType, covenant, call)).envelope.id;
  }

  /** Stores up to 100 covenants and returns their ids in order (REQ-STO-020). */
  async batchStoreCovenants(
    covenants: readonly CovenantInput[],
    call: CallContext,
  ): Promise<readonly string[]> {
    return (await this.createBatch(covenantType, covenants, call)).items.map((head) => head.id);
  }

  /** Throws `record-not-found`. */
  async getCovenant(id: string, call: CallContext): Promise<StoredCovenant> {
    return covenantOf(await this.get(covenantType, id, call));
  }

  /** Makes a higher version, in force at once unless it is a draft; earlier ones stay what they are. */
  async publishCovenantVersion(
    id: string,
    version: CovenantVersionInput,
    call: CallContext,
  ): Promise<StoredCovenant> {
    return covenantOf(await this.act(covenantType, id, 'versions', version, undefined, call));
  }

  /** Adds an entry to the ledger. Throws `transition-not-allowed` when the covenant has ended. */
  async amendCovenant(
    id: string,
    amendment: CovenantAmendmentInput,
    call: CallContext,
  ): Promise<StoredCovenant> {
    return covenantOf(await this.act(covenantType, id, 'amendments', amendment, undefined, call));
  }

  /** Records that a peer stands by the current version, in the place of what it said of that before. */
  async recognizeCovenant(
    id: string,
    recognition: PeerRecognitionInput,
    call: CallContext,
  ): Promise<StoredCovenant> {
    return covenantOf(await this.act(covenantType, id, 'recognitions', recognition, undefined, call));
  }

  /** The amendments in order, and whether they are what was recorded. */
  async getCovenantLedger(id: string, call: CallContext): Promise<CovenantLedger> {
    return (await this.getView(covenantType, id, 'ledger', call)).view as unknown as CovenantLedger;
  }

  /** Stores or replaces the state of an agent, under its role and its `agent_id`; returns the record's id. */
  async storeAgentState({ role, agent_id, ...state }: AgentStateInput, call: CallContext): Promise<string> {
    const at = { partition: role, name: agent_id };
    return (await this.put(agentStateType, at, state, {}, call)).envelope.id;
  }

  /** Stores up to 100 states of agents that have none yet, and returns their ids in order (REQ-STO-020). */
  async batchStoreAgentStates(
    states: readonly AgentStateInput[],
    call: CallContext,
  ): Promise<readonly string[]> {
    return (await this.createBatch(agentStateType, states, call)).items.map((head) => head.id);
  }

  /** Throws `record-not-found`. */
  async getAgentState(role: string, agentId: string, call: CallContext): Promise<StoredAgentState> {
    const { envelope, etag } = await this.getNamed(agentStateType, { partition: role, name: agentId }, call);
    const { id, revision, data } = envelope;
    return { state: data as unknown as AgentState, id, revision, etag };
  }
}

async function undefinedIfMissing<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (isAppError(error, 'record-not-found')) return undefined;
    throw error;
  }
}

function definedOnly(values: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).flatMap(([k, v]) => (v === undefined ? [] : [[k, v]])));
}
