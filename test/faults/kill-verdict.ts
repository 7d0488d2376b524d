import type { Envelope, EnvelopeHead } from '../../src/domain/envelope.js';
import { dayOf, monthOf, partitionKey, prefixRange, QUEUES } from '../../src/storage/keys.js';
import type { StoragePorts } from '../../src/storage/ports.js';
import { readRange } from '../../src/storage/range.js';
import { assertRevisionOrder, headOf, naiveRoot, streamLines } from '../audit/support.js';
import { takeAll } from '../support/courier.js';
import { ask, eventually, type Answered } from './kill-client.js';
import type { Deed, Load } from './kill-load.js';

/** How long the sealer may take for what reading makes it seal. */
const QUIET_MS = 15_000;

/** Reads what the platform holds of a tenant, through one host. */
class Reader {
  constructor(
    private readonly host: string,
    private readonly tenant: string,
  ) {}

  async get(path: string): Promise<Record<string, unknown>> {
    const answer = await ask(this.host, this.tenant, { method: 'GET', path });
    if (answer === 'lost' || answer.status !== 200)
      throw new Error(`${path}: ${answer === 'lost' ? 'no answer' : JSON.stringify(answer.json)}`);
    return answer.json;
  }

  async *list(path: string): AsyncGenerator<Record<string, unknown>> {
    for (let cursor: unknown = ''; cursor !== null;) {
      const page = await this.get(`${path}?limit=1000${cursor === '' ? '' : `&cursor=${encodeURIComponent(String(cursor))}`}`); // prettier-ignore
      yield* page['items'] as Record<string, unknown>[];
      cursor = page['next_cursor'];
    }
  }
}

/** Everything that is stored and should not be, or should be and is not; empty when all promises were kept. */
export async function violationsOf(
  load: Load,
  host: string,
  ports: StoragePorts,
): Promise<readonly string[]> {
  const reader = new Reader(host, load.tenant);
  const wrong: string[] = [...load.wrong];
  const byTitle = new Map<string, string[]>();
  const records: Envelope[] = [];
  for await (const { id, title } of reader.list('/decisions')) {
    byTitle.set(String(title), [...(byTitle.get(String(title)) ?? []), String(id)]);
    records.push((await reader.get(`/decisions/${String(id)}`)) as unknown as Envelope);
  }
  for (const deed of load.deeds) wrong.push(...(await deedFaults(deed, byTitle, reader)));
  wrong.push(...recordFaults(records, load.deeds));
  wrong.push(...(await logFaults(records, ports, load.tenant)));
  const aside = await takeAll(ports, QUEUES.inboxPoison);
  if (aside.length > 0) wrong.push(`${aside.length} messages were set aside`);
  return wrong;
}

/** What was acknowledged is there as it was acknowledged; what was not is there once at most. */
async function deedFaults(
  deed: Deed,
  byTitle: ReadonlyMap<string, readonly string[]>,
  reader: Reader,
): Promise<readonly string[]> {
  const name = `${deed.kind} ${deed.titles[0] ?? deed.mark ?? ''}`;
  const twice = deed.titles.filter((title) => (byTitle.get(title)?.length ?? 0) > 1);
  const wrong = twice.map((title) => `${name}: ${title} is there twice`);
  if (deed.answer === undefined) return wrong;
  const missing = (await idsOf(deed, deed.answer, reader)).filter(
    ([title, id]) => byTitle.get(title)?.[0] !== id,
  );
  wrong.push(...missing.map(([title, id]) => `${name}: ${title} is not there as ${id}`));
  if (deed.kind === 'batch' || deed.kind === 'promise') return wrong;
  const { id, revision } = deed.answer.json as unknown as Envelope;
  const stored = await reader.get(`/decisions/${id}/revisions/${revision}`);
  if (JSON.stringify(stored) !== JSON.stringify(deed.answer.json)) wrong.push(`${name}: revision ${revision} of ${id} is another`); // prettier-ignore
  return wrong;
}

/** Title and id of what an answer says was made. */
async function idsOf(
  deed: Deed,
  answer: Answered,
  reader: Reader,
): Promise<readonly (readonly [string, string])[]> {
  if (deed.kind === 'create') return [[deed.titles[0] ?? '', String(answer.json['id'])]];
  if (deed.kind === 'batch') return (answer.json['items'] as EnvelopeHead[]).map(({ id }, at) => [deed.titles[at] ?? '', id]); // prettier-ignore
  if (deed.kind !== 'promise') return [];
  const operation = await reader.get(`/operations/${String(answer.json['operation_id'])}`);
  return [[deed.titles[0] ?? '', String(operation['record_id'])]];
}

/** A record has as many revisions as it has been given things, and all of what was acknowledged. */
function recordFaults(records: readonly Envelope[], deeds: readonly Deed[]): readonly string[] {
  const wrong: string[] = [];
  const marks = new Map<string, Set<string>>();
  for (const { id, revision, data } of records) {
    const votes = (data['agent_votes'] as { agent: string }[]).map(({ agent }) => agent);
    const patches = Object.keys(data['metadata'] as object);
    marks.set(id, new Set([...votes, ...patches]));
    const changes = 1 + votes.length + patches.length;
    if (revision !== changes) wrong.push(`${id} has ${revision} revisions of ${changes} changes`);
  }
  for (const { kind, record, mark, answer } of deeds)
    if (record !== undefined && answer !== undefined && marks.get(record)?.has(mark ?? '') !== true)
      wrong.push(`${kind} ${mark} of ${record} is gone`);
  return wrong;
}

/** Each revision of each record has its one event in the stream, in order, and the log is that of the lines. */
async function logFaults(
  records: readonly Envelope[],
  ports: StoragePorts,
  tenant: string,
): Promise<readonly string[]> {
  const wrong: string[] = [];
  const { lines, head } = await logOf(ports, tenant);
  assertRevisionOrder(lines);
  const told = new Map<string, number>();
  for (const { event } of lines)
    if (event.revision !== undefined) told.set(`${event.resource_id} ${event.revision}`, (told.get(`${event.resource_id} ${event.revision}`) ?? 0) + 1); // prettier-ignore
  for (const { id, revision } of records)
    for (let n = 1; n <= revision; n += 1) {
      const times = told.get(`${id} ${n}`) ?? 0;
      if (times !== 1) wrong.push(`revision ${n} of ${id} has ${times} events`);
      told.delete(`${id} ${n}`);
    }
  if (told.size > 0) wrong.push(`events of nothing: ${[...told.keys()].join(', ')}`);
  if (head.tree_size !== lines.length)
    wrong.push(`the log has ${head.tree_size} leaves and ${lines.length} lines`);
  if (head.root !== naiveRoot(lines.map(({ text }) => Buffer.from(text)))) wrong.push('the root is another');
  return wrong;
}

/** The lines and their head: the reads of this verdict are events too, and may be sealed while it looks. */
async function logOf(ports: StoragePorts, tenant: string) {
  const read = async () => ({ lines: await streamLines(ports, tenant), head: await headOf(ports, tenant) });
  let log = await read();
  await eventually(async () => {
    log = await read();
    return log.head.tree_size === log.lines.length;
  }, QUIET_MS);
  return log;
}

/** How many events of a tenant are not sealed yet. */
export async function pendingEvents(ports: StoragePorts, tenant: string): Promise<number> {
  const now = Date.now();
  const places = [now, now - 3_600_000].flatMap((ms) => [
    ['decisions', monthOf(ms)],
    ['auditevents', dayOf(ms)],
  ]);
  const names = new Map(
    places.map(([table = '', partition = '']) => [`${table} ${partition}`, { table, partition }]),
  );
  let pending = 0;
  for (const { table, partition } of names.values())
    pending += (await readRange(ports.tables, table, partitionKey(tenant, partition), prefixRange('o:')))
      .length;
  return pending;
}

/** Operations that were promised and have not ended. */
export async function openOperations(load: Load, host: string): Promise<number> {
  const reader = new Reader(host, load.tenant);
  let pending = 0;
  for (const { kind, answer } of load.deeds) {
    if (kind !== 'promise' || answer === undefined) continue;
    const { status } = await reader.get(`/operations/${String(answer.json['operation_id'])}`);
    if (status === 'pending') pending += 1;
  }
  return pending;
}
