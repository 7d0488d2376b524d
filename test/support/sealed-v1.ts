import { createHash, hkdfSync } from 'node:crypto';
import type { SealedSecrets, SealingContext, Secrets } from '../../src/domain/commitment.js';
import { sealedPlace, sealPayload } from '../../src/security/sealed-payload.js';
import { seededEntropy } from './entropy.js';

/** Seals as it was done before data subjects had keys; the product only opens such values. */
export function sealV1(wrapping: Uint8Array, context: SealingContext, secrets: Secrets): SealedSecrets {
  const key = Buffer.from(
    hkdfSync('sha256', wrapping, '', `business-records/sealed/v1/${context.tenant}`, 32),
  );
  const id = createHash('sha256').update(wrapping).digest('hex').slice(0, 8);
  return Object.fromEntries(
    Object.entries(secrets).map(([pointer, secret]) => {
      const payload = sealPayload(key, secret, sealedPlace(context, pointer), seededEntropy(pointer));
      return [pointer, `v1.${id}.${payload}`];
    }),
  );
}
