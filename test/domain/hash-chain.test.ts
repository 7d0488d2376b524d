import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CHAIN_BEGIN, chainBreak, chained, type ChainLink } from '../../src/domain/hash-chain.js';

interface Entry extends ChainLink {
  readonly title: string;
  readonly changes: readonly number[];
}

function chainOf(titles: readonly string[]): readonly Entry[] {
  const entries: Entry[] = [];
  for (const title of titles) entries.push(chained(entries.at(-1), { title, changes: [1, 2.5] }));
  return entries;
}

const headOf = (entries: readonly Entry[]): string => entries.at(-1)?.hash ?? CHAIN_BEGIN;
const titles = fc.array(fc.string({ maxLength: 20 }), { minLength: 1, maxLength: 12 });

describe('a chain of hashes', () => {
  it('is what anybody can recompute: SHA-256 over the canonical JSON of an entry without its hash', () => {
    const [first, second] = chainOf(['a', 'b']);
    const byHand = (entry: object | undefined): string =>
      createHash('sha256').update(canonicalize(entry) ?? '').digest('hex'); // prettier-ignore
    expect(first).toMatchObject({ sequence: 1, previous_hash: '0'.repeat(64) });
    expect(first?.hash).toBe(byHand({ title: 'a', changes: [1, 2.5], sequence: 1, previous_hash: '0'.repeat(64) })); // prettier-ignore
    expect(second?.hash).toBe(byHand({ title: 'b', changes: [1, 2.5], sequence: 2, previous_hash: first?.hash })); // prettier-ignore
  });

  it('hashes what is stored: members that are undefined are not', () => {
    const entry = chained(undefined, { title: 'a', note: undefined });
    expect(chainBreak([JSON.parse(JSON.stringify(entry)) as ChainLink], entry.hash)).toBeUndefined();
  });

  it('holds as it was made, and when it is empty', () => {
    expect(chainBreak([], CHAIN_BEGIN)).toBeUndefined();
    fc.assert(
      fc.property(titles, (all) => {
        const entries = chainOf(all);
        expect(chainBreak(entries, headOf(entries))).toBeUndefined();
      }),
    );
  });

  it('says which entry was altered, in any member', () => {
    const altered: readonly ((entry: Entry) => Entry)[] = [
      (entry) => ({ ...entry, title: `${entry.title}.` }),
      (entry) => ({ ...entry, changes: [] }),
      (entry) => ({ ...entry, sequence: entry.sequence + 1 }),
      (entry) => ({ ...entry, previous_hash: 'f'.repeat(64) }),
      (entry) => ({ ...entry, hash: 'f'.repeat(64) }),
      (entry) => ({ ...entry, more: 1 }) as Entry,
    ];
    fc.assert(
      fc.property(titles, fc.nat(), fc.constantFrom(...altered), (all, pick, alter) => {
        const entries = chainOf(all);
        const at = pick % entries.length;
        const damaged = entries.map((entry, number) => (number === at ? alter(entry) : entry));
        expect(chainBreak(damaged, headOf(entries))).toBe(at + 1);
      }),
    );
  });

  it('says where an entry was dropped, at the end too, and where two changed places', () => {
    fc.assert(
      fc.property(titles, fc.nat(), (all, pick) => {
        const entries = chainOf(all);
        const at = pick % entries.length;
        expect(chainBreak(entries.toSpliced(at, 1), headOf(entries))).toBe(at + 1);
        const [first, second] = [entries[at], entries[at + 1]];
        if (first === undefined || second === undefined) return;
        expect(chainBreak(entries.toSpliced(at, 2, second, first), headOf(entries))).toBe(at + 1);
      }),
    );
  });

  it('does not hold when an entry was altered and everything after it chained anew', () => {
    const entries = chainOf(['a', 'b', 'c']);
    const forged = chainOf(['a', 'x', 'c']);
    expect(chainBreak(forged, headOf(forged))).toBeUndefined();
    expect(chainBreak(forged, headOf(entries))).toBe(4);
  });
});
