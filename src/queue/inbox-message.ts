import { z } from 'zod';
import { parseShape } from '../domain/apply-change.js';
import { AppError } from '../domain/errors.js';
import { LIMITS } from '../domain/limits.js';
import { isTenant } from '../storage/keys.js';
import type { InboxMessage } from '../storage/inbox.js';

const wellFormed = (text: string): boolean => text.isWellFormed();
const NOT_WELL_FORMED = 'must not contain half of a surrogate pair';

const message = z
  .strictObject({
    schema_version: z.literal('1.0'),
    tenant: z.string().refine(isTenant, 'must be the name of a tenant'),
    collection: z.string().min(1).max(LIMITS.labelChars),
    idempotency_key: z.string().regex(/^[\x21-\x7e]{1,255}$/, 'must be 1 to 255 visible ASCII characters'),
    actor: z.string().min(1).max(LIMITS.labelChars).refine(wellFormed, NOT_WELL_FORMED),
    data: z.unknown().optional(),
    // Storage has no blob of such a name and would say so in its own words.
    data_ref: z
      .string()
      .max(1024)
      .regex(/^\P{Cc}*$/u)
      .refine(wellFormed, NOT_WELL_FORMED)
      .optional(),
    sealed: z.string().min(1).max(LIMITS.messageBytes).optional(),
    operation_id: z.string().max(64).optional(),
  })
  .refine(
    ({ data, data_ref: ref, sealed }) => [data, ref, sealed].filter((one) => one !== undefined).length === 1,
    'must have either data or data_ref',
  )
  .refine(
    ({ sealed, operation_id: operation }) => sealed === undefined || operation !== undefined,
    'is sealed for an operation and names none',
  );

/**
 * A queue trigger's payload as an inbox message. The Functions worker parses JSON text by itself, so the payload is an
 * object when it is JSON and text when it is not. Throws `request-malformed` or `record-invalid`.
 */
export function parseInboxMessage(payload: unknown): InboxMessage {
  if (typeof payload === 'string' || Buffer.isBuffer(payload)) {
    throw new AppError('request-malformed', 'The message is not JSON.');
  }
  return parseShape(message, payload) as InboxMessage;
}

/** The tenant of a message that may be unreadable otherwise. */
export function tenantOf(payload: unknown): string | undefined {
  const tenant = (payload as { tenant?: unknown } | null | undefined)?.tenant;
  return typeof tenant === 'string' && isTenant(tenant) ? tenant : undefined;
}
