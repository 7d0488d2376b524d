import { createHash } from 'node:crypto';
import { parseHead } from '../../src/audit/ledger-state.js';
import type { Row } from '../../src/storage/ports.js';
import { rowIntact } from '../../src/storage/row-checksum.js';
import { publishedFaults } from '../support/published-log.js';
import { isDisposed, revisionOf, tenantOf, type Survey, type SurveyedLine } from './invariants-survey.js';

/** RFC 6962's recursive definition, as it is printed there. */
function naiveRoot(leaves: readonly string[]): string {
  const hash = (...parts: readonly Uint8Array[]): Buffer => {
    const digest = createHash('sha256');
    for (const part of parts) digest.update(part);
    return digest.digest();
  };
  const tree = (part: readonly string[]): Buffer => {
    if (part.length === 0) return hash();
    if (part.length === 1) return hash(Uint8Array.of(0), Buffer.from(part[0] as string));
    let k = 1;
    while (k * 2 < part.length) k *= 2;
    return hash(Uint8Array.of(1), tree(part.slice(0, k)), tree(part.slice(k)));
  };
  return tree(leaves).toString('hex');
}

/** The log holds every event once, in order, and everything that is derived from it agrees with it. */
export function logViolations(survey: Survey): string[] {
  const tenants = new Set([
    ...survey.log.keys(),
    ...[...survey.records.values()].map(({ tenant }) => tenant),
    ...survey.contents.blobs
      .filter(({ name }) => name.endsWith('/head'))
      .map(({ name }) => name.slice(0, -'/head'.length)),
  ]);
  const ledger = new Map(
    survey.contents.blobs
      .filter(({ container }) => container === 'ledger')
      .map(({ name, bytes }) => [name, bytes] as const),
  );
  return [...tenants].flatMap((tenant) => [
    ...headViolations(survey, tenant),
    ...publishedFaults(
      tenant,
      ledger,
      (survey.log.get(tenant) ?? []).map(({ text }) => text),
    ),
    ...lineViolations(survey, tenant),
    ...eventIndexViolations(survey, tenant),
  ]);
}

function headViolations(survey: Survey, tenant: string): string[] {
  const lines = survey.log.get(tenant) ?? [];
  const blob = survey.contents.blobs.find(
    ({ container, name }) => container === 'ledger' && name === `${tenant}/head`,
  );
  if (blob === undefined) return lines.length === 0 ? [] : [`${tenant} has lines and no head`];
  const head = parseHead(tenant, blob.bytes);
  const found: string[] = [];
  if (head.tree_size !== lines.length)
    found.push(`${tenant}: the head counts ${head.tree_size} leaves, the streams ${lines.length}`);
  if (head.root !== naiveRoot(lines.map(({ text }) => text)))
    found.push(`${tenant}: the root is not that of the lines`);
  const streams = survey.contents.blobs.filter(
    ({ container, name }) => container === 'audit' && name.startsWith(`${tenant}/`),
  );
  const open = streams.filter(({ sealed }) => !sealed).map(({ name }) => name);
  if (open.length !== 1 || open[0] !== head.stream.name)
    found.push(`${tenant}: open streams are ${open.join(', ')}, not ${head.stream.name}`);
  return found;
}

function lineViolations(survey: Survey, tenant: string): string[] {
  const found: string[] = [];
  const byEvent = new Map<string, SurveyedLine['event']>();
  const revisions = new Map<string, number>();
  for (const { event } of survey.log.get(tenant) ?? []) {
    if (byEvent.has(event.event_id)) found.push(`${event.event_id} is in the log twice`);
    byEvent.set(event.event_id, event);
    if (event.tenant !== tenant)
      found.push(`${event.event_id} of ${event.tenant} is in the log of ${tenant}`);
    if (event.revision === undefined) continue;
    const before = revisions.get(event.resource_id) ?? 0;
    if (event.revision !== before + 1)
      found.push(`${event.resource_id}: revision ${event.revision} is logged after ${before}`);
    revisions.set(event.resource_id, event.revision);
    if (isDisposed(survey.records.get(event.resource_id)?.row, event.revision)) continue;
    const stored = revisionOf(survey, event.resource_id, event.revision);
    if (stored?.eventId !== event.event_id) found.push(`${event.event_id} is of no revision that is stored`);
  }
  for (const record of survey.records.values()) {
    if (record.tenant !== tenant) continue;
    for (const { id, revision, eventId, checksum, previousChecksum, action } of record.revisions) {
      const event = byEvent.get(eventId);
      if (event === undefined) found.push(`${id} revision ${revision} has no event in the log`);
      else if (
        event.revision !== revision ||
        event.resource_id !== id ||
        event.checksum !== checksum ||
        event.previous_checksum !== previousChecksum ||
        event.action !== action
      )
        found.push(`${id} revision ${revision} and its event differ`);
    }
  }
  return found;
}

/** `auditevents` has five rows for each line, each with its place in the log, and no other. */
function eventIndexViolations(survey: Survey, tenant: string): string[] {
  const found: string[] = [];
  const rows = new Map<string, Row>(
    survey
      .rows('auditevents', '')
      .filter(({ partitionKey }) => tenantOf(partitionKey) === tenant)
      .map((row) => [`${row.partitionKey} ${row.rowKey}`, row]),
  );
  (survey.log.get(tenant) ?? []).forEach(({ text, event }, leaf) => {
    const partition = `${tenant}:${event.timestamp.slice(0, 10)}`;
    const time = String(9_999_999_999_999 - Date.parse(event.timestamp)).padStart(13, '0');
    const listed = [
      ['all', ''],
      ['actor', event.actor],
      ['resource_id', event.resource_id],
      ['event_type', event.event_type],
    ];
    const keys = [
      `r:${event.event_id}`,
      ...listed.map(([index, value]) => `i:${index}:${value}:${time}:${event.event_id}`),
    ];
    for (const key of keys) {
      const row = rows.get(`${partition} ${key}`);
      rows.delete(`${partition} ${key}`);
      if (row === undefined) found.push(`the index of events lacks ${key}`);
      else if (!rowIntact(row) || row.properties['event'] !== text || row.properties['leaf_index'] !== leaf)
        found.push(`${key} in the index of events differs from leaf ${leaf}`);
    }
  });
  return [...found, ...[...rows.keys()].map((key) => `the index of events has ${key}, the log does not`)];
}

/** Pseudonyms: one a name, both ways, and every event is by one of them. */
export function actorViolations(survey: Survey): string[] {
  const found: string[] = [];
  const actors = new Map(
    survey
      .rows('actors', 'a:')
      .map((row) => [`${tenantOf(row.partitionKey)} ${row.rowKey.slice(2)}`, row.properties['name']]),
  );
  const names = survey.rows('actors', 'n:');
  for (const { partitionKey, properties } of names)
    if (actors.get(`${tenantOf(partitionKey)} ${String(properties['actor'])}`) !== properties['name'])
      found.push(`the pseudonym of ${String(properties['name'])} leads elsewhere`);
  if (names.length !== actors.size) found.push(`${names.length} names have ${actors.size} pseudonyms`);
  for (const [tenant, lines] of survey.log)
    for (const { event } of lines)
      if (!actors.has(`${tenant} ${event.actor}`)) found.push(`${event.event_id} is by nobody of ${tenant}`);
  return found;
}
