import { beforeAll, describe, expect, it } from 'vitest';
import { bundleEntries, tileIn, tilePath, TILE_WIDTH, type Tile } from '../../src/audit/log/tiles.js';
import { verifyEventProof } from '../../src/audit/verifier/index.js';
import type { Clock } from '../../src/domain/clock.js';
import { conversationType } from '../../src/records/conversation.js';
import { isFault } from '../../src/storage/ports.js';
import { DAY } from '../lifecycle/support.js';
import { newTenant } from '../support/decisions.js';
import { httpHost } from '../support/http-harness.js';
import { TEST_LOG_KEYS } from '../support/log-keys.js';
import { seenIn } from '../support/published-log.js';
import { STORAGES } from '../support/platform.js';
import { useHttpHost } from '../support/use-http-host.js';
import { realClock } from '../support/virtual-clock.js';

const LONG = 'What was said at length. '.repeat(2400);
const MESSAGES = 2;

/** The clock of a host of a hundred days before a time. */
function longBefore(ms: number): Clock {
  const begun = realClock.monotonic();
  const now = (): number => Math.floor(ms - 100 * DAY + realClock.monotonic() - begun);
  return { now, monotonic: () => realClock.monotonic(), sleep: (time) => realClock.sleep(time) };
}

/** REQ-STO-008: messages are in append blobs, which nothing but the process itself can move. */
describe.each(STORAGES)('messages in the archive $name', (kind) => {
  const { storage, host } = useHttpHost(kind);
  const tenant = newTenant();
  const as = { tenant };
  const asAuditor = { tenant, roles: 'records.auditor' };
  const ids: string[] = [];
  const before: string[] = [];
  let proof = '';
  let eventId = '';

  const archive = async () => {
    const { outcome, counts } = await host.platform.jobs.start('archive');
    expect(outcome).toBe('done');
    return counts;
  };
  const blobsOf = async (part: string): Promise<readonly string[]> => {
    const { names } = await storage.ports.blobs.list('records', `${tenant}/conversation/${part}`);
    return names;
  };
  const read = async (id: string): Promise<string> => {
    const [whole, messages] = [await host.get(`/conversations/${id}`, as), await host.get(`/conversations/${id}/messages`, as)]; // prettier-ignore
    expect([whole.status, messages.status], whole.text).toEqual([200, 200]);
    return `${whole.text}\n${messages.text}`;
  };

  /** The exact bytes of an event, as an auditor takes them from the log. */
  const leafOf = async (id: string): Promise<string> => {
    const seen = seenIn(tenant, (await host.get('/audit/log/checkpoint', asAuditor)).text);
    if (typeof seen === 'string') throw new Error(seen);
    const { leaf_index: leaf } = (await host.get(`/audit-events/${id}`, asAuditor)).json;
    const index = Number(leaf);
    const tile = tileIn(seen.size, { level: 'entries', index: Math.floor(index / TILE_WIDTH) }) as Tile;
    const { bytes } = await host.get(`/audit/log/${tilePath(tile)}`, asAuditor);
    return Buffer.from(bundleEntries(bytes, tile.width)?.[index % TILE_WIDTH] ?? []).toString('utf8');
  };

  beforeAll(async () => {
    // Ages are told by the clock of the service, which is not that of the host.
    const row = { kind: 'upsert', rowKey: 'clock', properties: {} } as const;
    await storage.ports.tables.commit('system', '_system:test', [row]);
    const now = (await storage.ports.tables.find('system', '_system:test', 'clock'))?.timestampMs ?? 0;
    const then = httpHost(storage.ports, { clock: longBefore(now) });
    // What grows with records of one digit is in one partition.
    const byDigit = new Map<string, string[]>();
    for (let same: string[] = []; same.length < 2;) {
      const made = await then.post('/conversations', { conversation_type: 'boardroom', participants: ['ceo'] }, as); // prettier-ignore
      expect(made.status, made.text).toBe(201);
      const { id } = made.envelope;
      same = [...(byDigit.get(id.slice(-1)) ?? []), id];
      byDigit.set(id.slice(-1), same);
      if (same.length === 2) ids.push(...same);
    }
    for (const id of ids) {
      for (let at = 0; at < MESSAGES; at += 1) {
        const said = await then.post(`/conversations/${id}/messages`, { sender: 'é', content: `${String(at)} ${LONG}` }, as); // prettier-ignore
        expect(said.status, said.text).toBe(200);
      }
      expect(await then.platform.manager.digestParts(conversationType, tenant, id)).toBe(MESSAGES);
      before.push(await read(id));
    }
    await host.platform.sealer.sealTenant(tenant);
    const { items } = (await host.get(`/audit-events?resource_id=${ids[0] ?? ''}`, asAuditor)).json as { items: Record<string, unknown>[] }; // prettier-ignore
    eventId = String(items.find(({ action }) => action === 'message')?.['event_id']);
    const proved = await host.get(`/audit-events/${eventId}/proof`, asAuditor);
    expect(proved.status, proved.text).toBe(200);
    proof = proved.text;
    await host.platform.jobs.start('index-subjects');
  }, 60_000);

  it('are in one blob of the cool tier, and every byte of an answer is as it was', async () => {
    expect(await archive()).toMatchObject({ movedStreams: 2, damaged: 0 });
    const [pack = '', ...more] = await blobsOf('_streams/');
    expect([more, await storage.ports.blobs.blockState('records', pack)]).toMatchObject([[], { tier: 'cool' }]); // prettier-ignore
    expect((await blobsOf('')).filter((name) => name.includes('/messages/'))).toEqual([]);
    expect(await Promise.all(ids.map(read))).toEqual(before);
  });

  it('answer 409 with the way back once the blob is archived, and take none more', async () => {
    expect(await archive()).toMatchObject({ archivedStreams: 2, archivedPacks: 1 });
    const [pack = ''] = await blobsOf('_streams/');
    const refused = await storage.ports.blobs.find('records', pack).catch((error: unknown) => error);
    expect(isFault(refused, 'archived')).toBe(true);
    const [id = ''] = ids;
    for (const path of ['', '/messages', '/messages?from=2020-01-01T00:00:00.000Z']) {
      const answer = await host.get(`/conversations/${id}${path}`, as);
      expect([answer.status, answer.code], path).toEqual([409, 'record-archived']);
      expect(answer.problem.rehydrate).toBe(`/api/conversations/${id}/rehydrate`);
    }
    const said = await host.post(`/conversations/${id}/messages`, { sender: 'é', content: 'And now?' }, as);
    expect([said.status, said.code]).toEqual([409, 'record-archived']);
    const { page } = await host.get('/conversations?limit=100', as);
    expect(page.items.find((one) => one['id'] === id)).toMatchObject({ message_count: MESSAGES });
  });

  it('come back when they are asked for, to the byte, and are proved as before', async () => {
    const [id = '', other = ''] = ids;
    const asked = await host.post(`/conversations/${id}/rehydrate`, { priority: 'high' }, as);
    expect([asked.status, asked.json['problem']], asked.text).toEqual([202, null]);
    expect(await read(id)).toBe(before[0]);
    expect((await host.get(`/conversations/${other}`, as)).code).toBe('record-archived');
    const [pack = ''] = await blobsOf('_streams/');
    expect(await storage.ports.blobs.blockState('records', pack)).toMatchObject({ tier: 'archive' });
    // The event of a message is what it was, and says what the message is that came back.
    await host.platform.sealer.sealTenant(tenant);
    const [vkey = ''] = TEST_LOG_KEYS.vkeys(tenant);
    const event = await leafOf(eventId);
    const now = (await host.get(`/audit-events/${eventId}/proof`, asAuditor)).text;
    for (const one of [proof, now])
      expect((await verifyEventProof(event, one, { vkey })).verdict).toBe('yes');
    const { items } = (await host.get(`/conversations/${id}/messages`, as)).json as { items: Record<string, unknown>[] }; // prettier-ignore
    const { details } = JSON.parse(event) as { details: Record<string, unknown> };
    const message = items.find(({ seq }) => seq === details['seq']);
    expect(message?.['checksum']).toBe(details['checksum']);
    const said = await host.post(`/conversations/${id}/messages`, { sender: 'é', content: 'And now?' }, as);
    expect(said.status, said.text).toBe(200);
  });

  it('are told of in the audit trail', async () => {
    await host.platform.sealer.sealTenant(tenant);
    const { items } = (await host.get(`/audit-events?resource_id=${ids[1] ?? ''}&limit=100`, asAuditor)).json as { items: Record<string, unknown>[] }; // prettier-ignore
    const told = items.filter(({ event_type: type }) => type === 'record.archived').map(({ details }) => details); // prettier-ignore
    const entries = { from: 1, to: MESSAGES, count: MESSAGES };
    expect(told).toEqual([
      expect.objectContaining({ from: 'cool', to: 'archive', part: 'messages', entries }),
      expect.objectContaining({ from: 'hot', to: 'cool', part: 'messages', entries }),
    ]);
  });
});
