import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checksumOf, type Json } from '../../src/domain/canonical-json.js';
import { LIMITS } from '../../src/domain/limits.js';
import type { PartsDeclaration } from '../../src/domain/parts.js';
import type { Platform } from '../../src/platform.js';
import { conversationType } from '../../src/records/conversation.js';
import { partitionKey, prefixRange } from '../../src/storage/keys.js';
import type { IntegrityFinding } from '../../src/storage/manager-types.js';
import { partKey, partsPartition } from '../../src/storage/part-rows.js';
import { StorageFault, type Row, type StoragePorts } from '../../src/storage/ports.js';
import { timeOfId } from '../../src/storage/record-location.js';
import { withRowChecksum } from '../../src/storage/row-checksum.js';
import { digestKey } from '../../src/storage/series-rows.js';
import { countingPorts } from '../support/counting-ports.js';
import { newTenant } from '../support/decisions.js';
import { caller, openStorage, STORAGES, testPlatform } from '../support/platform.js';
import type { StorageUnderTest } from '../support/storages.js';
import { wrapPorts, type Intercept } from '../support/wrap-ports.js';
import { diesAt, Sleeper, World } from '../lifecycle/support.js';

const TABLE = (conversationType.parts as PartsDeclaration).table;
const DAY_ONE = '2026-01-31T12:00:00.000Z';
const numbers = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, n) => from + n); // prettier-ignore

/** A conversation on a storage, and what it is at rest. */
class Talk {
  constructor(
    readonly ports: StoragePorts,
    readonly platform: Platform,
    readonly call = caller({ tenant: newTenant() }),
    public id = '',
  ) {}

  async begin(): Promise<this> {
    const body = { conversation_type: 'boardroom', participants: ['ceo'], created_at: DAY_ONE };
    this.id = (await this.platform.manager.create(conversationType, body, this.call)).envelope.id;
    return this;
  }

  async say(count: number, content = ''): Promise<void> {
    for (let n = 0; n < count; n += 1)
      await this.platform.manager.addPart(conversationType, this.id, 'messages', { sender: 'é', content: `${content}${n}` }, undefined, this.call); // prettier-ignore
  }

  move(platform = this.platform): Promise<number> {
    return platform.manager.digestParts(conversationType, this.call.tenant, this.id);
  }

  async list(platform = this.platform): Promise<readonly Record<string, unknown>[]> {
    const { items } = await platform.manager.listParts(conversationType, this.id, 'messages', { limit: 1000 }, this.call); // prettier-ignore
    return items;
  }

  get key(): string {
    return partitionKey(this.call.tenant, partsPartition(timeOfId(conversationType, this.id), this.id));
  }
  blob(file: number): string {
    return `${this.call.tenant}/conversation/2026-01/${this.id}/messages/${String(file).padStart(4, '0')}.jsonl`;
  }

  async rows(): Promise<readonly Row[]> {
    const range = { ...prefixRange(`p:${this.id}:`), limit: 1000 };
    return (await this.ports.tables.range(TABLE, this.key, range)).rows;
  }
  async come(): Promise<Record<string, unknown>> {
    const row = await this.ports.tables.find(TABLE, this.key, digestKey(this.id));
    return { ...row?.properties };
  }
  async bytes(file: number): Promise<Buffer> {
    return Buffer.from((await this.ports.blobs.find('records', this.blob(file)))?.bytes ?? []);
  }
  async lines(file: number): Promise<readonly Record<string, unknown>[]> {
    const text = (await this.bytes(file)).toString('utf8');
    expect(text === '' || text.endsWith('\n')).toBe(true);
    return text.split('\n').slice(0, -1).map((line) => JSON.parse(line) as Record<string, unknown>); // prettier-ignore
  }

  /** Every row names its line, every line is there once, in order. */
  async assertMoved(count: number): Promise<void> {
    const lines = await this.lines(1);
    expect(lines.map(({ seq }) => seq)).toEqual(numbers(1, count));
    const rows = await this.rows();
    expect(rows.map(({ properties }) => properties['blob'])).toEqual(Array(count).fill(this.blob(1)));
    expect(rows.some(({ properties }) => 'entry_0' in properties)).toBe(false);
    expect(await this.come()).toMatchObject({ up_to: count, file: 1, offset: (await this.bytes(1)).length });
  }
}

describe.each(STORAGES)('the stream of a record’s entries $name', (kind) => {
  let storage: StorageUnderTest;
  beforeAll(async () => {
    storage = await openStorage(kind);
  });
  afterAll(() => storage.close());
  const host = (intercept?: Intercept): Platform =>
    testPlatform(intercept === undefined ? storage.ports : wrapPorts(storage.ports, intercept));
  const begun = (): Promise<Talk> => new Talk(storage.ports, host()).begin();

  it('has a line for each entry that says what the row says, and changes no answer', async () => {
    const talk = await begun();
    await talk.say(95);
    const before = await talk.list();
    const rows = await talk.rows();
    expect(await talk.move()).toBe(95);
    await talk.assertMoved(95);
    expect(await talk.list()).toEqual(before);
    expect(await talk.list(host())).toEqual(before);
    for (const [at, line] of (await talk.lines(1)).entries()) {
      const { seq, added_at, checksum } = before[at] as Record<string, unknown>;
      const { event_id: eventId, entry_0: entry, sealed_0: sealed } = rows[at]?.properties ?? {};
      const own = {
        entry: JSON.parse(String(entry)) as unknown,
        sealed: JSON.parse(String(sealed)) as unknown,
      };
      expect(line).toEqual({ schema_version: '1.0', id: talk.id, seq, added_at, event_id: eventId, checksum, ...own }); // prettier-ignore
      expect(checksumOf(line['entry'] as Json)).toBe(checksum);
    }
    expect(await talk.move()).toBe(0);
    await talk.say(1);
    expect(await talk.move()).toBe(1);
    await talk.assertMoved(96);
  });

  it('goes on behind what an attempt left that died after its append', async () => {
    const talk = await begun();
    await talk.say(5);
    let appended = false;
    const dying = host(
      diesAt((call) => {
        const dead = appended;
        appended ||= call.method === 'append';
        return dead;
      }),
    );
    await expect(talk.move(dying)).rejects.toThrow('no more');
    expect(await talk.lines(1)).toHaveLength(5);
    expect(await talk.come()).toEqual({});
    await talk.say(3);
    // A host that sees only two of the eight finds more in the blob than it would write.
    const short = host(async (call, run) => {
      if (call.method !== 'range' || call.args[0] !== TABLE) return run();
      const { rows } = (await run()) as { rows: readonly Row[] };
      return { rows: rows.slice(0, 2), more: rows.length > 2 };
    });
    const once = talk.move(short);
    expect(await once).toBe(8);
    await talk.assertMoved(8);
    expect(await talk.list()).toHaveLength(8);
  });

  it('begins another blob when one is full, and seals the full one', async () => {
    const talk = await begun();
    await talk.say(4);
    await talk.move();
    await talk.say(3);
    // One that has read how far they have come goes on in the old blob, and finds it sealed.
    const sleeper = new Sleeper(({ method }) => method === 'append');
    const slow = talk.move(host(sleeper.intercept));
    await sleeper.asleep;
    const { row_checksum: _, ...come } = await talk.come();
    const full = { ...(come as Row['properties']), blocks: LIMITS.streamBlocks };
    const rowKey = digestKey(talk.id);
    const properties = withRowChecksum(talk.key, rowKey, full);
    await storage.ports.tables.commit(TABLE, talk.key, [{ kind: 'replace', rowKey, properties, etag: '*' }]);
    expect(await talk.move()).toBe(3);
    sleeper.wake();
    expect(await slow).toBe(0);
    expect(await talk.come()).toMatchObject({ up_to: 7, file: 2, blocks: 1 });
    expect((await talk.lines(1)).map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
    expect((await talk.lines(2)).map(({ seq }) => seq)).toEqual([5, 6, 7]);
    expect(await storage.ports.blobs.appendState('records', talk.blob(1))).toMatchObject({ sealed: true });
    expect(await storage.ports.blobs.appendState('records', talk.blob(2))).toMatchObject({ sealed: false });
    const counting = countingPorts(storage.ports);
    const items = await talk.list(testPlatform(counting.ports));
    expect(items.map(({ seq }) => seq)).toEqual(numbers(1, 7));
    expect(counting.counts()).toMatchObject({ 'blobs.find': 1 + 2 });
  });

  it('moves nothing behind bytes that are nobody’s, and says so', async () => {
    const talk = await begun();
    await talk.say(2);
    await storage.ports.blobs.createAppend('records', talk.blob(1));
    await storage.ports.blobs.append('records', talk.blob(1), Buffer.from('{"what":"is this"}\n'), 0);
    await expect(talk.move()).rejects.toMatchObject({ code: 'integrity-failure', evidence: { what: 'stream' } }); // prettier-ignore
    expect(await talk.come()).toEqual({});
    expect(await talk.list()).toHaveLength(2);
  });

  it('answers integrity-failure for any flipped byte of a line, and names the entry', { timeout: 60_000 }, async () => {
    const talk = await begun();
    await talk.say(3);
    await talk.move();
    const good = await talk.bytes(1);
    const lines = good.toString('utf8').split('\n');
    const begin = Buffer.byteLength(`${lines[0] ?? ''}\n`);
    const length = Buffer.byteLength(`${lines[1] ?? ''}\n`);
    const found: unknown[] = [];
    const replace = async (bytes: Uint8Array): Promise<void> => {
      await storage.ports.blobs.delete('records', talk.blob(1));
      await storage.ports.blobs.putOnce('records', talk.blob(1), bytes, 'application/x-ndjson');
    };
    for (let at = begin; at < begin + length; at += kind.realTime ? 29 : 1) {
      const bytes = Buffer.from(good);
      bytes[at] = (bytes[at] as number) ^ 1;
      await replace(bytes);
      await talk.list().catch((error: unknown) => found.push(error));
      expect(found.at(-1)).toMatchObject({ code: 'integrity-failure', evidence: { id: talk.id, revision: 2, what: 'part line' } }); // prettier-ignore
    }
    await expect(talk.platform.manager.get(conversationType, talk.id, talk.call)).rejects.toMatchObject({ code: 'integrity-failure' }); // prettier-ignore
    for (const bytes of [good.subarray(0, begin), good.subarray(0, good.length - 1)]) {
      await replace(bytes);
      await expect(talk.list()).rejects.toMatchObject({ evidence: { what: 'part line' } });
    }
    await storage.ports.blobs.delete('records', talk.blob(1));
    await expect(talk.list()).rejects.toMatchObject({ evidence: { revision: 1, what: 'part line missing' } });
    await replace(good);
    expect(await talk.list()).toHaveLength(3);
  }); // prettier-ignore

  it('answers integrity-failure for any changed column of a row, moved or not', async () => {
    const talk = await begun();
    await talk.say(2);
    for (const moved of [false, true]) {
      if (moved) await talk.move();
      const [first] = await talk.rows();
      const { properties, rowKey } = first as Row;
      for (const [name, value] of Object.entries(properties)) {
        const other = typeof value === 'number' ? value + 1 : `${String(value)}x`;
        const change = (to: typeof value) => storage.ports.tables.commit(TABLE, talk.key, [{ kind: 'merge', rowKey, properties: { [name]: to }, etag: '*' }]); // prettier-ignore
        await change(other);
        await expect(talk.list()).rejects.toMatchObject({ code: 'integrity-failure', evidence: { revision: 1, what: 'part row' } }); // prettier-ignore
        await change(value);
      }
      expect(await talk.list()).toHaveLength(2);
    }
    await storage.ports.tables.commit(TABLE, talk.key, [{ kind: 'delete', rowKey: partKey(talk.id, 1), etag: '*' }]); // prettier-ignore
    await expect(talk.list()).rejects.toMatchObject({ evidence: { revision: 1, what: 'part row missing' } });
  });
});

describe('the stream, whatever becomes of a call', () => {
  const WAYS = ['never happened', 'happened but reported failure', 'stopped right after'] as const;

  it('holds every entry once, in order', { timeout: 120_000 }, async () => {
    const prepared = new World();
    const said = await new Talk(prepared.ports, prepared.host()).begin();
    await said.say(93);
    const before = await said.list();
    const outcome = async (fault?: { readonly call: number; readonly way: (typeof WAYS)[number] }) => {
      const world = await prepared.copy();
      const talk = new Talk(world.ports, world.host(), said.call, said.id);
      const calls: string[] = [];
      let dead = false;
      const troubled = world.host(async ({ method }, run) => {
        if (dead) throw new StorageFault('refused', 'dead');
        calls.push(method);
        if (calls.length !== fault?.call) return run();
        if (fault.way === 'never happened') throw new StorageFault('unavailable', 'no answer');
        dead = fault.way === 'stopped right after';
        await run();
        throw new StorageFault(dead ? 'refused' : 'unavailable', 'no answer');
      });
      const died = await talk.move(troubled).then(
        () => false,
        () => true,
      );
      expect(died).toBe(fault?.way === 'stopped right after');
      expect(await talk.list(world.host())).toEqual(before);
      await talk.move(world.host());
      const { items } = await talk.platform.manager.list(conversationType, { filters: {}, limit: 1 }, talk.call); // prettier-ignore
      expect(items[0]?.['message_count']).toBe(93);
      await talk.say(2);
      await talk.move(world.host());
      await talk.assertMoved(95);
      expect((await talk.list()).slice(0, 93)).toEqual(before);
      return calls;
    };
    const calls = await outcome();
    expect(calls.length).toBeGreaterThan(10);
    for (const [at, method] of calls.entries())
      // A read leaves nothing: whether it happened, and when the process died after it, nobody can tell.
      for (const way of ['find', 'range'].includes(method) ? WAYS.slice(0, 1) : WAYS)
        await outcome({ call: at + 1, way });
  });

  it('holds every entry once when hosts move it at the same time, stopped anywhere', { timeout: 120_000 }, async () => {
    for (let call = 1; call <= 14; call += 1) {
      const world = new World();
      const talk = await new Talk(world.ports, world.host()).begin();
      await talk.say(6);
      let calls = 0;
      const sleeper = new Sleeper(() => (calls += 1) >= call);
      const slow = talk.move(world.host(sleeper.intercept));
      await Promise.race([sleeper.asleep, slow]);
      await talk.say(2);
      const fast = await talk.move(world.host());
      await talk.say(1);
      sleeper.wake();
      const counts = [await slow, fast, await talk.move()];
      expect(counts.reduce((a, b) => a + b)).toBe(9);
      await talk.assertMoved(9);
      expect(await talk.list()).toHaveLength(9);
    }
  }); // prettier-ignore
});

describe('long messages', () => {
  it('move, are shown and listed as far as one answer may go', { timeout: 60_000 }, async () => {
    const world = new World();
    const talk = await new Talk(world.ports, world.host()).begin();
    const long = 'ü'.repeat(65_000);
    await talk.say(90, long);
    const sizes = async (): Promise<readonly number[]> => {
      const { manager } = talk.platform;
      const pages: number[] = [];
      for (let cursor: string | null | undefined; cursor !== null;) {
        const page = await manager.listParts(conversationType, talk.id, 'messages', { limit: 1000, cursor: cursor ?? undefined }, talk.call); // prettier-ignore
        pages.push(page.items.length);
        expect(Buffer.byteLength(JSON.stringify(page.items))).toBeLessThan(LIMITS.recordBytes * 1.1);
        cursor = page.nextCursor;
      }
      const { envelope } = await manager.get(conversationType, talk.id, talk.call);
      const shown = envelope.data['messages'] as readonly { number: number }[];
      expect(shown.at(-1)?.number).toBe(90);
      return [...pages, shown.length];
    };
    const before = await sizes();
    // 130 KB of UTF-8 each, encrypted and as base64url.
    expect(before).toEqual([48, 42, 48]);
    const counting = countingPorts(world.ports);
    const moving = testPlatform(counting.ports, { clock: world.clock });
    expect(await talk.move(moving)).toBe(90);
    const appends = counting.calls.filter(({ method }) => method === 'append');
    expect(appends).toHaveLength(6);
    for (const { args } of appends)
      expect((args[2] as Uint8Array).length).toBeLessThanOrEqual(LIMITS.partsMovedBytes);
    expect(await sizes()).toEqual(before);
  });
});

describe('damage of a stream', () => {
  it('is audited when it is found', async () => {
    const world = new World();
    const talk = await new Talk(world.ports, world.host()).begin();
    await talk.say(1);
    await talk.move();
    await world.ports.blobs.delete('records', talk.blob(1));
    await expect(talk.list()).rejects.toMatchObject({ code: 'integrity-failure' });
    await talk.platform.sealer.sealTenant(talk.call.tenant);
    const { items } = await talk.platform.auditReader.list({ filters: { event_type: 'integrity.failed' }, limit: 10 }, talk.call); // prettier-ignore
    const [event] = items as unknown as readonly { readonly resource_id: string; readonly details: Partial<IntegrityFinding> }[]; // prettier-ignore
    expect([event?.resource_id, event?.details.what]).toEqual([talk.id, 'part line missing']);
  });
});
