import { describe, expect, it } from 'vitest';
import { checksumOf, type Json } from '../../src/domain/canonical-json.js';
import { conversationType } from '../../src/records/conversation.js';
import { partitionKey } from '../../src/storage/keys.js';
import { partKey, partsPartition } from '../../src/storage/part-rows.js';
import type { Row } from '../../src/storage/ports.js';
import { timeOfId } from '../../src/storage/record-location.js';
import { withRowChecksum } from '../../src/storage/row-checksum.js';
import { committedOf } from '../support/committed.js';
import { countingPorts } from '../support/counting-ports.js';
import { newTenant } from '../support/decisions.js';
import { httpHost, type Reply, type RequestOptions } from '../support/http-harness.js';
import { testKeyRing } from '../support/key-ring.js';
import { STORAGES } from '../support/platform.js';
import { useHttpHost } from '../support/use-http-host.js';

const READER = 'records.reader';
type Item = Readonly<Record<string, unknown>> & { readonly salts?: Readonly<Record<string, string>> };

/** Sensitive values of entries: who may see them sees them with their salts, anybody else sees commitments. */
describe.each(STORAGES)('sensitive values of entries $name', (kind) => {
  const { storage, host } = useHttpHost(kind);

  const items = (reply: Reply): readonly Item[] => (reply.json as { items: Item[] }).items;
  const committedItem = ({ seq: _, added_at: __, checksum: ___, salts, ...data }: Item): Json =>
    committedOf({ data, ...(salts === undefined ? {} : { salts }) }) as Json;

  const talk = async (options: RequestOptions): Promise<string> => {
    const body = { conversation_type: 'boardroom', participants: ['ceo'], messages: [{ message_id: 'a', sender: 'ceo', content: 'Now?' }] }; // prettier-ignore
    const made = await host.post('/conversations', body, options);
    const path = `/conversations/${made.envelope.id}`;
    const said = [
      ['messages', { message_id: 'b', sender: 'cfo', content: 'No', attachments: ['why.pdf'] }],
      ['reactions', { message_id: 'b', sender: 'ceo', reaction: '👍' }],
      ['edits', { message_id: 'a', sender: 'coo', content: 'Then?' }],
    ] as const;
    for (const [way, entry] of said) {
      const reply = await host.post(`${path}/${way}`, entry, options);
      expect(reply.status, reply.text).toBe(200);
    }
    return path;
  };

  it.each([false, true])('are masked in answers and lists alike; moved: %s', async (moved) => {
    const tenant = newTenant();
    const path = await talk({ tenant });
    if (moved)
      expect(await host.platform.manager.digestParts(conversationType, tenant, path.slice('/conversations/'.length))).toBe(3); // prettier-ignore
    for (const address of [path, `${path}/messages`]) {
      const seen = await host.get(address, { tenant });
      const masked = await host.get(address, { tenant, roles: READER });
      for (const value of ['Then?', '"No"', 'why.pdf', 'cfo', 'coo']) {
        expect(seen.text).toContain(value);
        expect(masked.text).not.toContain(value);
      }
      expect(masked.text).not.toContain('salts');
      expect(masked.text).toContain('👍');
    }
    const seen = items(await host.get(`${path}/messages`, { tenant }));
    const masked = items(await host.get(`${path}/messages`, { tenant, roles: READER }));
    expect(seen).toHaveLength(4);
    for (const [at, item] of seen.entries()) {
      expect(checksumOf(committedItem(item))).toBe(item['checksum']);
      expect(checksumOf(committedItem(masked[at] as Item))).toBe(item['checksum']);
    }
    const { envelope } = await host.get(path, { tenant });
    expect(Object.keys(envelope.salts ?? {})).toContain('/messages/1/reacted_by');
    expect(checksumOf(committedOf(envelope) as Json)).toBe(envelope.checksum);
    const hidden = (await host.get(path, { tenant, roles: READER })).envelope;
    expect(checksumOf(hidden.data as Json)).toBe(envelope.checksum);
    expect(hidden.checksum).toBe(envelope.checksum);
  });

  it('are known again when a message is posted again, and nothing tells what was posted first', async () => {
    const tenant = newTenant();
    const path = await talk({ tenant });
    const again = await host.post(`${path}/messages`, { message_id: 'a', sender: 'ceo', content: 'Now?' }, { tenant }); // prettier-ignore
    expect(again.status).toBe(200);
    const other = await host.post(`${path}/messages`, { message_id: 'a', sender: 'ceo', content: 'now?' }, { tenant }); // prettier-ignore
    expect(other.code).toBe('record-exists');
    const [, , reaction] = items(await host.get(`${path}/messages`, { tenant, roles: READER }));
    expect(reaction?.['posted_checksum']).toMatchObject({ $commitment: expect.any(String) as string });
  });

  it('stand under the row they belong to and nowhere else', async () => {
    const tenant = newTenant();
    const path = await talk({ tenant });
    const id = path.slice('/conversations/'.length);
    const key = partitionKey(tenant, partsPartition(timeOfId(conversationType, id), id));
    const table = conversationType.parts?.table ?? '';
    const rows = await Promise.all([1, 2].map((seq) => storage.ports.tables.find(table, key, partKey(id, seq)))); // prettier-ignore
    const [first, second] = rows as [Row, Row];
    const { row_checksum: _, ...moved } = first.properties;
    const swapped = { ...moved, event_id: second.properties['event_id'] as string };
    const properties = withRowChecksum(key, second.rowKey, swapped);
    await storage.ports.tables.commit(table, key, [{ kind: 'replace', rowKey: second.rowKey, properties, etag: second.etag }]); // prettier-ignore
    expect((await host.get(`${path}/messages`, { tenant })).code).toBe('integrity-failure');
  });

  it.each([false, true])('stay commitments once they are erased, and nothing is built on them; moved: %s', async (moved) => {
    const tenant = newTenant();
    const path = await talk({ tenant });
    const id = path.slice('/conversations/'.length);
    if (moved) await host.platform.manager.digestParts(conversationType, tenant, id);
    const before = items(await host.get(`${path}/messages`, { tenant, roles: READER }));
    await testKeyRing(storage.ports).dataKeys.destroySubject(tenant, 'cfo');
    const on = httpHost(storage.ports);
    const after = items(await on.get(`${path}/messages`, { tenant }));
    expect(after.map(({ content }) => content)).toEqual(['Now?', before[1]?.['content'], before[2]?.['content'], 'Then?']);
    for (const [at, item] of after.entries()) {
      expect(item['checksum']).toBe(before[at]?.['checksum']);
      expect(checksumOf(committedItem(item))).toBe(item['checksum']);
    }
    const { envelope } = await on.get(path, { tenant });
    expect(checksumOf(committedOf(envelope) as Json)).toBe(envelope.checksum);
    const react = (message_id: string) => on.post(`${path}/reactions`, { message_id, sender: 'ceo', reaction: '+1' }, { tenant });
    expect((await react('b')).code).toBe('record-erased');
    expect((await react('a')).status).toBe(200);
    expect((await on.post(`${path}/messages`, { sender: 'cfo', content: 'Back' }, { tenant })).text).toContain('Back');
  }); // prettier-ignore

  it('cost no storage call more once the keys of whom they are about are known', async () => {
    const tenant = newTenant();
    const made = await host.post('/conversations', { conversation_type: 'boardroom', participants: ['ceo'] }, { tenant }); // prettier-ignore
    const path = `/conversations/${made.envelope.id}`;
    const counting = countingPorts(storage.ports);
    const on = httpHost(counting.ports);
    const cost = async (work: () => Promise<Reply>): Promise<Record<string, number>> => {
      counting.reset();
      expect((await work()).status).toBe(200);
      return Object.fromEntries(Object.entries(counting.counts()).filter(([name]) => name.startsWith('tables'))); // prettier-ignore
    };
    const say = (name: string) => on.post(`${path}/messages`, { message_id: name, sender: 'cfo', content: name }, { tenant }); // prettier-ignore
    await say('a');
    await say('b');
    expect(await cost(() => say('c'))).toEqual({ 'tables.find': 3, 'tables.range': 1, 'tables.commit': 1 });
    await on.get(`${path}/messages`, { tenant });
    const listed = await cost(() => on.get(`${path}/messages`, { tenant }));
    expect(listed).toEqual({ 'tables.find': 2, 'tables.range': 1 });
  });

  it('are refused where they do not fit into a row once they are encrypted, and nothing is stored', async () => {
    const tenant = newTenant();
    const made = await host.post('/workflow-executions', { workflow_name: `w-${tenant}`, version: '1' }, { tenant }); // prettier-ignore
    const path = `/workflow-executions/${made.envelope.id}`;
    const step = (chars: number) =>
      host.post(`${path}/steps`, { step_id: 'a', status: 'completed', output: { text: 'x'.repeat(chars) } }, { tenant }); // prettier-ignore
    const refused = await step(400_000);
    expect([refused.code, items(await host.get(`${path}/steps`, { tenant }))]).toEqual(['payload-too-large', []]); // prettier-ignore
    const taken = await step(380_000);
    expect(taken.status, taken.text.slice(0, 300)).toBe(200);
    expect((await host.get(path, { tenant })).text).toContain('x'.repeat(380_000));
    expect((await host.get(path, { tenant, roles: READER })).text.length).toBeLessThan(3000);
  });

  it('fit into a row where they are many: a message as long as it may be, with many reactions', { timeout: 300_000 }, async () => {
    const tenant = newTenant();
    const body = { conversation_type: 'boardroom', participants: ['ceo'] };
    const { id } = (await host.post('/conversations', body, { tenant })).envelope;
    const message = { message_id: 'a', sender: 'ceo', content: 'é'.repeat(65_536), attachments: Array.from({ length: 50 }, (_, n) => `${n}`.padStart(1000, 'a')) }; // prettier-ignore
    const call = { tenant, actor: 'ada', correlationId: 'test', maySeeSensitive: true };
    const { manager } = host.platform;
    await manager.addPart(conversationType, id, 'messages', message, undefined, call);
    for (let n = 0; n < (kind.realTime ? 3 : 40); n += 1)
      await manager.addPart(conversationType, id, 'reactions', { message_id: 'a', sender: `${n}`.padStart(256, 's'), reaction: `${n}` }, undefined, call); // prettier-ignore
    const [last] = (await manager.get(conversationType, id, call)).envelope.data['messages'] as { reacted_by: unknown[] }[]; // prettier-ignore
    expect(last?.reacted_by).toHaveLength(kind.realTime ? 3 : 40);
  }); // prettier-ignore
});
