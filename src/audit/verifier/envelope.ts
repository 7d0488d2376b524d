import type { Malformed } from '../log/encoding.js';
import { isMembers } from './committed-data.js';
import type { ProvenEvent } from './event-proof.js';

type Members = Readonly<Record<string, unknown>>;

/** An envelope as it is shown, in the form it was stored in (http-api.md, the envelope). */
export interface ShownEnvelope {
  readonly record_type: string;
  readonly id: string;
  readonly tenant: string;
  readonly revision: number;
  readonly schema_version: string;
  readonly stored_at: string;
  readonly tier: string;
  readonly checksum: string;
  readonly data: Members;
  readonly salts: Members;
}

/** Of an envelope, what is in no event: where a record lies now, and which version of its type's schema it was stored in. */
export const UNPROVEN: readonly string[] = ['schema_version', 'tier'];

const text = (value: unknown): boolean => typeof value === 'string' && value !== '';
const MEMBERS: Readonly<Record<string, (value: unknown) => boolean>> = {
  record_type: text,
  id: text,
  tenant: text,
  revision: (value) => Number.isSafeInteger(value) && (value as number) > 0,
  schema_version: (value) => typeof value === 'string' && /^\d{1,9}\.\d{1,9}$/.test(value),
  stored_at: text,
  tier: (value) => ['hot', 'cool', 'archive'].includes(value as string),
  checksum_algorithm: (value) => value === 'SHA-256',
  checksum: (value) => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value),
  data: isMembers,
};

/** The envelope, if it is exactly one: every member there and sound, and no other. */
export function shownEnvelope(value: unknown): ShownEnvelope | Malformed {
  if (!isMembers(value)) return { malformed: 'has no envelope' };
  const { salts = {}, stored_schema_version: stored, ...head } = value;
  if (stored !== undefined && stored !== head['schema_version'])
    return { malformed: 'shows the record in another schema version than it was stored in, which no checksum is of' }; // prettier-ignore
  const wrong = Object.keys(MEMBERS).find((member) => MEMBERS[member]?.(head[member]) !== true);
  if (wrong !== undefined) return { malformed: `has an envelope whose ${wrong} is missing or none` };
  const stranger = Object.keys(head).find((member) => !Object.hasOwn(MEMBERS, member));
  if (stranger !== undefined) return { malformed: 'has an envelope with a member that belongs in none' };
  if (!isMembers(salts)) return { malformed: 'has an envelope whose salts are none' };
  return { ...(head as unknown as ShownEnvelope), salts };
}

/** The member of an event that says what a member of the envelope says. */
const SAID_BY: readonly (readonly [member: keyof ShownEnvelope, inEvent: string])[] = [
  ['record_type', 'record_type'],
  ['record_type', 'resource_type'],
  ['id', 'resource_id'],
  ['tenant', 'tenant'],
  ['revision', 'revision'],
  ['checksum', 'checksum'],
  ['stored_at', 'timestamp'],
];

/** What an event does not say as the envelope does; undefined when it is the event of that very revision. */
export function mismatch(envelope: ShownEnvelope, { members }: ProvenEvent): string | undefined {
  if (!String(members['event_type']).startsWith('record.') || members['outcome'] !== 'success')
    return 'is not the event of a change to a record';
  const differs = SAID_BY.find(([member, inEvent]) => envelope[member] !== members[inEvent]);
  return differs === undefined ? undefined : `says another ${differs[1]} than the envelope's ${differs[0]}`;
}
