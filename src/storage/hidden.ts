import type { Entropy } from '../domain/clock.js';
import { commitData, openingsIn } from '../domain/committed-form.js';
import type { RecordData, RecordType } from '../domain/record-type.js';
import type { Detail } from './detail-store.js';
import type { Hidden } from './manager-types.js';

/**
 * How a detail is shown to who may not see its sensitive values: as it was committed to when it was stored, so that the
 * checksum recomputes. What an earlier declaration or an earlier schema version had in other places or in clear is
 * committed to now, under salts that say nothing to anybody: `upgraded` is the detail's data in the current version.
 * Undefined where there is nothing to be hidden.
 */
export function hiddenOf(
  type: RecordType,
  { stored, secrets }: Detail,
  upgraded: RecordData,
  entropy: Entropy,
): Hidden | undefined {
  const isCurrent = stored.schema_version === type.schemaVersion;
  const base = isCurrent ? stored.data : upgraded;
  const { committed, secrets: late } = commitData(base, Object.keys(type.sensitive), entropy);
  const openings = new Map([...openingsIn(base, isCurrent ? secrets : {}), ...openingsIn(committed, late)]);
  return openings.size === 0 ? undefined : { committed, openings };
}
