import { canonicalJson, sha256Hex, type Json } from '../../src/domain/canonical-json.js';
import type { RecordData } from '../../src/domain/record-type.js';
import type { Properties, RowOperation, StoragePorts } from '../../src/storage/ports.js';
import { withRowChecksum } from '../../src/storage/row-checksum.js';

/**
 * A decision as the release of schema version 0.9 wrote it: rows, blob and event put together here, by hand, and by no
 * code that writes records today.
 */
export interface OldDecision {
  readonly id: string;
  readonly checksum: string;
  readonly storedAt: string;
  readonly partitionKey: string;
  readonly blob: { readonly name: string; readonly bytes: Uint8Array };
  /** By row key. */
  readonly rows: Readonly<Record<string, Properties>>;
}

/** The time in the ids: 2025-08-31. */
const MONTH = '2025-08';
const CREATED_MS = 0x0198_ff00_0000;
const CREATED = new Date(CREATED_MS).toISOString();
const STORED_AT = new Date(CREATED_MS + 1).toISOString();
const INVERTED = String(9_999_999_999_999 - CREATED_MS);

const hex = (n: number, digits: number): string => n.toString(16).padStart(digits, '0');
const uuid = (n: number): string => `0198ff00-0000-7000-8000-${hex(n, 12)}`;

/** Data of version 0.9. */
export function oldData(n = 0, more: RecordData = {}): RecordData {
  return {
    decision_id: `dec_${uuid(n)}`,
    decision_type: 'financial',
    title: 'Sell the old press',
    status: 'queued',
    created_at: CREATED,
    created_by: 'grace',
    context: { price_eur: 12_500 },
    votes: [
      { agent: 'cfo', vote: 'yes', certainty: 29, conditions: [], at: '2025-08-31T10:00:00.000Z' },
      { agent: 'cto', vote: 'conditional', certainty: 100, comment: 'if it runs', conditions: ['it runs'], at: '2025-08-31T11:00:00.000Z' }, // prettier-ignore
    ],
    provenance: { source: 'board-meeting', derived_from: [] },
    metadata: { region: 'eu' },
    ...more,
  };
}

/** What makes it a final one. */
export const FINAL: RecordData = {
  status: 'completed',
  completed_at: '2025-09-01T08:00:00.000Z',
  result: {
    text: 'Sold',
    certainty: 7,
    actions: ['Invoice'],
    next: 'Clean the hall',
    impact: { eur: 12_500 },
  },
};

/** What reads show of `oldData` today. */
export function upgraded(data: RecordData): RecordData {
  const { context, votes: _votes, result, ...same } = data;
  return {
    ...same,
    inputs: context,
    agent_votes: [
      {
        agent: 'cfo',
        vote: 'approve',
        confidence: 0.29,
        conditions: [],
        timestamp: '2025-08-31T10:00:00.000Z',
      },
      { agent: 'cto', vote: 'approve_with_conditions', confidence: 1, reasoning: 'if it runs', conditions: ['it runs'], timestamp: '2025-08-31T11:00:00.000Z' }, // prettier-ignore
    ],
    ...(result === undefined
      ? {}
      : {
          outcome: {
            decision: 'Sold',
            confidence: 0.07,
            action_items: ['Invoice'],
            next_steps: 'Clean the hall',
            impact_assessment: { eur: 12_500 },
          },
        }),
  };
}

/** The decision number `n` of a tenant, which nobody has written yet. */
function oldDecision(tenant: string, n = 0, more: RecordData = {}): OldDecision {
  const data = oldData(n, more);
  const id = String(data['decision_id']);
  const eventId = `evt_${uuid(n)}`;
  const key = `${tenant}:${MONTH}`;
  const checksum = sha256Hex(canonicalJson(data as Json));
  const head = `"record_type":"decision","id":"${id}","tenant":"${tenant}","revision":1,"schema_version":"0.9"`;
  const text = `{${head},"stored_at":"${STORED_AT}","tier":"hot","checksum_algorithm":"SHA-256","checksum":"${checksum}","data":${JSON.stringify(data)}}`;
  const bytes = Buffer.from(text, 'utf8');
  const name = `${tenant}/decision/${MONTH}/${id}/1-${eventId}.json`;
  const listed = Object.fromEntries(
    ['decision_type', 'title', 'status', 'created_by', 'completed_at']
      .filter((member) => data[member] !== undefined)
      .map((member) => [member, String(data[member])]),
  );
  const common = { record_type: 'decision', id, revision: 1, schema_version: '0.9', tier: 'hot', checksum };
  const located = { event_id: eventId, action: 'create', blob: name, offset: 0, length: bytes.length };
  const { status, decision_type: kind } = listed;
  const indexKeys = [
    ['all', ''],
    ['status', status],
    ['decision_type', kind],
    ['status.decision_type', `${String(status)}=00${String(kind)}`],
    ['created_by', 'grace'],
  ].map(([index, value]) => `i:${String(index)}:${String(value)}:${INVERTED}:${id}`);
  const event = `{"action":"create","actor":"act_${uuid(0)}","checksum":"${checksum}","correlation_id":"then","details":{},"event_id":"${eventId}","event_type":"record.created","outcome":"success","record_type":"decision","resource_id":"${id}","resource_type":"decision","revision":1,"schema_version":"1.0","severity":"info","tenant":"${tenant}","timestamp":"${STORED_AT}"}`;
  const updated = { created_at: CREATED, updated_at: STORED_AT };
  const rows: Record<string, Properties> = {
    [`r:${id}`]: { ...listed, ...common, ...located, ...updated, index_keys: JSON.stringify(indexKeys) },
    [`v:${id}:0000000001`]: { ...common, ...located, stored_at: STORED_AT },
    ...Object.fromEntries(indexKeys.map((rowKey) => [rowKey, { ...common, ...updated, ...listed }])),
    [`o:${eventId}`]: { event, record_id: id, revision: 1, schema_version: '1.0' },
  };
  const sealed = Object.entries(rows).map(([rowKey, columns]) => [
    rowKey,
    withRowChecksum(key, rowKey, columns),
  ]);
  return {
    id,
    checksum,
    storedAt: STORED_AT,
    partitionKey: key,
    blob: { name, bytes },
    rows: Object.fromEntries(sealed) as Record<string, Properties>,
  };
}

/** Puts it where that release had put it, its partition in the directory and dirty, its event pending. */
export async function writeOldDecision(
  { tables, blobs }: StoragePorts,
  tenant: string,
  n = 0,
  more: RecordData = {},
): Promise<OldDecision> {
  const old = oldDecision(tenant, n, more);
  const shard = Number.parseInt(sha256Hex(tenant).slice(0, 2), 16) % 16;
  const dirty = `dirty-${String(shard).padStart(2, '0')}`;
  const upsert = (partition: string, rowKey: string, properties: Properties) =>
    tables.commit('system', `_system:${partition}`, [{ kind: 'upsert', rowKey, properties }]);
  await upsert('tenants', tenant, { tenant });
  await upsert(`partitions.${tenant}`, `decisions:${MONTH}`, { table: 'decisions', partition: MONTH });
  await upsert(dirty, `${tenant}:decisions:${MONTH}`, { tenant, table: 'decisions', partition: MONTH });
  await blobs.putOnce('records', old.blob.name, old.blob.bytes, 'application/json');
  const inserts = Object.entries(old.rows).map(([rowKey, properties]): RowOperation => ({
    kind: 'insert',
    rowKey,
    properties,
  }));
  await tables.commit('decisions', old.partitionKey, inserts);
  return old;
}
