import { number, table } from './markdown.js';
import type { Comparison } from './rounds.js';
import type { Spread } from './statistics.js';

/** Events a second; the floor is SHA-256 alone of the same events. */
export interface LogRate extends Comparison {
  readonly work: 'integrate' | 'verify';
  readonly hashed: Hashing;
  readonly bytesPerEvent: number;
}

/**
 * How the floor hashes: each event by `createHash`, each by the faster `hash` of one call, or the bytes of all of them as
 * one piece.
 */
export type Hashing = 'createHash' | 'hash' | 'one piece';

/** Proofs of leaves spread over one log. */
export interface LogProofs {
  readonly leaves: number;
  readonly proofs: number;
  /** Of the tlog-proof, its checkpoint included. */
  readonly bytes: { readonly median: number; readonly max: number };
  /** Tiles read for one proof, besides the checkpoint. */
  readonly tiles: { readonly median: number; readonly max: number };
  /** By the log's reader, on storage in memory. */
  readonly proveMs: Spread;
  /** By the offline verifier, signature included. */
  readonly checkMs: Spread & { readonly max: number };
}

/** Calls of storage in one round that seals so many events, from taking the lease to giving it back. */
export interface LogRound {
  readonly events: number;
  readonly calls: number;
}

/** Sealing while clients write, in the process of the bench and on Azurite. */
export interface LogLoad {
  readonly clients: number;
  readonly pauseMs: number;
  readonly seconds: number;
  readonly events: number;
  readonly rounds: number;
  /** Of storage, by sealing alone. */
  readonly callsPerEvent: number;
  /** From the answer of a write to the checkpoint that covers its event. */
  readonly sealedMs: Spread & { readonly max: number };
}

export interface LogResult {
  readonly rates: readonly LogRate[];
  readonly proofs: readonly LogProofs[];
  readonly rounds: readonly LogRound[];
  readonly load: readonly LogLoad[];
}

const ms = (value: number): string => value.toFixed(2);

/** The tables of the section. */
export function printLog({ rates, proofs, rounds, load }: LogResult): readonly string[] {
  return [
    table(
      [
        'the log',
        'SHA-256 alone',
        'bytes an event',
        'ours, events per s',
        'alone, per s',
        'ratio',
        'p10 to p90',
      ],
      rates.map(({ work, hashed, bytesPerEvent, ours, floor, ratio }) => [
        work,
        hashed,
        number(bytesPerEvent),
        number(ours),
        number(floor),
        ratio.median.toFixed(2),
        `${ratio.p10.toFixed(2)} to ${ratio.p90.toFixed(2)}`,
      ]),
    ),
    table(
      [
        'leaves',
        'bytes of a proof',
        'at most',
        'tiles read',
        'at most',
        'made, ms',
        'checked, ms',
        'p90',
        'at most',
      ],
      proofs.map(({ leaves, bytes, tiles, proveMs, checkMs }) => [
        String(leaves),
        number(bytes.median),
        number(bytes.max),
        String(tiles.median),
        String(tiles.max),
        ms(proveMs.median),
        ms(checkMs.median),
        ms(checkMs.p90),
        ms(checkMs.max),
      ]),
    ),
    table(
      ['events in one round', 'calls of storage', 'per event'],
      rounds.map(({ events, calls }) => [String(events), String(calls), (calls / events).toFixed(3)]),
    ),
    table(
      ['clients', 'pause, ms', 'events', 'rounds', 'calls per event', 'sealed after, ms', 'p90', 'at most'],
      load.map(({ clients, pauseMs, events, rounds: count, callsPerEvent, sealedMs }) => [
        String(clients),
        String(pauseMs),
        String(events),
        String(count),
        callsPerEvent.toFixed(2),
        sealedMs.median.toFixed(0),
        sealedMs.p90.toFixed(0),
        sealedMs.max.toFixed(0),
      ]),
    ),
  ];
}
