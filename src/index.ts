/** The library: everything the platform does without HTTP. */
export { BusinessStorageManager } from './storage/business-storage-manager.js';
export type {
  DecisionQuery,
  ListedMessage,
  MessageQuery,
  StoredAgentState,
  StoredBusinessMetric,
  StoredConversation,
  StoredCovenant,
  StoredDecision,
  StoredWorkflowExecution,
} from './storage/business-records.js';
export { UnifiedStorageManager } from './storage/unified-storage-manager.js';
export type {
  CallContext,
  ListQuery,
  Page,
  StorageManagerOptions,
  StoredRecord,
  StoredRevision,
  WrittenBatch,
  WrittenRecord,
} from './storage/manager-types.js';
export type { Lineage, LineageDirection, LineageNode, LineageQuery } from './storage/lineage-reader.js';
export type { LineageEdge } from './domain/lineage.js';
export type { BlobStore, RecordTable, StoragePorts, WorkQueue } from './storage/ports.js';
export { assemblePlatform, storageNames } from './platform.js';
export type { Platform, PlatformOptions } from './platform.js';
export { logKeysOf } from './audit/log-keys.js';
export type { LogKeys } from './audit/log-keys.js';
export { openAzureStorage } from './azure/index.js';
export type { AzureStorage, AzureStorageOptions } from './azure/index.js';
export { isCommitment, type Commitment } from './domain/commitment.js';
export { ErasureBook } from './lifecycle/erasure-book.js';
export { HoldBook } from './lifecycle/hold-book.js';
export { everySubjectOf } from './domain/held.js';
export type { ActiveHold, HeldScope, HoldFacts } from './domain/held.js';
export type { Erasure, ErasureCertificate, ErasureRequest } from './domain/erasure.js';
export type { Hold, HoldRequest } from './domain/hold.js';
export { AppError, isAppError } from './domain/errors.js';
export type { ErrorCode, Issue } from './domain/errors.js';
export type { TenantConfiguration } from './domain/tenant-configuration.js';
export type { StoredConfiguration, TenantConfigurationStore } from './storage/tenant-configuration-store.js';
export type { TenantConfigurations } from './storage/tenant-configurations.js';
export type { CacheCounts } from './storage/timed-cache.js';
export { defineAction, defineRecord } from './domain/define-record.js';
export type { Migration, RecordDeclaration, RecordType } from './domain/record-type.js';
export { decisionType } from './records/decision.js';
export type {
  AgentVote,
  AgentVoteInput,
  Decision,
  DecisionInput,
  DecisionOutcome,
  DecisionOutcomeInput,
  DecisionProvenance,
} from './records/decision.js';
export { agentStateType } from './records/agent-state.js';
export type { AgentState, AgentStateInput } from './records/agent-state.js';
export { workflowExecutionType } from './records/workflow-execution.js';
export type {
  StepResult,
  StepResultInput,
  WorkflowExecution,
  WorkflowExecutionInput,
} from './records/workflow-execution.js';
export { metricType } from './records/metric.js';
export type { BusinessMetric, BusinessMetricInput, MetricValue, MetricValueInput } from './records/metric.js';
export { conversationType } from './records/conversation.js';
export type {
  Conversation,
  ConversationEntry,
  ConversationInput,
  ConversationMessage,
  ConversationMessageInput,
  MessageEditInput,
  MessageReactionInput,
} from './records/conversation.js';
export { covenantType } from './records/covenant.js';
export type {
  Covenant,
  CovenantAmendment,
  CovenantAmendmentInput,
  CovenantInput,
  CovenantLedger,
  CovenantVersionInput,
  PeerRecognition,
  PeerRecognitionInput,
} from './records/covenant.js';
export { RECORD_TYPES } from './records/registry.js';
export { backgroundClock, systemClock, systemEntropy } from './system.js';
export { createLog } from './telemetry/log.js';
