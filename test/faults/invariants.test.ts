import { beforeAll, describe, expect, it, vi } from 'vitest';
import { canonicalJson } from '../../src/domain/canonical-json.js';
import { DEFAULT_CONFIGURATION } from '../../src/domain/tenant-configuration.js';
import type { Properties, Row } from '../../src/storage/ports.js';
import { withRowChecksum } from '../../src/storage/row-checksum.js';
import { testPlatform } from '../support/platform.js';
import type { StorageContents } from '../support/memory-ports.js';
import { openedSurvey } from './invariants-opened.js';
import { surveyOf, type Survey, type SurveyedRevision } from './invariants-survey.js';
import { violationsOf } from './invariants.js';
import { Stage } from './matrix-stage.js';
import { draftOf } from './simulation-acts.js';
import type { Facts } from './simulation-facts.js';
import { verdictOf } from './simulation-verdict.js';

vi.mock('lru-cache', () => import('../support/small-caches.js'));

type Damage = (contents: StorageContents) => StorageContents;

/** A storage at rest with one of everything, and what its clients were told of it. */
let whole: StorageContents;
let facts: Facts;
/** What committed forms open to. */
const clear = new Map<string, SurveyedRevision['data']>();

const body = (by: string): object => ({ decision_type: 'strategic', title: by, metadata: { by } });

beforeAll(async () => {
  const stage = new Stage(undefined);
  const act = async (): Promise<void> => {
    const { answer } = await stage.does('create', body('a'), { name: 'a', key: 'ka' });
    const target = answer?.told[0]?.id;
    const vote = { agent: 'planner', vote: 'approve', confidence: 0.5, reasoning: 'b' };
    await stage.does('vote', vote, { name: 'b', target });
    await stage.does('batch', [body('c.0'), body('c.1')], { name: 'c' });
    await stage.does('inbox', body('d'), { name: 'd', key: 'kd' });
    const derived = { by: 'f', derived_from: ['met_01980000-0000-7000-8000-000000000001'] };
    await stage.does('create', { ...body('f'), metadata: derived }, { name: 'f' });
    await stage.does('event', draftOf('e', 'acme', 'ada', stage.subject), { name: 'e' });
    const call = { tenant: 'acme', actor: 'ada', correlationId: 'f' };
    await stage.subject.platform.configurations.put(DEFAULT_CONFIGURATION, {}, call);
    const { holds } = stage.subject.platform;
    const { hold } = await holds.place({ scope: { subject: 'ada' }, reason: 'g' }, call);
    await holds.place({ scope: { subject: 'bob' }, reason: 'h' }, call);
    await holds.release(hold.hold_id, { reason: 'i' }, call);
  };
  expect(await stage.run({ name: 'everything', act })).toEqual([]);
  whole = stage.world.storage.contents();
  facts = stage.world.facts;
  const committed = surveyOf(whole);
  const { survey } = await openedSurvey(testPlatform(stage.world.storage.ports), committed);
  for (const [id, { revisions }] of committed.records)
    revisions.forEach(({ data }, at) => {
      clear.set(JSON.stringify(data), survey.records.get(id)?.revisions[at]?.data);
    });
});

/** A damaged survey with the sensitive values of what is as it was, which the model of the acts knows. */
function opened(survey: Survey): Survey {
  const records = [...survey.records].map(([id, record]) => {
    const revisions = record.revisions.map((one) => ({ ...one, data: clear.get(JSON.stringify(one.data)) ?? one.data })); // prettier-ignore
    return [id, { ...record, revisions }] as const;
  });
  return { ...survey, records: new Map(records) };
}

function rows(change: (row: Row, table: string) => Row | undefined): Damage {
  return (contents) => ({
    ...contents,
    rows: contents.rows.flatMap(({ table, row }) => {
      const changed = change(row, table);
      return changed === undefined ? [] : [{ table, row: changed }];
    }),
  });
}

const without = (table: string, key: RegExp): Damage =>
  rows((row, its) => (its === table && key.test(row.rowKey) ? undefined : row));

/** Rows with other properties, as if they had been written so. */
const rewritten = (table: string, key: RegExp, properties: Properties): Damage =>
  rows((row, its) => {
    if (its !== table || !key.test(row.rowKey)) return row;
    const { row_checksum: _, ...known } = row.properties;
    return {
      ...row,
      properties: withRowChecksum(row.partitionKey, row.rowKey, { ...known, ...properties }),
    };
  });

/** A row that nothing asked for. */
const added = (table: string, partitionKey: string, rowKey: string): Damage => {
  const row: Row = { partitionKey, rowKey, etag: '"1"', timestampMs: 0, properties: {} };
  return (contents) => ({ ...contents, rows: [...contents.rows, { table, row }] });
};

const blobs =
  (container: string, change: (text: string, name: string) => string | undefined): Damage =>
  (contents) => ({
    ...contents,
    blobs: contents.blobs.flatMap((blob) => {
      const text = Buffer.from(blob.bytes).toString('utf8');
      const changed = blob.container === container ? change(text, blob.name) : text;
      return changed === undefined ? [] : [{ ...blob, bytes: new Uint8Array(Buffer.from(changed)) }];
    }),
  });

const orphan: Damage = (contents) => {
  const [blob] = contents.blobs.filter(({ container }) => container === 'records');
  if (blob === undefined) throw new Error('there is no blob');
  return { ...contents, blobs: [...contents.blobs, { ...blob, name: `${blob.name}.again` }] };
};

const lines = (change: (lines: string[]) => readonly string[]): Damage =>
  blobs('audit', (text) => change(text.trimEnd().split('\n')).map((line) => `${line}\n`).join('')); // prettier-ignore

const event = (line: string, members: object): string =>
  canonicalJson({ ...(JSON.parse(line) as Record<string, never>), ...members });

const CASES: readonly (readonly [what: string, damage: Damage, named: RegExp])[] = [
  ['an index row is lost', without('decisions', /^i:status:/), /index row .* is missing/],
  ['an index row is of nothing', added('decisions', 'acme:2026-01', 'i:status:no:1:x'), /belongs to nothing/],
  [
    'an index row is stale',
    rewritten('decisions', /^i:all:/, { revision: 9 }),
    /index row .* differs in rev/,
  ],
  ['a link has no way back', without('lineage', /^d:/), /no way leads from met_/],
  [
    'a way back leads elsewhere',
    rewritten('lineage', /^d:/, { partition: '1999-01' }),
    /leads elsewhere than/,
  ],
  ['links are others', rewritten('decisions', /^r:/, { links_0: '[]' }), /other links than the record/],
  ['a record row is lost', without('decisions', /^r:/), /has revisions and no record row/],
  [
    'a record row is stale',
    rewritten('decisions', /^r:/, { revision: 9 }),
    /last revision differ in revision/,
  ],
  ['a first revision is lost', without('decisions', /^v:.*1$/), /stands in place 1/],
  ['an acknowledged revision is lost', without('decisions', /^[rv]:/), /was acknowledged and is lost/],
  ['a revision follows another', rewritten('decisions', /^v:.*2$/, { previous_checksum: 'x' }), /not follow/],
  ['a blob is lost', blobs('records', () => undefined), /has no blob that fits its row/],
  ['a blob is altered', blobs('records', (text) => text.replace('strategic', 'tragic')), /no blob that fits/],
  ['a blob has no row', orphan, /no row names the blob/],
  ['a blob is of others', rewritten('decisions', /^v:/, { blob: 'zeta/x.json' }), /with another tenant/],
  ['an event is lost', lines((all) => all.slice(1)), /has no event in the log/],
  ['an event is there twice', lines((all) => [...all, all[0] ?? '']), /is in the log twice/],
  [
    'a revision has two events',
    lines((all) => [...all, event(all[0] ?? '', { event_id: 'evt_x' })]),
    /evt_x is of no revision that is stored/,
  ],
  ['events are out of order', lines((all) => all.toReversed()), /revision 2 is logged after 0/],
  ['an event says something else', lines((all) => all.map((line) => event(line, { action: 'x' }))), /and its event differ/], // prettier-ignore
  ['an event is in another log', lines((all) => all.map((line) => event(line, { tenant: 'x' }))), /in the log of acme/], // prettier-ignore
  ['the log is not that of the root', lines((all) => all.map((line) => ` ${line}`)), /root is not that/],
  [
    'a checkpoint is lost',
    blobs('ledger', (text, name) => (name.endsWith('checkpoint') ? undefined : text)),
    /lines and no checkpoint/,
  ],
  [
    'a checkpoint is changed',
    blobs('ledger', (text, name) => (name.endsWith('checkpoint') ? text.replace(/\n\d+\n/, '\n1\n') : text)),
    /the checkpoint has a signature of .* that does not verify/,
  ],
  [
    'a bundle is lost',
    blobs('ledger', (text, name) => (name.includes('/tile/entries/') ? undefined : text)),
    /is served without tile\/entries\/000/,
  ],
  [
    'a bundle is changed',
    blobs('ledger', (text, name) => (name.includes('/tile/entries/') ? text.replace('acme', 'acne') : text)),
    /tile\/entries\/000.p\/\d+ differs from the leaves/,
  ],
  [
    'a tile is cut',
    blobs('ledger', (text, name) => (name.includes('/tile/0/') ? text.slice(1) : text)),
    /tile\/0\/000.p\/\d+ differs from the leaves/,
  ],
  [
    'a head is lost',
    blobs('ledger', (text, name) => (name.endsWith('head') ? undefined : text)),
    /and no head/,
  ],
  ['the index of events lacks one', without('auditevents', /^i:actor:/), /the index of events lacks i:actor/],
  [
    'the index of events has one more',
    added('auditevents', 'acme:2026-01-31', 'r:evt_x'),
    /the log does not/,
  ],
  ['the index of events differs', rewritten('auditevents', /^r:/, { leaf_index: 99 }), /differs from leaf/],
  ['an event is still pending', added('decisions', 'acme:2026-01', 'o:evt_x'), /is still pending/],
  ['a partition is still dirty', added('system', '_system:dirty-03', 'acme:x'), /is still dirty/],
  ['a partition is unknown', without('system', /^decisions:/), /the directory does not know decisions/],
  [
    'a configuration that was put is lost',
    without('system', /^v:evt_/),
    /put configurations in  and the log/,
  ],
  ['another configuration stands', rewritten('system', /^current$/, { event_id: 'x' }), /not the configuration put/], // prettier-ignore
  [
    'a configuration is altered',
    rows((row) => (row.rowKey === 'current' ? { ...row, properties: { ...row.properties, x: 1 } } : row)),
    /current is not what was written/,
  ],
  ['a hold is not compared', without('holds', /^a:\d/), /holds in force are not those/],
  ['a hold is lost', without('holds', /^r:/), /holds tell of  and the log has/],
  ['a hold is miscounted', rewritten('holds', /^a:count/, { active: 7 }), /holds are miscounted/],
  ['a hold is altered', rewritten('holds', /^a:\d/, { scope: '{}' }), /holds in force are not those/],
  ['nobody knows who was first', without('holds', /^v:/), /holds are witnessed by/],
  ['a pseudonym is lost', without('actors', /^a:/), /is by nobody of acme/],
  ['a key names nothing', rewritten('decisions', /^k:/, { revisions: '[{"id":"x","revision":1}]' }), /key k:.* names/], // prettier-ignore
  [
    'an operation has no record',
    rewritten('operations', /^r:/, { record_id: 'x' }),
    /its record is not there/,
  ],
];

describe('a storage that is not whole is seen to be so', () => {
  it.each(CASES)('%s', (_, damage, named) => {
    const { survey, violations } = violationsOf(damage(whole), { collected: true });
    const found = [...violations, ...verdictOf(facts, opened(survey))];
    expect(found.filter((violation) => named.test(violation))).not.toEqual([]);
  });
});
