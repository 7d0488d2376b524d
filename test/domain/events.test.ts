import { describe, expect, it } from 'vitest';
import { eventText, SEALED_EVENT_TYPE } from '../../src/domain/audit-event.js';
import { buildEvent, type EventDraft } from '../../src/domain/build-event.js';
import { commit } from '../../src/domain/commitment.js';
import { LIMITS } from '../../src/domain/limits.js';
import { seededEntropy } from '../support/entropy.js';

const DRAFT: EventDraft = {
  eventId: 'evt_1',
  timestampMs: Date.UTC(2026, 10, 21, 8),
  tenant: 'acme',
  actor: 'act_1',
  eventType: 'record.updated',
  severity: 'info',
  action: 'patch',
  resourceType: 'decision',
  resourceId: 'dec_1',
  outcome: 'success',
  details: { changed: ['title'] },
  correlationId: 'corr-1',
};
const PLAIN = {
  schema_version: '1.0',
  event_id: 'evt_1',
  event_type: 'record.updated',
  severity: 'info',
  timestamp: '2026-11-21T08:00:00.000Z',
  tenant: 'acme',
  actor: 'act_1',
  action: 'patch',
  resource_type: 'decision',
  resource_id: 'dec_1',
  outcome: 'success',
  details: { changed: ['title'] },
  correlation_id: 'corr-1',
};

const eventOf = (more: Partial<EventDraft> = {}) => buildEvent({ ...DRAFT, ...more }, seededEntropy('event'));

describe('an event', () => {
  it('has exactly the members that were given, and what was not is absent', () => {
    expect(Object.entries(eventOf().event).sort()).toEqual(Object.entries(PLAIN).sort());
    expect(eventOf().secrets).toEqual({});
  });

  it('of a change names type, revision and checksum, and the previous checksum where there is one', () => {
    const change = { recordType: 'decision', revision: 2, checksum: 'cc' };
    const named = { ...PLAIN, record_type: 'decision', revision: 2, checksum: 'cc' };
    const first = eventOf({ change }).event;
    expect(Object.entries(first).sort()).toEqual(Object.entries(named).sort());
    const second = eventOf({ change: { ...change, previousChecksum: 'bb' } }).event;
    expect(second).toEqual({ ...named, previous_checksum: 'bb' });
  });

  it('holds address and session only as commitments, whose secrets travel beside it', () => {
    const { event, secrets } = eventOf({ ipAddress: '192.0.2.7', sessionId: 'session-1' });
    expect(Object.keys(secrets)).toEqual(['/ip_address', '/session_id']);
    const [address, session] = [secrets['/ip_address'], secrets['/session_id']];
    if (address === undefined || session === undefined) throw new Error('both are secrets');
    expect([address.value, session.value]).toEqual(['192.0.2.7', 'session-1']);
    // What they are sealed for; another name, and nothing that was sealed before opens again.
    expect(SEALED_EVENT_TYPE).toBe('audit_event');
    expect(address.salt).not.toBe(session.salt);
    expect(event).toEqual({ ...PLAIN, ip_address: commit(address), session_id: commit(session) });
    expect(eventText(event)).not.toMatch(/192\.0|session-1/);
  });
});

describe('the bytes of an event', () => {
  it('are canonical JSON', () => {
    expect(eventText(eventOf().event)).toMatch(/^\{"action":"patch","actor":"act_1",.*"tenant":"acme",/);
  });

  it('are at most 32 KiB of UTF-8', () => {
    const withNote = (note: string) => eventOf({ details: { note } }).event;
    const room = LIMITS.eventBytes - Buffer.byteLength(eventText(withNote('')));
    expect(Buffer.byteLength(eventText(withNote('x'.repeat(room))))).toBe(LIMITS.eventBytes);
    for (const note of ['x'.repeat(room + 1), 'é'.repeat(room / 2 + 1)]) {
      expect(() => eventText(withNote(note))).toThrow(
        expect.objectContaining({ code: 'internal-error', evidence: { event_id: 'evt_1' } }),
      );
    }
  });
});
