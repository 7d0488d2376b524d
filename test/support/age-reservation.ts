import { LIMITS } from '../../src/domain/limits.js';
import { IDEMPOTENCY_TABLE, scopeOf } from '../../src/storage/idempotency.js';
import { keyHash } from '../../src/storage/keyed-result.js';
import { idempotencyKey, partitionKey } from '../../src/storage/keys.js';
import type { StoragePorts } from '../../src/storage/ports.js';
import { withRowChecksum } from '../../src/storage/row-checksum.js';

/**
 * Makes the reservation of a key as old as one that a retry may take over, so that a test need not wait for a minute.
 * Harmless when there is none. `route` is a path such as `/api/decisions`.
 */
export async function ageReservation(
  { tables }: StoragePorts,
  caller: { readonly tenant: string; readonly actor: string },
  route: string,
  key: string,
): Promise<void> {
  const hash = keyHash(caller.tenant, { key, scope: scopeOf(caller.actor, route) });
  const partition = partitionKey(caller.tenant, hash.slice(0, 2));
  const rowKey = idempotencyKey(hash);
  const row = await tables.find(IDEMPOTENCY_TABLE, partition, rowKey);
  if (row === undefined) return;
  const { row_checksum: _, ...properties } = row.properties;
  const reserved = Number(properties['reserved_ms']) - LIMITS.idempotencyTakeoverMs;
  const older = withRowChecksum(partition, rowKey, { ...properties, reserved_ms: reserved });
  await tables.commit(IDEMPOTENCY_TABLE, partition, [
    { kind: 'replace', rowKey, properties: older, etag: row.etag },
  ]);
}
