import { rowIntact } from '../../src/storage/row-checksum.js';
import type { Survey, SurveyedRecord } from './invariants-survey.js';

/**
 * What a record says it is derived from is in its row, and each link has its way back. Rows of links that are none are
 * no violation: they stay when an attempt dies before its commit, and when a link is taken back.
 */
export function lineageViolations(survey: Survey): string[] {
  const rows = new Map(survey.rows('lineage', 'd:').map((row) => [`${row.partitionKey} ${row.rowKey}`, row]));
  return [...survey.records.values()].flatMap((record) => {
    const links = linksOf(record);
    if (links === undefined) return [];
    const found: string[] = [];
    const columns = Object.entries(record.row?.properties ?? {}).filter(([name]) =>
      name.startsWith('links_'),
    );
    const text = columns.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value).join(''); // prettier-ignore
    if (text !== (links.length === 0 ? '' : JSON.stringify(links)))
      found.push(`the row of ${record.id} has other links than the record`);
    for (const link of links) {
      const row = rows.get(`${record.tenant}:${monthOf(link)}.${link.slice(-1)} d:${link}:${record.id}`);
      if (row === undefined) found.push(`no way leads from ${link} to ${record.id}`);
      else if (
        !rowIntact(row) ||
        `${record.tenant}:${String(row.properties['partition'])}` !== record.partitionKey
      )
        found.push(`the way from ${link} leads elsewhere than to ${record.id}`);
    }
    return found;
  });
}

/** Of a decision; undefined when it is not known what it says. */
function linksOf({ id, revisions }: SurveyedRecord): readonly string[] | undefined {
  const data = revisions.at(-1)?.data;
  if (data === undefined) return undefined;
  const lists = [data['provenance'], data['metadata']].map(
    (member) => (member as { derived_from?: string[] } | undefined)?.derived_from ?? [],
  );
  return [...new Set(lists.flat())].filter((link) => link !== id);
}

/** The month of the time that an id begins with. */
function monthOf(id: string): string {
  const hex = id.slice(id.indexOf('_') + 1).replace('-', '').slice(0, 12); // prettier-ignore
  return new Date(Number.parseInt(hex, 16)).toISOString().slice(0, 7);
}
