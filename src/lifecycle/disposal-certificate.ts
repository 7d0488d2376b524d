import { createHash } from 'node:crypto';
import type { EventDraft } from '../domain/build-event.js';
import type { JsonObject } from '../domain/canonical-json.js';
import { formatTime } from '../domain/clock.js';
import { newId } from '../domain/ids.js';
import type { DisposalReport } from './report.js';

/** The event of it, as it is given to be stored. */
export type Certificate = Omit<EventDraft, 'actor'> & { readonly actorName: string };

/** What tells that something was destroyed, and not only looked at. */
const DESTROYED = ['disposed', 'revisions_disposed'];

/**
 * The certificate of what a round has disposed of in a tenant: by collection and rule how much, of which time, and how much
 * was held; where work was given up in partitions, in how many, for they are not counted. Undefined where that is nothing. Its id follows from tenant and round, so that of several hosts, and of a host
 * that does it again, one event comes. Nothing of any record's content. Pure.
 */
export function certificateOf(
  tenant: string,
  roundMs: number,
  nowMs: number,
  report: DisposalReport,
  givenUp: number,
): Certificate | undefined {
  const lines = Object.values(report);
  if (!lines.some(({ tallies }) => DESTROYED.some((name) => (tallies[name]?.count ?? 0) > 0)))
    return undefined;
  const seed = createHash('sha256')
    .update(JSON.stringify(['disposal', tenant, roundMs]))
    .digest();
  const eventId = newId('evt', roundMs, { bytes: (count) => seed.subarray(0, count) });
  const details = {
    certificate: 'disposal',
    round_began_at: formatTime(roundMs),
    certified_at: formatTime(nowMs),
    ...(givenUp === 0 ? {} : { partitions_not_counted: givenUp }),
    collections: lines.map(({ collection, rule, tallies }) => ({ collection, rule, ...tallies })),
  };
  return {
    eventId,
    timestampMs: roundMs,
    tenant,
    actorName: 'job:dispose',
    eventType: 'job.completed',
    severity: 'info',
    action: 'dispose',
    resourceType: 'disposal',
    resourceId: tenant,
    outcome: 'success',
    details: details as unknown as JsonObject,
    correlationId: 'job:dispose',
  };
}
