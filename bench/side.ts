/** What is measured. */
export const OPERATIONS = ['create', 'read', 'list', 'vote', 'batch', 'seal'] as const;
export type OperationName = (typeof OPERATIONS)[number];

/** Records of one batch, and events that one seal takes. */
export const BATCH = 100;
/** Summaries of one list page. */
export const PAGE = 50;

/** The platform or its floor: whoever does an operation while the clock runs. */
export interface Side<Name extends string = OperationName> {
  /** Off the clock, before a round: whatever the runs of each client will use up or find there. */
  ready(operation: Name, clients: number, runs: number): Promise<void>;
  /** One operation. */
  run(operation: Name, client: number): Promise<unknown>;
  /** Off the clock, after a round: waits until nothing of it is under way. */
  settle(): Promise<void>;
}

/** The tenant of each client where each has one of its own. All names are of one length: keys are bytes too. */
export function tenantOf(side: 'ours' | 'bare', client: number): string {
  return `${side}-${String(client).padStart(2, '0')}`;
}

/** What every create stores. */
export const BODY = {
  decision_type: 'strategic',
  title: 'Open a second warehouse in Rotterdam',
  inputs: { budget_eur: 1_200_000, horizon_months: 18 },
  provenance: { source: 'board-meeting', derived_from: [], policy_version: '2026-03' },
  metadata: { region: 'eu' },
} as const;

/** What every vote says: the same agent again and again, so that the record does not grow. */
export const VOTE = { agent: 'finance', vote: 'approve', confidence: 0.8, reasoning: 'It pays.' } as const;
