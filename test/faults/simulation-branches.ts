import {
  isFault,
  type QueueMessage,
  type RowOperation,
  type RangeQuery,
  type Row,
} from '../../src/storage/ports.js';
import { QUEUES } from '../../src/storage/keys.js';
import type { PortCall } from '../support/wrap-ports.js';
import type { Counters } from './simulation-counters.js';
import type { SimulatedHost } from './simulation-host.js';
import type { BranchName } from './simulation-names.js';
import type { Outcome } from './simulation-network.js';

/** What a process does and learns that only happens when something went wrong before: the branches of recovery. */
export class BranchWatch {
  /** Revision rows of commits whose answer a process has not got, and the event it committed them under. */
  readonly #ambiguous = new WeakMap<SimulatedHost, Map<string, string>>();

  constructor(private readonly counters: Counters) {}

  observe(host: SimulatedHost, call: PortCall, told: Outcome): void {
    const branch = this.#branchOf(host, call, told);
    if (branch !== undefined) this.counters.add(`branch: ${branch}`);
  }

  #branchOf(host: SimulatedHost, call: PortCall, told: Outcome): BranchName | undefined {
    if (call.port === 'queues') return queueBranch(call, told);
    if (call.port === 'blobs') return blobBranch(call, told);
    if (call.method === 'commit') {
      this.#recordCommit(host, call, told);
      return commitBranch(call, told);
    }
    if (call.method === 'range') {
      const [, , { from, to }] = call.args as [string, string, RangeQuery];
      return from === 'o:' && to !== 'o;' ? 'pending rows read twice' : undefined;
    }
    return this.#witness(host, call, told);
  }

  #recordCommit(host: SimulatedHost, call: PortCall, told: Outcome): void {
    const { rowKey, properties } = (operationsOf(call).find(
      (step) => step.rowKey.startsWith('v:') && 'properties' in step,
    ) as { rowKey: string; properties: Row['properties'] } | undefined) ?? { rowKey: '', properties: {} };
    if (rowKey === '' || told.kind === 'answered' || !isFault(told.error, 'unavailable')) return;
    const known = this.#ambiguous.get(host) ?? new Map<string, string>();
    this.#ambiguous.set(host, known.set(rowKey, String(properties['event_id'])));
  }

  #witness(host: SimulatedHost, call: PortCall, told: Outcome): BranchName | undefined {
    const [, , rowKey] = call.args as [string, string, string];
    const eventId = this.#ambiguous.get(host)?.get(rowKey);
    if (eventId === undefined || told.kind === 'failed') return undefined;
    this.#ambiguous.get(host)?.delete(rowKey);
    if (told.value === undefined) return 'a commit without an answer did not happen';
    const same = (told.value as Row).properties['event_id'] === eventId;
    return same ? 'a commit without an answer happened' : 'a commit without an answer lost to another';
  }
}

function operationsOf({ args }: PortCall): readonly RowOperation[] {
  return args[2] as readonly RowOperation[];
}

function faultOf(told: Outcome): string {
  return told.kind === 'failed' && isFault(told.error) ? told.error.kind : '';
}

function commitBranch(call: PortCall, told: Outcome): BranchName | undefined {
  const [table] = call.args as [string];
  const operations = operationsOf(call);
  const [first] = operations;
  const fault = faultOf(told);
  if (table === 'idempotency') return reservationBranch(first, told.kind, fault);
  if (first?.rowKey.startsWith('r:') === true && table !== 'auditevents' && table !== 'operations') {
    const fence = fenceBranch(operations, fault);
    if (fence !== undefined) return fence;
  }
  if (table === 'jobs' && fault !== '' && fault !== 'unavailable') return 'a job was done by another process';
  if (table === 'operations' && first?.kind === 'replace' && fault === 'conflict')
    return 'an operation was ended by another delivery';
  if (table === 'actors' && fault === 'exists') return 'an actor was named by another';
  if (table === 'auditevents' && (fault === 'exists' || fault === 'missing'))
    return 'index rows were there already';
  if (table === 'system' && first?.kind === 'delete')
    return fault === '' ? 'a dirty row was removed' : 'a dirty row was announced again';
  if (operations.every(({ kind, rowKey }) => kind === 'delete' && rowKey.startsWith('o:')))
    return fault === 'missing' ? 'pending rows were gone already' : undefined;
  if (
    table !== 'keys' &&
    operations.some(({ rowKey }) => rowKey.startsWith('k:')) &&
    (fault === 'exists' || fault === 'conflict')
  )
    return 'a commit under a key lost to another';
  return undefined;
}

/** Rows of records are touched alone only by who collects orphans. */
function fenceBranch(operations: readonly RowOperation[], fault: string): BranchName | undefined {
  const [first] = operations;
  if (operations.length > 1) {
    const replaces = first?.kind === 'replace' && operations[1]?.rowKey.endsWith(':0000000001') === true;
    return replaces && fault === '' ? 'a create took the place of a void row' : undefined;
  }
  if (first?.kind === 'insert') return fault === '' ? 'an id was fenced off' : undefined;
  if (fault !== '') return fault === 'conflict' ? 'a fence was not needed' : undefined;
  return 'a record was fenced';
}

function reservationBranch(
  first: RowOperation | undefined,
  kind: Outcome['kind'],
  fault: string,
): BranchName | undefined {
  if (first?.kind === 'insert') return fault === 'exists' ? 'a key was reserved before' : undefined;
  if (kind === 'failed') return fault === 'unavailable' ? undefined : 'a key was taken over by another';
  if (first?.kind === 'delete' || first?.properties['state'] === 'open')
    return 'a key was opened after a refusal, or expired';
  return 'a key was taken over';
}

function blobBranch({ method, args }: PortCall, told: Outcome): BranchName | undefined {
  const [container, name] = args as [string, string];
  const fault = faultOf(told);
  const stage = container === 'ledger' && name.includes('/stages/');
  if (method === 'find' && stage && told.kind === 'answered')
    return told.value === undefined
      ? 'the stage of a head was gone'
      : 'a stage was finished by another round';
  if (method === 'putOnce' && fault === 'exists') return putBranch(name, stage);
  if (method === 'swap' && (fault === 'exists' || fault === 'conflict'))
    return name.endsWith('/checkpoint')
      ? 'a checkpoint was signed by others as well'
      : 'the commit of a head was lost';
  if (method === 'createAppend' && fault === 'exists') return 'a stream was there already';
  if (method === 'append' && fault === 'position') return 'lines were there already';
  if (method === 'append' && fault === 'sealed') return 'a stream was sealed already';
  if (method === 'seal' && told.kind === 'answered') return 'a stream was rolled';
  if (method === 'delete') return deletionBranch(name);
  if (method === 'acquireLease' && told.kind === 'answered' && told.value === undefined)
    return 'somebody else was sealing';
  return undefined;
}

function putBranch(name: string, stage: boolean): BranchName {
  if (stage) return 'a stage was there already';
  return name.includes('/tile/') ? 'a tile was there already' : 'a detail blob was there already';
}

function deletionBranch(name: string): BranchName {
  if (name.includes('/tile/')) return 'a partial tile was deleted';
  if (name.includes('/stages/')) return 'an old stage was deleted';
  if (name.includes('/_packs/')) return 'a pack was collected';
  return name.includes('/_inbox/') ? 'data of the inbox was collected' : 'an orphan was collected';
}

function queueBranch({ method, args }: PortCall, told: Outcome): BranchName | undefined {
  if (told.kind === 'failed') return undefined;
  if (method === 'send' && args[0] === QUEUES.inboxPoison) return 'a message was set aside';
  if (method === 'remove' && told.value === false) return 'a message was taken by another meanwhile';
  const again =
    method === 'receive' &&
    (told.value as readonly QueueMessage[]).some(({ dequeueCount }) => dequeueCount > 1);
  return again ? 'a message was delivered again' : undefined;
}
