import { describe, expect, it } from 'vitest';
import {
  followsOf,
  headBytes,
  parseHead,
  parseStage,
  storeStage,
  type Stage,
} from '../../src/audit/ledger-state.js';
import { planStage, takeRound } from '../../src/audit/plan-stage.js';
import { isCorrupt, parsePending, type PendingEvent } from '../../src/audit/pending-row.js';
import { planStream } from '../../src/audit/stream-roll.js';
import { LIMITS } from '../../src/domain/limits.js';
import { partitionKey } from '../../src/storage/keys.js';
import { creates, DECISIONS, pendingChange, TENANT, type Change } from './support.js';

const START = Date.UTC(2026, 0, 10, 12);

function pending(changes: readonly Change[]): PendingEvent[] {
  return changes.map((change) => {
    const { rowKey, properties } = pendingChange(DECISIONS, change);
    const key = partitionKey(TENANT, DECISIONS.partition);
    const parsed = parsePending(DECISIONS, {
      partitionKey: key,
      rowKey,
      properties,
      etag: '"1"',
      timestampMs: 0,
    });
    if (isCorrupt(parsed)) throw new Error('a pending row does not parse');
    return parsed;
  });
}

const events = pending(creates(5, START));
const plan = planStage(TENANT, undefined, events, START);

describe('a stage', () => {
  it('is the same, byte for byte, for the same inputs', () => {
    const again = planStage(TENANT, undefined, [...events], START);
    expect(again.stored.name).toBe(plan.stored.name);
    expect(Buffer.from(again.stored.bytes)).toEqual(Buffer.from(plan.stored.bytes));
    expect(again.head).toEqual(plan.head);
  });

  it('does not depend on the order in which its members were put', () => {
    const { events: staged, ...rest } = plan.stage;
    expect(storeStage({ events: staged, ...rest } satisfies Stage).name).toBe(plan.stored.name);
  });

  it('is named by the size it follows and its hash', () => {
    expect(plan.stored.name).toMatch(/^acme\/stages\/000000000000-[0-9a-f]{64}\.json$/);
    const next = planStage(TENANT, plan.head, pending(creates(2, START + 10, 'b_')), START);
    expect(followsOf(next.stored.name)).toBe(5);
    expect(followsOf(`${TENANT}/head`)).toBeUndefined();
    expect(followsOf(`${next.stored.name}.bak`)).toBeUndefined();
  });

  it('comes back as it was', () => {
    expect(parseStage(TENANT, plan.stored)).toEqual(plan.stage);
  });

  it('is refused when a byte differs from its name, or it is another tenant’s', () => {
    const flipped = Buffer.from(plan.stored.bytes);
    flipped[40] = (flipped[40] ?? 0) ^ 1;
    const failure = { code: 'integrity-failure' };
    expect(() => parseStage(TENANT, { ...plan.stored, bytes: flipped })).toThrow(
      expect.objectContaining(failure),
    );
    expect(() => parseStage('other', plan.stored)).toThrow(expect.objectContaining(failure));
    // Another event, in a stage that is whole: only its name tells.
    const other = Buffer.from(Buffer.from(plan.stored.bytes).toString().replace('dec_0', 'dec_9'));
    expect(() => parseStage(TENANT, { ...plan.stored, bytes: other })).toThrow(
      expect.objectContaining(failure),
    );
  });
});

describe('a head', () => {
  it('comes back as it was', () => {
    expect(parseHead(TENANT, headBytes(plan.head))).toEqual(plan.head);
  });

  it.each([
    ['a root that is not the edge’s', { root: '0'.repeat(64) }],
    ['an edge that does not fit the size', { tree_size: 7 }],
    ['another schema version', { schema_version: '2.0' }],
    ['a member nobody knows', { surprise: 1 }],
    ['another tenant', { tenant: 'other' }],
  ])('is refused with %s', (_, change) => {
    const bytes = Buffer.from(JSON.stringify({ ...plan.head, ...change }));
    expect(() => parseHead(TENANT, bytes)).toThrow(expect.objectContaining({ code: 'integrity-failure' }));
  });

  it('is refused when it is not JSON in UTF-8', () => {
    const written = JSON.stringify({ ...plan.head, stage: '\u00ff' });
    expect(parseHead(TENANT, Buffer.from(written)).stage).toBe('\u00ff');
    const latin1 = Buffer.from(written, 'latin1');
    for (const bytes of [Buffer.from('{'), Uint8Array.of(0xff), new Uint8Array(), latin1]) {
      expect(() => parseHead(TENANT, bytes)).toThrow(expect.objectContaining({ code: 'integrity-failure' }));
    }
  });
});

describe('a round', () => {
  it('takes the first events by id, up to its bounds', () => {
    const many = pending(creates(LIMITS.sealRoundEvents + 5, START));
    const taken = takeRound([...many].reverse(), { follows: 24, more: false });
    expect(taken).toHaveLength(LIMITS.sealRoundEvents);
    expect(taken).toEqual(many.slice(0, LIMITS.sealRoundEvents));
  });

  it('that is not the last ends where a bundle does, where that is most of it', () => {
    const many = pending(creates(LIMITS.sealRoundEvents, START));
    const place = { follows: 3, more: true };
    expect(takeRound(many, { ...place, more: false })).toEqual(many);
    expect(takeRound(many, place)).toEqual(many.slice(0, 3 * 256 - 3));
    expect(takeRound(many.slice(0, 254), place)).toEqual(many.slice(0, 253));
    expect(takeRound(many.slice(0, 253), place)).toEqual(many.slice(0, 253));
    expect(takeRound(many.slice(0, 252), place)).toEqual(many.slice(0, 252));
    expect(takeRound(many.slice(0, 300), { ...place, follows: 100 })).toEqual(many.slice(0, 156));
    expect(takeRound(many.slice(0, 300), { ...place, follows: 120 })).toEqual(many.slice(0, 300));
    expect(takeRound(many.slice(0, 1), { ...place, follows: 256 })).toEqual(many.slice(0, 1));
  });

  it('cuts before the event that would exceed its bytes, and takes none after it', () => {
    const note = { note: 'x'.repeat(30_000) };
    const large = pending(creates(110, START).map((change) => ({ ...change, details: note })));
    const small = pending(creates(1, START + 1000, 'small_'));
    const taken = takeRound([...large, ...small], { follows: 0, more: false });
    expect(taken.length).toBeLessThan(110);
    expect(taken).toEqual(large.slice(0, taken.length));
    expect(planStage(TENANT, undefined, taken, START).head.stream.offset).toBeLessThanOrEqual(
      LIMITS.sealRoundBytes,
    );
  });
});

describe('the stream of a round', () => {
  const last = { name: `${TENANT}/2026-01-10/0001.jsonl`, offset: 99, blocks: 7 };

  it('goes on where the head says, the same day', () => {
    expect(planStream(TENANT, last, START)).toEqual({ name: last.name, offset: 99, create: false });
  });

  it('begins with the first event', () => {
    const first = { name: last.name, offset: 0, create: true };
    expect(planStream(TENANT, undefined, START)).toEqual(first);
  });

  it('is a new one when it is full, however many there were', () => {
    const full = { ...last, name: `${TENANT}/2026-01-10/9999.jsonl`, blocks: LIMITS.streamBlocks };
    const name = `${TENANT}/2026-01-10/10000.jsonl`;
    expect(planStream(TENANT, full, START)).toEqual({ name, offset: 0, create: true, seals: full.name });
  });

  it('is a new one the next day, and never an earlier day’s', () => {
    const next = { name: `${TENANT}/2026-01-11/0001.jsonl`, offset: 0, create: true, seals: last.name };
    expect(planStream(TENANT, last, START + 86_400_000)).toEqual(next);
    expect(planStream(TENANT, last, START - 86_400_000)).toEqual({
      name: last.name,
      offset: 99,
      create: false,
    });
    const full = { ...last, blocks: LIMITS.streamBlocks };
    expect(planStream(TENANT, full, START - 86_400_000).name).toBe(`${TENANT}/2026-01-10/0002.jsonl`);
  });
});
