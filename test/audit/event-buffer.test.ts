import { beforeEach, describe, expect, it } from 'vitest';
import { Actors } from '../../src/audit/actors.js';
import { AuditEmitter, type AuditDraft } from '../../src/audit/emitter.js';
import { EventBuffer } from '../../src/audit/event-buffer.js';
import { newId } from '../../src/domain/ids.js';
import { partitionKey } from '../../src/storage/keys.js';
import { StorageFault, type StoragePorts } from '../../src/storage/ports.js';
import { seededEntropy } from '../support/entropy.js';
import { memoryPorts } from '../support/memory-ports.js';
import { testKeyRing } from '../support/key-ring.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';
import { host, rowsOf, TENANT } from './support.js';

interface Read {
  readonly id: string;
  readonly padding?: string;
  times: number;
}

const START = Date.UTC(2026, 0, 10, 12);
const entropy = seededEntropy('event-buffer');
let clock: VirtualClock;
let ports: StoragePorts;
/** What a transaction meets: nothing, no storage, or a storage whose answer is lost. */
let weather: 'fine' | 'down' | 'answer lost';
let errors: { readonly error: unknown; readonly lost: AuditDraft | undefined }[];
let made: number;

beforeEach(() => {
  clock = new VirtualClock(START);
  weather = 'fine';
  errors = [];
  made = 0;
  ports = wrapPorts(memoryPorts({ clock }), async ({ method, args }, proceed) => {
    if (method !== 'commit' || args[0] !== 'auditevents' || weather === 'fine') return proceed();
    if (weather === 'answer lost') await proceed();
    throw new StorageFault('unavailable', 'no answer');
  });
});

function bufferOf(most = 10): EventBuffer<Read> {
  const { directory } = host(ports, clock);
  const ring = testKeyRing(ports, { clock, entropy });
  const actors = new Actors({ tables: ports.tables, clock, entropy, ...ring });
  return new EventBuffer<Read>(
    {
      emitter: new AuditEmitter({
        tables: ports.tables,
        directory,
        actors,
        secretBox: ring.secretBox,
        entropy,
      }),
      clock,
      draftOf: (read) => {
        made += 1;
        return draftOf(read);
      },
      onError: (error, lost) => errors.push({ error, lost }),
    },
    { holdMs: 1000, retryMs: 5000, most },
  );
}

const draftOf = ({ id, times, padding = '' }: Read): AuditDraft => ({
  eventId: newId('evt', clock.now(), entropy),
  timestampMs: clock.now(),
  tenant: TENANT,
  actorName: 'ada',
  eventType: 'record.read',
  severity: 'info',
  action: 'read',
  resourceType: 'decision',
  resourceId: id,
  outcome: 'success',
  details: { times, padding },
  correlationId: 'c1',
});

const add = (buffer: EventBuffer<Read>, id: string): boolean => buffer.add(id, { id, times: 1 });

/** The ids of the records whose reads are stored. */
async function stored(): Promise<string[]> {
  const rows = await rowsOf(ports.tables, 'auditevents', partitionKey(TENANT, '2026-01-10'), 'r:');
  const texts = rows.map(({ properties }) => String(properties['event']));
  return texts.map((text) => (JSON.parse(text) as { resource_id: string }).resource_id).sort();
}

describe('buffered events', () => {
  it('are stored together, once the first of them was held for its time', async () => {
    const buffer = bufferOf();
    expect(add(buffer, 'a')).toBe(true);
    await clock.advance(600);
    add(buffer, 'b');
    await clock.advance(399);
    expect([await stored(), buffer.waiting]).toEqual([[], 2]);
    await clock.advance(1);
    expect([await stored(), buffer.waiting]).toEqual([['a', 'b'], 0]);
    add(buffer, 'c');
    await clock.advance(1000);
    expect(await stored()).toEqual(['a', 'b', 'c']);
  });

  it('may change as long as they are held', async () => {
    const buffer = bufferOf();
    add(buffer, 'a');
    (buffer.find('a') as Read).times = 7;
    await buffer.flush();
    const [row] = await rowsOf(ports.tables, 'auditevents', partitionKey(TENANT, '2026-01-10'), 'r:');
    expect(JSON.parse(String(row?.properties['event']))).toMatchObject({ details: { times: 7 } });
    expect(buffer.find('a')).toBeUndefined();
  });

  it.each(['down', 'answer lost'] as const)(
    'with storage %s are tried again, and stored once',
    async (how) => {
      const buffer = bufferOf();
      add(buffer, 'a');
      weather = how;
      await clock.advance(1000);
      add(buffer, 'b');
      expect([buffer.waiting, errors.length, made]).toEqual([2, 1, 1]);
      expect(errors.every(({ lost }) => lost === undefined)).toBe(true);
      weather = 'fine';
      await clock.advance(60_000);
      expect([await stored(), buffer.waiting, made]).toEqual([['a', 'b'], 0, 2]);
    },
  );

  it('are bounded, also while storage is down', async () => {
    const buffer = bufferOf(3);
    weather = 'down';
    const taken = [];
    for (let n = 0; n < 20; n += 1) {
      taken.push(add(buffer, `r${String(n)}`));
      await clock.advance(10_000);
    }
    expect([taken.filter(Boolean).length, buffer.waiting]).toEqual([4, 4]);
    weather = 'fine';
    await clock.advance(60_000);
    expect(await stored()).toHaveLength(4);
    expect(add(buffer, 'next')).toBe(true);
  });

  it('that can never be stored are given up and hold up no other', async () => {
    const buffer = bufferOf();
    add(buffer, 'a');
    buffer.add('b', { id: 'b', times: 1, padding: 'x'.repeat(40_000) });
    add(buffer, 'c');
    await clock.advance(1000);
    expect([await stored(), buffer.waiting]).toEqual([['a', 'c'], 0]);
    expect(errors.map(({ lost }) => lost?.resourceId)).toEqual(['b']);
  });

  it('are stored without the wait when the process ends, and from then on at once', async () => {
    const buffer = bufferOf();
    await buffer.drain(1000);
    add(buffer, 'a');
    await buffer.drain(1000);
    expect(await stored()).toEqual(['a']);
    add(buffer, 'b');
    await clock.advance(0);
    expect(await stored()).toEqual(['a', 'b']);
  });

  it('hold up an end no longer than they may', async () => {
    const buffer = bufferOf();
    weather = 'down';
    add(buffer, 'a');
    let ended = false;
    void buffer.drain(3000).then(() => (ended = true));
    await clock.advance(2999);
    expect(ended).toBe(false);
    await clock.advance(1);
    expect([ended, buffer.waiting]).toEqual([true, 1]);
  });

  it('are stored by one attempt at a time', async () => {
    const buffer = bufferOf();
    add(buffer, 'a');
    const both = [buffer.flush(), buffer.flush()];
    add(buffer, 'b');
    await Promise.all(both);
    expect([await stored(), made]).toEqual([['a', 'b'], 2]);
  });
});
