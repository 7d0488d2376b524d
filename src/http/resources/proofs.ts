import { AppError } from '../../domain/errors.js';
import { LIMITS } from '../../domain/limits.js';
import { provableEnvelope } from '../../domain/provable-envelope.js';
import { assertKnown } from '../query.js';
import type { Input, Resource } from '../resource.js';
import { plainText } from './audit-log.js';
import { idOf, readOf, typeOf } from './shared.js';

/** `/audit-events/{id}/proof`: that the log has the event (C2SP tlog-proof). */
export const eventProofResource: Resource = {
  GET: {
    permission: 'proof.read',
    run: async (input) => {
      const { proof } = await input.services.auditLog.proofs.ofEvent(idOf(input), input.call);
      return plainText(proof);
    },
  },
};

/**
 * `/{collection}/{id}/proof`: a revision as it was stored, the event that says so, and that the log has the event. Sensitive
 * values are commitments but for those that are to be disclosed, and those that a revision older than their encryption has
 * in clear; either takes a role that may see them.
 */
export const recordProofResource: Resource = {
  GET: {
    permission: 'proof.read',
    query: '*',
    run: async (input) => {
      const { services, call } = input;
      const { revision, disclose } = wantedOf(input);
      if (disclose.length > 0 && call.maySeeSensitive !== true)
        throw new AppError('forbidden', 'No role of the caller allows to disclose sensitive values.');
      const stored = await services.manager.getStored(typeOf(input), idOf(input), revision, call);
      // It is shown as it was stored, or its checksum would not be that of the event.
      if (stored.inClear && call.maySeeSensitive !== true)
        throw new AppError('forbidden', 'This revision is older than the encryption of its sensitive values, and no role of the caller allows to see them.'); // prettier-ignore
      const envelope = provableEnvelope(stored.stored, stored.secrets, disclose);
      const { event, proof } = await services.auditLog.proofs.ofCommitted(stored.eventId, call);
      const shown = {
        revision: stored.stored.revision,
        disclosed: disclose.length,
        sensitive: disclose.length > 0 || stored.inClear,
      };
      return {
        status: 200,
        body: { envelope, event, proof },
        read: readOf(input, 'proof', idOf(input), shown),
      };
    },
  },
};

function wantedOf({ query }: Input): { revision: number | undefined; disclose: readonly string[] } {
  const disclose = [...new Set(query.getAll('disclose'))];
  const others = new URLSearchParams([...query].filter(([name]) => name !== 'disclose'));
  assertKnown(others, ['revision']);
  if (disclose.length > LIMITS.disclosures)
    throw new AppError(
      'request-malformed',
      `At most ${String(LIMITS.disclosures)} values can be disclosed at once.`,
    );
  const text = query.get('revision');
  if (text !== null && !/^[1-9]\d{0,9}$/.test(text))
    throw new AppError('request-malformed', 'revision must be a whole number from 1 on.');
  return { revision: text === null ? undefined : Number(text), disclose };
}
