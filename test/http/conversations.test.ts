import { describe, expect, it } from 'vitest';
import { checksumOf, type Json } from '../../src/domain/canonical-json.js';
import { parseId } from '../../src/domain/ids.js';
import type { Conversation } from '../../src/records/conversation.js';
import { conversationType } from '../../src/records/conversation.js';
import { partitionKey } from '../../src/storage/keys.js';
import { partKey, partsPartition } from '../../src/storage/part-rows.js';
import { StorageFault } from '../../src/storage/ports.js';
import { committedOf } from '../support/committed.js';
import { countingPorts } from '../support/counting-ports.js';
import { newTenant, walk } from '../support/decisions.js';
import { httpHost, type HttpHost, type Reply, type RequestOptions } from '../support/http-harness.js';
import { STORAGES } from '../support/platform.js';
import { wrapPorts } from '../support/wrap-ports.js';
import { useHttpHost } from '../support/use-http-host.js';

const TALK = { conversation_type: 'boardroom', participants: ['ceo', 'cfo'] };
const day = (n: number): string => new Date(Date.UTC(2026, 0, 1 + n)).toISOString();
type Item = Readonly<Record<string, unknown>>;

/** REQ-DATA-007: conversations, whose messages are parts of them. */
describe.each(STORAGES)('/conversations $name', (kind) => {
  const { storage, host } = useHttpHost(kind);

  const begun = async (body: object, options: RequestOptions): Promise<Reply> => {
    const made = await host.post('/conversations', { ...TALK, ...body }, options);
    expect(made.status, made.text).toBe(201);
    return made;
  };
  const pathOf = (made: Reply): string => `/conversations/${made.envelope.id}`;
  const post = (made: Reply, body: object, options: RequestOptions, on = host): Promise<Reply> =>
    on.post(`${pathOf(made)}/messages`, { sender: 'cfo', ...body }, options);
  const dataOf = (reply: Reply): Conversation => reply.envelope.data as unknown as Conversation;
  const move = (made: Reply, { tenant = '' }: RequestOptions, on = host): Promise<number> =>
    on.platform.manager.digestParts(conversationType, tenant, made.envelope.id);
  const listed = async (made: Reply, query: string, options: RequestOptions, on = host): Promise<Item[]> => {
    const items: Item[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const page = await on.get(`${pathOf(made)}/messages?${query}${cursor === '' ? '' : `&cursor=${cursor}`}`, options); // prettier-ignore
      expect(page.status, page.text).toBe(200);
      items.push(...(page.page.items as readonly Item[]));
      cursor = page.page.next_cursor;
    }
    return items;
  };

  it('keeps what is said, from the create on, in the order it came', async () => {
    const options = { tenant: newTenant(), actor: 'ada' };
    const first = { message_id: 'a', sender: 'guest', content: 'Now?', reactions: ['+1', '+1'] };
    const made = await begun({ created_at: day(0), messages: [first, { sender: 'cfo', content: '', timestamp: day(1) }] }, options); // prettier-ignore
    const [one, two] = dataOf(made).messages;
    expect(one).toEqual({ ...first, number: 1, timestamp: day(0), attachments: [], reactions: ['+1'] });
    expect(two).toMatchObject({ number: 2, timestamp: day(1), message_id: expect.stringMatching(/^msg_[0-9a-f-]{36}$/) as unknown }); // prettier-ignore
    expect(dataOf(made)).toMatchObject({ ...TALK, conversation_id: made.envelope.id, created_at: day(0), message_count: 2, last_message_at: day(1), metadata: {} }); // prettier-ignore
    expect((await host.get(pathOf(made), options)).text).toBe(made.text);
    const named = await post(made, { message_id: 'b', content: 'No', attachments: ['why.pdf'], timestamp: day(2) }, options); // prettier-ignore
    const unnamed = await post(made, { content: 'Well' }, options);
    expect([named.status, unnamed.status, unnamed.envelope.revision]).toEqual([200, 200, 1]);
    const data = dataOf(unnamed);
    expect(data.messages.map(({ number, content }) => [number, content])).toEqual([[1, 'Now?'], [2, ''], [3, 'No'], [4, 'Well']]); // prettier-ignore
    expect(data.messages[3]?.message_id).toMatch(/^msg_/);
    expect(data.message_count).toBe(4);
    expect(data.last_message_at).toBe(data.messages[3]?.timestamp);
    expect(data.updated_at).toBe(data.messages[3]?.timestamp);
    for (const moved of [0, 2]) {
      if (moved > 0) expect(await move(made, options)).toBe(moved);
      for (const on of [host, httpHost(storage.ports)]) {
        const read = await on.get(pathOf(made), options);
        expect([read.json, read.etag]).toEqual([unnamed.json, unnamed.etag]);
        expect(read.envelope.checksum).toBe(checksumOf(committedOf(read.envelope) as Json));
      }
      const items = await listed(made, 'limit=3', options);
      expect(items.map(({ seq, number, change }) => [seq, number, change])).toEqual([[0, 1, 'message'], [0, 2, 'message'], [1, 3, 'message'], [2, 4, 'message']]); // prettier-ignore
      for (const { seq: _, added_at: __, checksum, salts, ...data } of items)
        expect(checksumOf(committedOf({ data, salts: salts as Record<string, string> }) as Json)).toBe(checksum); // prettier-ignore
    }
    expect(await move(made, options)).toBe(0);
    expect((await host.get(`${pathOf(made)}/revisions/1`, options)).json).toEqual(made.json);
    expect((await host.get('/conversations', options)).page.items).toMatchObject([{ conversation_type: 'boardroom', message_count: 4, last_message_at: data.last_message_at }]); // prettier-ignore
  });

  it('takes a message once, by its message_id, whatever became of it since', async () => {
    const options = { tenant: newTenant() };
    const come = { message_id: 'come', sender: 'ceo', content: 'First', timestamp: day(0) };
    const made = await begun({ created_at: day(0), messages: [come] }, options);
    const said = { message_id: 'said', content: 'Second', timestamp: day(1), attachments: ['x'] };
    const first = await post(made, said, options);
    const same = async (on = host): Promise<void> => {
      for (const body of [said, { ...said, timestamp: undefined }, { ...come, timestamp: undefined }, come]) {
        const again = await post(made, body, options, on);
        const now = await host.get(pathOf(made), options);
        expect([again.status, again.text, again.etag], again.text).toEqual([200, now.text, now.etag]);
      }
      for (const body of [
        { ...said, content: 'Other' },
        { ...said, sender: 'ceo' },
        { ...said, attachments: [] },
        { ...said, timestamp: day(2) },
        { ...come, content: 'Other' },
      ])
        // prettier-ignore
        expect((await post(made, body, options, on)).code).toBe('record-exists');
      const ahead = new Date(Date.now() + 6 * 60_000).toISOString();
      expect((await post(made, { ...said, timestamp: ahead }, options, on)).pointers).toEqual(['/timestamp']);
    };
    await same();
    expect(dataOf(first).messages).toHaveLength(2);
    const changes = [{ message_id: 'said', sender: 'ceo', reaction: '+1' }, { message_id: 'come', sender: 'cfo', reaction: '+1' }]; // prettier-ignore
    for (const body of changes) expect((await host.post(`${pathOf(made)}/reactions`, body, options)).status).toBe(200); // prettier-ignore
    expect((await host.post(`${pathOf(made)}/edits`, { message_id: 'come', sender: 'ceo', content: 'Changed' }, options)).status).toBe(200); // prettier-ignore
    await same();
    await move(made, options);
    await same(httpHost(storage.ports));
    expect(await listed(made, 'limit=10', options)).toHaveLength(5);
    await host.platform.sealer.sealTenant(options.tenant);
    const events = (await host.get(`/audit-events?resource_id=${made.envelope.id}`, options)).page.items;
    expect(events.map(({ action }) => action)).toEqual(['edit', 'react', 'react', 'message', 'create']);
  });

  it('answers a key with its first answer, also where there was nothing to do', async () => {
    const options = { tenant: newTenant() };
    const made = await begun({}, options);
    const keyed = { ...options, key: 'k' };
    const first = await post(made, { content: 'One' }, keyed);
    await post(made, { content: 'Two' }, options);
    await move(made, options);
    const again = await post(made, { content: 'One' }, keyed, httpHost(storage.ports));
    expect([again.text, again.etag, again.headers['idempotency-replayed']]).toEqual([first.text, first.etag, 'true']); // prettier-ignore
    expect((await post(made, { content: 'Other' }, keyed)).code).toBe('idempotency-key-reused');
    const named = { message_id: 'n', content: 'Three' };
    await post(made, named, options);
    const same = { ...options, key: 'k2' };
    const answers = [await post(made, named, same), await post(made, named, same, httpHost(storage.ports))];
    expect(answers.map((reply) => [reply.status, reply.headers['idempotency-replayed']])).toEqual([[200, undefined], [200, 'true']]); // prettier-ignore
    expect((await post(made, { ...named, message_id: 'm' }, same)).code).toBe('idempotency-key-reused');
    expect((await post(made, { ...named, content: 'Four' }, { ...options, key: 'k3' })).code).toBe('record-exists'); // prettier-ignore
    expect((await post(made, { message_id: 'o', content: 'Four' }, { ...options, key: 'k3' })).status).toBe(200); // prettier-ignore
    expect(await listed(made, '', options)).toHaveLength(4);
  });

  it('does not do later under a key what it had no need to do at first', { timeout: 120_000 }, async () => {
    const options = { tenant: newTenant() };
    const come = { message_id: 'come', sender: 'ceo', content: 'A' };
    const made = await begun({ messages: [come] }, options);
    const edit = (message: string, content: string, key?: string, on = host): Promise<Reply> =>
      on.post(`${pathOf(made)}/edits`, { message_id: message, sender: 'ceo', content }, { ...options, ...(key === undefined ? {} : { key }) });
    const firsts: (readonly [string, Reply])[] = [];
    const first = async (message: string): Promise<void> => {
      firsts.push([message, await edit(message, 'A', `k${firsts.length}`)]);
      expect(firsts.at(-1)?.[1].headers['idempotency-replayed']).toBeUndefined();
    };
    // Before anything was added; while all entries are shown; and when only the standing one is.
    await first('come');
    await post(made, { message_id: 'said', content: 'A' }, options);
    for (const message of ['come', 'said']) await first(message);
    for (let n = 0; n < 50; n += 1) await post(made, { content: `${n}` }, options);
    for (const message of ['come', 'said']) await first(message);
    expect(dataOf(firsts[4]?.[1] as Reply).messages).toMatchObject([{ message_id: 'said', content: 'A' }]);
    for (const message of ['come', 'said']) expect((await edit(message, 'B')).status).toBe(200);
    const before = await host.get(pathOf(made), options);
    for (const moved of [false, true]) {
      if (moved) await move(made, options);
      for (const [n, [message, reply]] of firsts.entries()) {
        const again = await edit(message, 'A', `k${n}`, httpHost(storage.ports));
        expect([again.status, again.text, again.etag, again.headers['idempotency-replayed']]).toEqual([200, reply.text, reply.etag, 'true']); // prettier-ignore
        expect((await edit(message, 'C', `k${n}`)).code).toBe('idempotency-key-reused');
      }
    }
    expect((await host.get(pathOf(made), options)).text).toBe(before.text);
  }); // prettier-ignore

  it('remembers that there was nothing to do when the answer to that is lost', async () => {
    const options = { tenant: newTenant() };
    const made = await begun({}, options);
    const said = { message_id: 'm', content: 'Once' };
    const first = await post(made, said, options);
    let lost = 0;
    const unlucky = httpHost(
      wrapPorts(storage.ports, async (call, run) => {
        const done = await run();
        if (call.method !== 'commit' || call.args[0] !== 'conversationmessages' || lost > 0) return done;
        lost += 1;
        throw new StorageFault('unavailable', 'no answer');
      }),
    );
    for (const on of [unlucky, host]) {
      const reply = await post(made, said, { ...options, key: 'k' }, on);
      expect([reply.status, reply.text, lost]).toEqual([200, first.text, 1]);
    }
    expect(await listed(made, '', options)).toHaveLength(1);
  });

  it('answers that a message is there with the message, whoever added it meanwhile', async () => {
    const options = { tenant: newTenant() };
    const made = await begun({}, options);
    const said = { message_id: 'm', content: 'A' };
    const between = (key: 'h:' | 'n:', meanwhile: () => Promise<unknown>): HttpHost => {
      let begunOnce: Promise<unknown> | undefined;
      return httpHost(
        wrapPorts(storage.ports, async (call, run) => {
          const row = String(call.args[2]).slice(0, 2);
          if (call.method !== 'find' || call.args[0] !== 'conversationmessages') return run();
          if (row === key) {
            const read = await run();
            await (begunOnce ??= meanwhile());
            return read;
          }
          // The other of the two is read after what came meanwhile.
          if (['h:', 'n:'].includes(row)) await expect.poll(() => begunOnce).toBeDefined();
          await begunOnce;
          return run();
        }),
      );
    };
    const late = await post(made, said, options, between('h:', () => post(made, said, options))); // prettier-ignore
    expect(dataOf(late)).toMatchObject({ message_count: 1, messages: [{ message_id: 'm', content: 'A' }] });
    const edit = (content: string, on = host): Promise<Reply> =>
      on.post(`${pathOf(made)}/edits`, { message_id: 'm', sender: 'ceo', content }, options);
    const edited = await edit(
      'A',
      between('n:', () => edit('B')),
    );
    expect(dataOf(edited).messages).toMatchObject([{ message_id: 'm', content: 'A' }]);
    expect((await listed(made, '', options)).map(({ content }) => content)).toEqual(['A', 'B', 'A']);
  });

  it('does not take a list for whole whose last entries are gone', async () => {
    const options = { tenant: newTenant() };
    const made = await begun({}, options);
    for (let n = 0; n < 5; n += 1) await post(made, { content: `${n}` }, options);
    const { id } = made.envelope;
    const key = partitionKey(options.tenant, partsPartition(parseId(id)?.ms ?? 0, id));
    for (const seq of [5, 4])
      await storage.ports.tables.commit('conversationmessages', key, [{ kind: 'delete', rowKey: partKey(id, seq), etag: '*' }]); // prettier-ignore
    for (const query of ['', 'limit=3', `from=${day(0)}`])
      expect((await host.get(`${pathOf(made)}/messages?${query}`, options)).code).toBe('integrity-failure');
    const page = await host.get(`${pathOf(made)}/messages?limit=2`, options);
    expect([page.status, page.page.items.length]).toEqual([200, 2]);
    const rest = await host.get(`${pathOf(made)}/messages?cursor=${page.page.next_cursor ?? ''}`, options);
    expect(rest.code).toBe('integrity-failure');
  });

  it('goes on with what comes while the last page is read', async () => {
    const options = { tenant: newTenant() };
    const made = await begun({}, options);
    let come = 0;
    const busy = httpHost(
      wrapPorts(storage.ports, async (call, run) => {
        const done = await run();
        if (call.method === 'range' && call.args[0] === 'conversationmessages' && come < 3)
          await post(made, { content: String((come += 1)) }, options);
        return done;
      }),
    );
    const items = await listed(made, 'limit=10', options, busy);
    expect(items.map(({ content }) => content)).toEqual(['1', '2', '3']);
  });

  it('appends edits and reactions, and rewrites nothing', async () => {
    const options = { tenant: newTenant() };
    const made = await begun({}, options);
    await post(made, { message_id: 'a', content: 'Draft', attachments: ['x'] }, options);
    await post(made, { message_id: 'b', content: 'Other' }, options);
    const edit = (body: object): Promise<Reply> => host.post(`${pathOf(made)}/edits`, { message_id: 'a', sender: 'ceo', ...body }, options); // prettier-ignore
    const react = (body: object): Promise<Reply> => host.post(`${pathOf(made)}/reactions`, { message_id: 'a', sender: 'ceo', reaction: '+1', ...body }, options); // prettier-ignore
    const before = await listed(made, '', options);
    const edited = await edit({ content: 'Final' });
    expect(dataOf(edited).messages[0]).toMatchObject({ message_id: 'a', sender: 'cfo', content: 'Final', attachments: ['x'], edited_by: 'ceo' }); // prettier-ignore
    for (const body of [{}, { sender: 'cfo' }, { reaction: '__proto__' }]) expect((await react(body)).status).toBe(200); // prettier-ignore
    const reacted = await react({});
    expect(dataOf(reacted).messages[0]).toMatchObject({ content: 'Final', reactions: ['+1', '__proto__'], reacted_by: [{ sender: 'ceo', reaction: '+1' }, { sender: 'cfo', reaction: '+1' }, { sender: 'ceo', reaction: '__proto__' }] }); // prettier-ignore
    expect(dataOf(reacted).messages[0]).not.toHaveProperty('change');
    expect([dataOf(reacted).message_count, dataOf(reacted).messages.length]).toEqual([2, 2]);
    expect((await edit({ content: 'Final' })).etag).toBe(reacted.etag);
    expect((await edit({ content: 'Final', attachments: [] })).status).toBe(200);
    const entries = await listed(made, '', options);
    expect(entries.slice(0, 2)).toEqual(before);
    expect(entries.map(({ seq, change, changed_by: by }) => [seq, change, by])).toEqual([[1, 'message', 'cfo'], [2, 'message', 'cfo'], [3, 'edit', 'ceo'], [4, 'reaction', 'ceo'], [5, 'reaction', 'cfo'], [6, 'reaction', 'ceo'], [7, 'edit', 'ceo']]); // prettier-ignore
    for (const reply of [
      await edit({ message_id: 'none', content: 'x' }),
      await react({ message_id: 'none' }),
    ])
      expect([reply.status, reply.pointers]).toEqual([422, ['/message_id']]);
    for (let n = 3; n < 200; n += 1) expect((await react({ sender: `s${n}` })).status).toBe(200);
    expect((await react({ sender: 'one more' })).pointers).toEqual(['/reaction']);
    expect((await react({})).status).toBe(200);
    expect((await host.get(`${pathOf(made)}/reactions`, options)).status).toBe(405);
    await host.platform.sealer.sealTenant(options.tenant);
    const events = (await host.get(`/audit-events?resource_id=${made.envelope.id}&limit=7`, options)).page
      .items;
    expect(events.every(({ action }) => action === 'react')).toBe(true);
  });

  it('finds messages from a time on, in the order they came', async () => {
    const options = { tenant: newTenant() };
    const made = await begun({ created_at: day(0), messages: [3, 1].map((n) => ({ sender: 'ceo', content: `c${n}`, timestamp: day(n) })) }, options); // prettier-ignore
    // Late ones among early ones: the latest so far goes 2, 6, 6, 6, 6, 9, 9, …
    const days = [2, 6, 4, 1, 5, 9, 7, 8, 3, 9, 10, 0];
    for (const n of days) await post(made, { content: `m${n}`, timestamp: day(n) }, options);
    const all = [3, 1, ...days];
    for (const moved of [false, true]) {
      if (moved) await move(made, options);
      for (const from of [-1, 0, 1, 3, 5, 6, 8, 9, 10, 11])
        for (const limit of [1, 2, 4, 100]) {
          const found = await listed(made, `from=${day(from)}&limit=${limit}`, options);
          expect(found.map(({ timestamp }) => timestamp)).toEqual(all.filter((n) => n >= from).map(day));
        }
    }
    const page = await host.get(`${pathOf(made)}/messages?limit=1&from=${day(1)}`, options);
    const cursor = page.page.next_cursor ?? '';
    const missing = '/conversations/con_019b0000-0000-7000-8000-000000000000/messages';
    expect((await host.get(`${missing}?cursor=${cursor}`, options)).status).toBe(400);
    for (const query of [
      `cursor=${cursor}`,
      `from=${day(2)}&cursor=${cursor}`,
      'cursor=x',
      'to=2026-01-01T00:00:00Z',
      'from=yesterday',
    ])
      // prettier-ignore
      expect((await host.get(`${pathOf(made)}/messages?${query}`, options)).status).toBe(400);
    const run = await host.post('/workflow-executions', { workflow_name: 'w', version: '1' }, options);
    expect((await host.get(`/workflow-executions/${run.envelope.id}/steps?from=${day(0)}`, options)).status).toBe(400); // prettier-ignore
  });

  it('shows the latest hundred entries folded, with the changes of what it shows', { timeout: 120_000 }, async () => {
    const options = { tenant: newTenant() };
    const come = Array.from({ length: 60 }, (_, n) => ({ message_id: `c${n}`, sender: 'ceo', content: `c${n}` })); // prettier-ignore
    const made = await begun({ messages: come }, options);
    const shown = async (): Promise<readonly string[]> =>
      dataOf(await host.get(pathOf(made), options)).messages.map(({ content }) => content);
    await host.post(`${pathOf(made)}/edits`, { message_id: 'c59', sender: 'ceo', content: 'c59!' }, options);
    for (let n = 0; n < 50; n += 1) expect((await post(made, { content: `m${n}` }, options)).status).toBe(200); // prettier-ignore
    await move(made, options);
    const texts = [...Array.from({ length: 59 }, (_, n) => `c${n}`), 'c59!', ...Array.from({ length: 50 }, (_, n) => `m${n}`)]; // prettier-ignore
    expect(await shown()).toEqual(texts.slice(11));
    for (let n = 50; n < 110; n += 1) await post(made, { content: `m${n}` }, options);
    expect(await shown()).toEqual(Array.from({ length: 100 }, (_, n) => `m${n + 10}`));
    const last = await post(made, { message_id: 'last', content: 'last' }, options);
    expect(dataOf(last).messages.map(({ content }) => content)).toEqual(['last']);
    expect(dataOf(last).message_count).toBe(60 + 111);
    const again = await post(made, { message_id: 'last', content: 'last' }, options);
    expect(again.text).toBe(last.text);
  }); // prettier-ignore

  it('lets messages of two hosts land while both move them, all of them, once', async () => {
    const options = { tenant: newTenant() };
    const made = await begun({}, options);
    const hosts = [host, httpHost(storage.ports)] as const;
    const moves: Promise<number>[] = [];
    const replies = await Promise.all(
      Array.from({ length: 40 }, async (_, n) => {
        const reply = await post(made, { message_id: `m${n % 30}`, content: `${n % 30}` }, options, hosts[n % 2]); // prettier-ignore
        moves.push(move(made, options, hosts[n % 2]));
        return reply;
      }),
    );
    expect(replies.map(({ status }) => status)).toEqual(Array(40).fill(200));
    const counts = await Promise.all([...moves, move(made, options)]);
    expect(counts.reduce((a, b) => a + b)).toBe(30);
    const entries = await listed(made, 'limit=7', options);
    expect(entries.map(({ seq }) => seq)).toEqual(Array.from({ length: 30 }, (_, n) => n + 1));
    expect(new Set(entries.map(({ message_id: id }) => id)).size).toBe(30);
    expect(dataOf(await host.get(pathOf(made), options)).message_count).toBe(30);
  });

  it('adds a message once when the answer to its commit is lost', async () => {
    const options = { tenant: newTenant() };
    const made = await begun({}, options);
    let lost = 0;
    const unlucky = httpHost(
      wrapPorts(storage.ports, async (call, run) => {
        const done = await run();
        if (call.method !== 'commit' || call.args[0] !== 'conversationmessages' || lost > 0) return done;
        lost += 1;
        throw new StorageFault('unavailable', 'no answer');
      }),
    );
    const reply = await post(made, { content: 'Once' }, options, unlucky);
    expect([reply.status, lost]).toEqual([200, 1]);
    expect(await listed(made, '', options)).toHaveLength(1);
  });

  it('refuses what no conversation and no message can be, says where, and stores nothing', async () => {
    const options = { tenant: newTenant() };
    const ahead = new Date(Date.now() + 6 * 60_000).toISOString();
    const say = { sender: 'ceo', content: 'x' };
    const talks: readonly (readonly [object, readonly string[]])[] = [
      [{ conversation_type: 'shouting' }, ['/conversation_type']],
      [{ participants: [] }, ['/participants']],
      [{ participants: Array.from({ length: 1001 }, (_, n) => `p${n}`) }, ['/participants']],
      [{ participants: ['a', 'b', 'a'] }, ['/participants/2']],
      [{ participants: [' '] }, ['/participants/0']],
      [{ conversation_id: 'x' }, ['/conversation_id']],
      [{ message_count: 1 }, ['/message_count']],
      [{ created_at: ahead }, ['/created_at']],
      [{ messages: Array(101).fill(say) }, ['/messages']],
      [{ messages: [say, { ...say, surprise: 1 }] }, ['/messages/1/surprise']],
      [{ messages: [{ ...say, timestamp: ahead }] }, ['/messages/0/timestamp']],
      [{ messages: [{ ...say, message_id: 'm' }, say, { ...say, message_id: 'm' }] }, ['/messages/2/message_id']], // prettier-ignore
    ];
    for (const [body, pointers] of talks) {
      const reply = await host.post('/conversations', { ...TALK, ...body }, options);
      expect([reply.status, reply.pointers], reply.text).toEqual([422, pointers]);
    }
    expect((await walk(host, '/conversations', options)).ids).toEqual([]);
    const made = await begun({}, options);
    const bodies: readonly (readonly [string, object, string])[] = [
      ['messages', { content: 'x' }, '/sender'],
      ['messages', { sender: 'a' }, '/content'],
      ['messages', { ...say, content: 'x'.repeat(65_537) }, '/content'],
      ['messages', { ...say, number: 1 }, '/number'],
      ['messages', { ...say, message_id: ' ' }, '/message_id'],
      ['messages', { ...say, timestamp: ahead }, '/timestamp'],
      ['messages', { ...say, attachments: Array(51).fill('x') }, '/attachments'],
      ['messages', { ...say, reactions: Array(201).fill('x') }, '/reactions'],
      ['edits', say, '/message_id'],
      ['edits', { ...say, message_id: 'a', reaction: 'x' }, '/reaction'],
      ['reactions', { message_id: 'a', sender: 'a', reaction: 'x'.repeat(65) }, '/reaction'],
    ];
    for (const [path, body, pointer] of bodies) {
      const reply = await host.post(`${pathOf(made)}/${path}`, body, options);
      expect([reply.status, reply.pointers], reply.text).toEqual([422, [pointer]]);
    }
    expect((await post(made, {}, { ...options, ifMatch: '"stale"' })).code).toBe('version-conflict');
    expect(
      (
        await post(
          made,
          { content: '\u0001'.repeat(65_000), attachments: Array(50).fill('\u0001'.repeat(250)) },
          options,
        )
      ).code,
    ).toBe('payload-too-large');
    expect((await host.post(`${pathOf(made)}/nothing`, say, options)).status).toBe(404);
    expect((await host.post('/conversations/con_019b0000-0000-7000-8000-000000000000/messages', say, options)).status).toBe(404); // prettier-ignore
    expect((await host.get(`${pathOf(made)}/messages`, { tenant: newTenant() })).status).toBe(404);
    expect(await listed(made, '', options)).toEqual([]);
    const patch = async (body: object): Promise<Reply> =>
      host.patch(pathOf(made), body, (await host.get(pathOf(made), options)).etag, options);
    for (const member of conversationType.immutable)
      expect((await patch({ [member]: null })).code).toBe('record-immutable');
    await post(made, { content: 'kept' }, options);
    expect((await patch({ participants: ['a', 'a'] })).pointers).toEqual(['/participants/1']);
    const patched = await patch({ participants: ['a', 'b'], metadata: { topic: 'x' } });
    expect(dataOf(patched)).toMatchObject({ participants: ['a', 'b'], metadata: { topic: 'x' }, message_count: 1, messages: [{ content: 'kept' }] }); // prettier-ignore
    expect((await host.get('/conversations', options)).page.items).toMatchObject([{ revision: 2, message_count: 1 }]); // prettier-ignore
  });

  it('lists by type and time', async () => {
    const options = { tenant: newTenant() };
    const ids: string[] = [];
    for (const [n, conversation_type] of ['boardroom', 'user_to_agent', 'boardroom'].entries())
      ids.unshift((await begun({ conversation_type, created_at: day(n * 20) }, options)).envelope.id);
    expect((await walk(host, '/conversations?limit=2', options)).ids).toEqual(ids);
    expect((await walk(host, '/conversations?conversation_type=boardroom', options)).ids).toEqual([ids[0], ids[2]]); // prettier-ignore
    expect((await walk(host, `/conversations?from=${day(1)}&to=${day(40)}`, options)).ids).toEqual([ids[1]]);
  });

  it('costs the same per message at the end as at the start, before and after they move', { timeout: 240_000 }, async () => {
    const options = { tenant: newTenant() };
    const counting = countingPorts(storage.ports);
    const writer = httpHost(counting.ports);
    const made = await begun({}, options);
    const total = kind.realTime ? 130 : 600;
    const cost = async (run: () => Promise<Reply>): Promise<Record<string, number>> => {
      counting.reset();
      const reply = await run();
      expect(reply.status, reply.text).toBe(200);
      // Now and then, whoever adds what: the partition is announced, and the sealer told of what is pending.
      return counting.counts(({ method, args }) => !(method === 'commit' && args[0] === 'system') && method !== 'send'); // prettier-ignore
    };
    const add = (n: number) => cost(() => post(made, { message_id: `m${n}`, content: `${n}` }, options, writer)); // prettier-ignore
    await add(0);
    for (let n = 1; n < total; n += 1) {
      // The record, the head, the name; then the entries before, while all of them are shown.
      const { 'tables.range': ranges = 0, ...rest } = await add(n);
      expect([rest, ranges]).toEqual([{ 'tables.find': 3, 'tables.commit': 1 }, n < 50 ? 1 : 0]);
    }
    counting.reset();
    expect(await writer.platform.manager.digestParts(conversationType, options.tenant, made.envelope.id)).toBe(total); // prettier-ignore
    const rounds = Math.ceil(total / 90);
    const summary = { finds: 2, commits: 1 };
    expect(counting.counts()).toEqual({
      'tables.find': 2 * rounds + summary.finds,
      'tables.range': rounds,
      'blobs.createAppend': 1,
      'blobs.append': rounds,
      'tables.commit': rounds + summary.commits,
    });
    expect(await add(total)).toEqual({ 'tables.find': 3, 'tables.commit': 1 });
    // Of what is there already: the name once more; a key adds its insert and its row, and nothing else is stored.
    const again = (key?: string) => cost(() => post(made, { message_id: `m${total}`, content: `${total}` }, { ...options, ...(key === undefined ? {} : { key }) }, writer)); // prettier-ignore
    expect(await again()).toEqual({ 'tables.find': 5 });
    expect(await again('once')).toEqual({ 'tables.find': 5, 'tables.commit': 2 });
    // The keys of who edits are made when he is first seen.
    await post(await begun({}, options), { sender: 'a', content: 'x' }, options, writer);
    // An edit of what has moved reads the standing entry's row and its line.
    const edited = await cost(() => writer.post(`${pathOf(made)}/edits`, { message_id: 'm7', sender: 'a', content: 'x' }, options)); // prettier-ignore
    expect(edited).toEqual({ 'tables.find': 4, 'blobs.find': 1, 'tables.commit': 1 });
    const page = await cost(() => writer.get(`${pathOf(made)}/messages?limit=100`, options));
    expect(page).toEqual({ 'tables.find': 1, 'tables.range': 1, 'blobs.find': 2 });
    const { next_cursor: cursor } = (await host.get(`${pathOf(made)}/messages?limit=1`, options)).page;
    expect(await cost(() => writer.get(`${pathOf(made)}/messages?limit=100&cursor=${cursor}`, options))).toEqual({ 'tables.find': 1, 'tables.range': 1, 'blobs.find': 1 }); // prettier-ignore
    const read = await cost(() => writer.get(pathOf(made), options));
    expect(read).toEqual({ 'tables.find': 2, 'tables.range': 1, 'blobs.find': 2 });
    // The head says that a last page is the last.
    const short = await begun({}, options);
    for (const content of ['x', 'y']) await post(short, { content }, options);
    const { next_cursor: on } = (await host.get(`${pathOf(short)}/messages?limit=1`, options)).page;
    await cost(() => writer.get(`${pathOf(short)}/messages?cursor=${on}`, options));
    // What the tenant has set is read once in ten minutes.
    const calls = counting.calls.filter(({ args }) => args[0] !== 'system');
    expect(calls.map(({ method, args }) => `${method} ${String(args[0])}`)).toEqual(['find conversations', 'range conversationmessages', 'find conversationmessages']); // prettier-ignore
    const items = await listed(made, 'limit=1000', options);
    expect(items.map(({ seq }) => seq)).toEqual(Array.from({ length: total + 2 }, (_, n) => n + 1));
    const middle = String(items[Math.floor(total / 2)]?.['timestamp']);
    const { 'tables.find': finds = 0, ...rest } = await cost(() => writer.get(`${pathOf(made)}/messages?from=${middle}&limit=10`, options)); // prettier-ignore
    expect(rest).toEqual({ 'tables.range': 1, 'blobs.find': 2 });
    expect(finds).toBeLessThanOrEqual(2 + Math.ceil(Math.log2(total + 2)));
  }); // prettier-ignore
});
