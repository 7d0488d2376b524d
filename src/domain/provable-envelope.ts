import { discloseData } from './committed-form.js';
import type { Secrets } from './commitment.js';
import type { Envelope, StoredEnvelope } from './envelope.js';
import { AppError } from './errors.js';
import { isObject } from './merge-patch.js';
import { COMMITMENT_MEMBER } from './commitment.js';

/**
 * A stored revision for whoever checks it against its event (audit-ledger.md, The log): its schema version and data as they
 * were stored, so that the checksum over the committed form holds; the values at `pointers` are revealed, with their salts,
 * and all other sensitive values stay commitments. Throws `request-malformed` for a pointer at which there is no sensitive
 * value, `record-erased` for one whose value nobody has any more. Pure.
 */
export function provableEnvelope(
  stored: StoredEnvelope,
  secrets: Secrets,
  pointers: readonly string[],
): Envelope {
  const { sealed: _, data, ...head } = stored;
  const chosen: Record<string, Secrets[string]> = {};
  for (const pointer of pointers) {
    const secret = Object.hasOwn(secrets, pointer) ? secrets[pointer] : undefined;
    if (secret === undefined) throw nothingAt(data, pointer);
    chosen[pointer] = secret;
  }
  const salts = Object.fromEntries(Object.entries(chosen).map(([pointer, { salt }]) => [pointer, salt]));
  return {
    ...head,
    data: discloseData(data, chosen),
    ...(pointers.length === 0 ? {} : { salts }),
  };
}

function nothingAt(data: unknown, pointer: string): AppError {
  const tokens = pointer.split('/').slice(1);
  const value = tokens.reduce<unknown>((inner, token) => {
    const name = token.replaceAll('~1', '/').replaceAll('~0', '~');
    return (isObject(inner) || Array.isArray(inner)) && Object.hasOwn(inner, name)
      ? (inner as Record<string, unknown>)[name]
      : undefined;
  }, data);
  if (isObject(value) && Object.hasOwn(value, COMMITMENT_MEMBER))
    return new AppError('record-erased', 'A value that is to be disclosed was erased.');
  return new AppError(
    'request-malformed',
    'disclose must be the JSON pointer (RFC 6901) of a sensitive value that this revision has.',
  );
}
