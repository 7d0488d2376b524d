import { rowIntact } from '../../src/storage/row-checksum.js';
import { tenantOf, type Survey } from './invariants-survey.js';

/**
 * Every hold was placed by one event, and released by one or none, and the log has those and no other; what is compared
 * with records are those in force, as many as were counted.
 */
export function holdViolations(survey: Survey): string[] {
  const found: string[] = [];
  const rows = survey.rows('holds', '');
  for (const row of rows) if (!rowIntact(row)) found.push(`hold row ${row.rowKey} is not what was written`);
  const tenants = new Set([...rows.map(({ partitionKey }) => tenantOf(partitionKey)), ...survey.log.keys()]);
  for (const tenant of tenants) {
    const own = rows.filter(({ partitionKey }) => tenantOf(partitionKey) === tenant);
    const withKey = (prefix: string) => own.filter(({ rowKey }) => rowKey.startsWith(prefix));
    const holds = withKey('r:');
    const active = holds.filter(({ properties }) => properties['state'] === 'active');
    const idsOf = (some: typeof own) =>
      some.map(({ properties }) => [properties['hold_id'], properties['scope']].join(' ')).sort();
    const inForce = withKey('a:').filter(({ rowKey }) => rowKey !== 'a:count');
    if (idsOf(inForce).join() !== idsOf(active).join()) found.push(`${tenant}: holds in force are not those that are compared`); // prettier-ignore
    const [count] = withKey('a:count');
    if (Number(count?.properties['active'] ?? 0) !== active.length) found.push(`${tenant}: holds are miscounted`); // prettier-ignore
    const told = holds.flatMap(({ properties: of }) => [
      `hold.placed ${String(of['placed_event'])}`,
      ...(of['released_event'] === undefined ? [] : [`hold.released ${String(of['released_event'])}`]),
    ]);
    const logged = (survey.log.get(tenant) ?? [])
      .filter(({ event }) => event.event_type.startsWith('hold.'))
      .map(({ event }) => `${event.event_type} ${event.event_id}`);
    if (told.sort().join() !== [...logged].sort().join()) found.push(`${tenant}: holds tell of ${told.join()} and the log has ${logged.join()}`); // prettier-ignore
    const witnessed = withKey('v:').map(({ properties }) => String(properties['event_id']));
    if (witnessed.sort().join() !== told.map((one) => one.split(' ')[1]).sort().join()) found.push(`${tenant}: holds are witnessed by ${witnessed.join()}`); // prettier-ignore
  }
  return found;
}
