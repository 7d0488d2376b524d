import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import { eventText } from '../../src/domain/audit-event.js';
import { buildEvent } from '../../src/domain/build-event.js';
import type { Clock } from '../../src/domain/clock.js';
import { newId } from '../../src/domain/ids.js';
import { parseHead, stagePrefix } from '../../src/audit/ledger-state.js';
import { Sealer } from '../../src/audit/sealer.js';
import type { CorruptRow } from '../../src/audit/pending-row.js';
import { Directory, type PartitionRef } from '../../src/storage/directory.js';
import { dayOf, partitionKey, prefixRange } from '../../src/storage/keys.js';
import type { RecordTable, Row, RowOperation, StoragePorts } from '../../src/storage/ports.js';
import { readRange } from '../../src/storage/range.js';
import { rowIntact, withRowChecksum } from '../../src/storage/row-checksum.js';
import { seededEntropy } from '../support/entropy.js';
import { TEST_LOG_KEYS } from '../support/log-keys.js';
import { publishedFaults } from '../support/published-log.js';

export const TENANT = 'acme';
export const DECISIONS: PartitionRef = { tenant: TENANT, table: 'decisions', partition: '2026-01' };
const entropy = seededEntropy('events');

export interface Change {
  readonly record: string;
  readonly revision: number;
  readonly atMs: number;
  readonly details?: Record<string, string>;
  readonly tenant?: string;
}

/** The pending row of a change, as storage commits it. */
export function pendingChange(ref: PartitionRef, change: Change): RowOperation & { readonly kind: 'insert' } {
  const eventId = newId('evt', change.atMs, entropy);
  const { event } = buildEvent(
    {
      eventId,
      timestampMs: change.atMs,
      tenant: change.tenant ?? ref.tenant,
      actor: 'act_00000000-0000-7000-8000-000000000000',
      eventType: change.revision === 1 ? 'record.created' : 'record.updated',
      severity: 'info',
      action: 'write',
      resourceType: 'decision',
      resourceId: change.record,
      outcome: 'success',
      details: change.details ?? {},
      correlationId: 'test',
      change: { recordType: 'decision', revision: change.revision, checksum: 'c'.repeat(64) },
    },
    entropy,
  );
  const rowKey = `o:${eventId}`;
  const properties = {
    event: eventText(event),
    record_id: change.record,
    revision: change.revision,
    schema_version: '1.0',
  };
  const key = partitionKey(ref.tenant, ref.partition);
  return { kind: 'insert', rowKey, properties: withRowChecksum(key, rowKey, properties) };
}

/** Commits the pending rows of changes, a hundred at a time, after announcing their partition. */
export async function commitChanges(
  host: Pick<Host, 'ports' | 'directory'>,
  ref: PartitionRef,
  changes: readonly Change[],
): Promise<readonly string[]> {
  await host.directory.announce(ref);
  const rows = changes.map((change) => pendingChange(ref, change));
  for (let at = 0; at < rows.length; at += 100) {
    const key = partitionKey(ref.tenant, ref.partition);
    await host.ports.tables.commit(ref.table, key, rows.slice(at, at + 100));
  }
  return rows.map(({ rowKey }) => rowKey.slice(2));
}

/** One record's first revision each. */
export function creates(count: number, atMs: number, prefix = 'dec_'): Change[] {
  return Array.from({ length: count }, (_, n) => ({
    record: `${prefix}${String(n)}`,
    revision: 1,
    atMs: atMs + n,
  }));
}

/** One process: its own directory cache and sealer on shared storage. */
export interface Host {
  readonly ports: StoragePorts;
  readonly clock: Clock;
  readonly directory: Directory;
  readonly sealer: Sealer;
  readonly corrupt: CorruptRow[];
}

export function host(ports: StoragePorts, clock: Clock): Host {
  const directory = new Directory(ports.tables, clock);
  const corrupt: CorruptRow[] = [];
  const sealer = new Sealer({
    ports,
    directory,
    clock,
    signer: TEST_LOG_KEYS.signer,
    onCorrupt: (row) => corrupt.push(row),
  });
  return { ports, clock, directory, sealer, corrupt };
}

/** RFC 6962's recursive definition, as it is printed there. */
export function naiveRoot(leaves: readonly Uint8Array[]): string {
  const hash = (...parts: readonly Uint8Array[]): Buffer => {
    const digest = createHash('sha256');
    for (const part of parts) digest.update(part);
    return digest.digest();
  };
  const tree = (part: readonly Uint8Array[]): Buffer => {
    if (part.length === 0) return hash();
    if (part.length === 1) return hash(Uint8Array.of(0), part[0] as Uint8Array);
    let k = 1;
    while (k * 2 < part.length) k *= 2;
    return hash(Uint8Array.of(1), tree(part.slice(0, k)), tree(part.slice(k)));
  };
  return tree(leaves).toString('hex');
}

export interface StreamLine {
  readonly text: string;
  readonly event: { event_id: string; resource_id: string; timestamp: string; revision?: number };
}

/** Every line of a tenant's streams, in order. */
export async function streamLines(ports: StoragePorts, tenant = TENANT): Promise<StreamLine[]> {
  const { names } = await ports.blobs.list('audit', `${tenant}/`);
  const lines: StreamLine[] = [];
  for (const name of names) {
    const text = Buffer.from((await ports.blobs.find('audit', name))?.bytes ?? []).toString('utf8');
    if (text !== '') expect(text.endsWith('\n')).toBe(true);
    for (const line of text.split('\n').slice(0, -1)) {
      lines.push({ text: line, event: JSON.parse(line) as StreamLine['event'] });
    }
  }
  return lines;
}

export async function headOf(ports: StoragePorts, tenant = TENANT): Promise<ReturnType<typeof parseHead>> {
  const blob = await ports.blobs.find('ledger', `${tenant}/head`);
  return parseHead(tenant, blob?.bytes ?? new Uint8Array());
}

/** Every blob of the container `ledger`. */
export async function ledgerBlobs(ports: StoragePorts, prefix = ''): Promise<Map<string, Uint8Array>> {
  const blobs = new Map<string, Uint8Array>();
  let next: string | undefined;
  do {
    const page = await ports.blobs.list('ledger', prefix, next);
    for (const name of page.names)
      blobs.set(name, (await ports.blobs.find('ledger', name))?.bytes ?? new Uint8Array());
    next = page.next;
  } while (next !== undefined);
  return blobs;
}

export function rowsOf(tables: RecordTable, table: string, key: string, prefix: string): Promise<Row[]> {
  return readRange(tables, table, key, prefixRange(prefix));
}

/**
 * Holds the whole ledger of a tenant against what it promises: the expected events, each once in the stream and in
 * every index, contiguous, revisions in order, nothing pending, the root that of the lines.
 */
export async function assertSealed(
  ports: StoragePorts,
  expected: readonly string[],
  pendingIn: readonly PartitionRef[] = [DECISIONS],
  tenant = TENANT,
): Promise<void> {
  const lines = await streamLines(ports, tenant);
  const ids = lines.map(({ event }) => event.event_id);
  expect([...ids].sort()).toEqual([...expected].sort());
  const head = await headOf(ports, tenant);
  expect(head.tree_size).toBe(ids.length);
  expect(head.root).toBe(naiveRoot(lines.map(({ text }) => Buffer.from(text))));
  expect(
    publishedFaults(
      tenant,
      await ledgerBlobs(ports, `${tenant}/`),
      lines.map(({ text }) => text),
    ),
  ).toEqual([]);
  assertRevisionOrder(lines);
  for (const day of new Set(lines.map(({ event }) => dayOf(Date.parse(event.timestamp))))) {
    const key = partitionKey(tenant, day);
    const ofDay = lines.filter(({ event }) => dayOf(Date.parse(event.timestamp)) === day);
    for (const [prefix, copies] of [
      ['r:', 1],
      ['i:all:', 1],
      ['i:actor:', 1],
      ['i:resource_id:', 1],
      ['i:event_type:', 1],
      ['i:', 4],
    ] as const) {
      const rows = await rowsOf(ports.tables, 'auditevents', key, prefix);
      expect(rows).toHaveLength(ofDay.length * copies);
      for (const row of rows) {
        expect(rowIntact(row)).toBe(true);
        expect(row.properties['leaf_index']).toBeTypeOf('number');
        expect(row.properties['event']).toBe(lines[Number(row.properties['leaf_index'])]?.text);
      }
    }
    expect(await rowsOf(ports.tables, 'auditevents', key, 'o:')).toEqual([]);
  }
  for (const ref of pendingIn) {
    expect(await rowsOf(ports.tables, ref.table, partitionKey(tenant, ref.partition), 'o:')).toEqual([]);
  }
}

/** After a round that nobody disturbed, no stage is left but the head's. */
export async function assertNoOldStages(ports: StoragePorts, tenant = TENANT): Promise<void> {
  const { names } = await ports.blobs.list('ledger', stagePrefix(tenant));
  expect(names).toEqual([(await headOf(ports, tenant)).stage]);
}

export function assertRevisionOrder(lines: readonly StreamLine[]): void {
  const last = new Map<string, number>();
  for (const { event } of lines) {
    if (event.revision === undefined) continue;
    expect(event.revision).toBe((last.get(event.resource_id) ?? 0) + 1);
    last.set(event.resource_id, event.revision);
  }
}
