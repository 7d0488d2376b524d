import type { AuditDraft } from '../../src/audit/emitter.js';
import { newId } from '../../src/domain/ids.js';
import { decisionType } from '../../src/records/decision.js';
import { fingerprintOf, scopeOf } from '../../src/storage/idempotency.js';
import { QUEUES } from '../../src/storage/keys.js';
import type { CallContext } from '../../src/storage/manager-types.js';
import type { SimulatedHost } from './simulation-host.js';

export type ActKind =
  'create' | 'batch' | 'patch' | 'vote' | 'outcome' | 'inbox' | 'message' | 'bad-message' | 'event';

/** One thing that a client wants done once, however often it has to ask. */
export interface Act {
  /** Stands in whatever it writes, so that everything stored says who did it. */
  readonly name: string;
  readonly kind: ActKind;
  readonly tenant: string;
  readonly actor: string;
  readonly key: string | undefined;
  /** The record to be changed. */
  readonly target: string | undefined;
  readonly body: unknown;
  readonly ifMatch: string | undefined;
}

/** A revision as an answer told of it. */
export interface Told {
  readonly id: string;
  readonly revision: number;
  readonly checksum: string;
  readonly storedAt: string;
  /** Not known of the items of a batch. */
  readonly etag: string | undefined;
  readonly data: Readonly<Record<string, unknown>> | undefined;
}

export interface Answer {
  readonly told: readonly Told[];
  readonly operation?: string;
  readonly replayed: boolean;
}

const PATHS: Partial<Record<ActKind, string>> = {
  batch: '/batch',
  inbox: '/inbox',
  vote: '/votes',
  outcome: '/outcome',
};

/** Sends an act to a process once. Rejects as the platform does. */
export async function send(host: SimulatedHost, act: Act): Promise<Answer> {
  const { manager, inbox, emitter } = host.platform;
  const call = callOf(act);
  const target = act.target ?? '';
  switch (act.kind) {
    case 'create':
      return toldOf(await manager.create(decisionType, act.body, call));
    case 'patch':
      return toldOf(await manager.patch(decisionType, target, act.body, act.ifMatch, call));
    case 'vote':
      return toldOf(await manager.act(decisionType, target, 'votes', act.body, act.ifMatch, call));
    case 'outcome':
      return toldOf(await manager.act(decisionType, target, 'outcome', act.body, act.ifMatch, call));
    case 'batch': {
      const { items, replayed } = await manager.createBatch(decisionType, act.body as unknown[], call);
      const told = items.map(({ id, revision, checksum, stored_at }) => ({
        id,
        revision,
        checksum,
        storedAt: stored_at,
        etag: undefined,
        data: undefined,
      }));
      return { told, replayed };
    }
    case 'inbox': {
      const { operation, replayed } = await inbox.accept(decisionType, act.body, call);
      return { told: [], operation: operation.operation_id, replayed };
    }
    case 'message':
    case 'bad-message':
      await host.ports.queues.send(QUEUES.inbox, JSON.stringify(messageOf(act)));
      return { told: [], replayed: false };
    case 'event':
      await emitter.emit([act.body as AuditDraft]);
      return { told: [], replayed: false };
  }
}

export function toldOf(
  record:
    | Awaited<ReturnType<SimulatedHost['platform']['manager']['create']>>
    | Awaited<ReturnType<SimulatedHost['platform']['manager']['get']>>,
): Answer {
  const { envelope, etag } = record;
  const { id, revision, checksum, stored_at, data } = envelope;
  return {
    told: [{ id, revision, checksum, storedAt: stored_at, etag, data }],
    replayed: 'replayed' in record && record.replayed,
  };
}

function callOf(act: Act): CallContext {
  const call = { tenant: act.tenant, actor: act.actor, correlationId: act.name, maySeeSensitive: true };
  if (act.key === undefined) return call;
  const path = `/api/decisions/${act.target ?? ''}${PATHS[act.kind] ?? ''}`;
  return {
    ...call,
    idempotency: { key: act.key, scope: scopeOf(act.actor, path), fingerprint: fingerprintOf(act.body) },
  };
}

function messageOf(act: Act): Record<string, unknown> {
  return {
    schema_version: '1.0',
    tenant: act.tenant,
    collection: 'decisions',
    idempotency_key: act.name,
    actor: act.actor,
    data: act.kind === 'message' ? act.body : { ...(act.body as object), status: 'no such state' },
  };
}

/** The draft of an event without a change, by a host whose clocks and ids are its own. */
export function draftOf(name: string, tenant: string, actor: string, host: SimulatedHost): AuditDraft {
  const timestampMs = host.clock.now();
  return {
    eventId: newId('evt', timestampMs, host.entropy),
    timestampMs,
    tenant,
    actorName: actor,
    eventType: 'external',
    severity: 'info',
    action: 'note',
    resourceType: 'note',
    resourceId: name,
    outcome: 'success',
    details: {},
    correlationId: name,
    ipAddress: '192.0.2.1',
  };
}
