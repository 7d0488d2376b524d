import { configurationEtag } from '../../src/storage/etag.js';
import { rowIntact } from '../../src/storage/row-checksum.js';
import { tenantOf, type Survey } from './invariants-survey.js';

/** Whatever a tenant put is kept with one event, the events are in its order, and what stands is the last of it. */
export function configurationViolations(survey: Survey): string[] {
  const partition = ({ partitionKey }: { partitionKey: string }) => partitionKey.endsWith(':configuration');
  const put = survey.rows('system', 'v:').filter(partition);
  const found: string[] = [];
  const tenants = new Set([...put.map(({ partitionKey }) => tenantOf(partitionKey)), ...survey.log.keys()]);
  for (const tenant of tenants) {
    const own = put.filter(({ partitionKey }) => tenantOf(partitionKey) === tenant);
    const events = own.map(({ rowKey }) => rowKey.slice('v:'.length));
    const logged = (survey.log.get(tenant) ?? [])
      .filter(({ event }) => event.event_type === 'configuration.changed')
      .map(({ event }) => event.event_id);
    if (logged.join() !== events.join())
      found.push(`${tenant} put configurations in ${events.join()} and the log has ${logged.join()}`);
    const current = survey.rows('system', 'current').find((row) => partition(row) && tenantOf(row.partitionKey) === tenant); // prettier-ignore
    const tagOf = (row: (typeof own)[0] | undefined) =>
      row === undefined ? '' : configurationEtag(String(row.properties['event_id']));
    if (tagOf(current) !== tagOf(own.at(-1)))
      found.push(`${tenant}: what stands is not the configuration put last`);
    for (const row of [...own, ...(current === undefined ? [] : [current])])
      if (!rowIntact(row)) found.push(`${tenant}: ${row.rowKey} is not what was written`);
  }
  return found;
}
