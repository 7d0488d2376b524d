import type { Malformed } from '../log/encoding.js';

/**
 * What is checked, in this order. Each name is what fails:
 * - `document`: it is a proof document, whole and unambiguous;
 * - `commitments`: each disclosed value has its salt and each value that is not disclosed its commitment;
 * - `checksum`: the record, with commitments recomputed, is the one of its checksum;
 * - `event`: the event is canonical and speaks of this revision of this record with this checksum;
 * - `proof`: the proof and the checkpoint in it are of their formats;
 * - `inclusion`: the event's exact bytes are the entry at that index of the tree with that root;
 * - `checkpoint`: it is the log of that tenant and of that key;
 * - `key`: the verifier key is one;
 * - `signature`: the key signed the checkpoint;
 * - `witness`: each witness that is asked for cosigned the checkpoint of the platform log;
 * - `anchored`: the entry holds a checkpoint of the tenant's log that its key signed.
 */
export type CheckName =
  | 'document'
  | 'commitments'
  | 'checksum'
  | 'event'
  | 'proof'
  | 'inclusion'
  | 'checkpoint'
  | 'key'
  | 'signature'
  | 'witness'
  | 'anchored';

/** `unsupported`: this platform cannot check it. `skipped`: something before it failed and there is nothing to check. */
export type CheckOutcome = 'pass' | 'fail' | 'unsupported' | 'skipped';

export interface Check {
  readonly name: CheckName;
  readonly outcome: CheckOutcome;
  /** What was found, for a person. */
  readonly detail: string;
}

/** `yes`: every check passed. `no`: one failed. `unsupported`: none failed, and not all could be made. */
export type Verdict = 'yes' | 'no' | 'unsupported';

/** What is proven once the verdict is `yes`, and worth nothing before. */
export interface ProvenFacts {
  readonly tenant: string;
  readonly event_id: string;
  readonly event_type: string;
  readonly timestamp: string;
  /** Position of the event in the log, leaves of the tree it was proven in, and that tree's root in hex. */
  readonly leaf_index: number;
  readonly tree_size: number;
  readonly root: string;
  readonly origin: string;
  readonly record?: {
    readonly record_type: string;
    readonly id: string;
    readonly revision: number;
    readonly checksum: string;
    /** RFC 6901 pointers of sensitive values that are shown, and of those that are not. */
    readonly disclosed: readonly string[];
    readonly withheld: readonly string[];
    /** Members of the envelope that no event holds and nothing here proves. */
    readonly unproven: readonly string[];
  };
}

export interface Report<Facts> {
  readonly verdict: Verdict;
  readonly checks: readonly Check[];
  /** Only with the verdict `yes`. */
  readonly proven?: Facts;
}

export type ProofReport = Report<ProvenFacts>;

/** Collects checks; what throws inside of one is its failure. */
export class Checklist {
  readonly #checks: Check[] = [];

  add(name: CheckName, outcome: CheckOutcome, detail: string): void {
    this.#checks.push({ name, outcome, detail });
  }

  /** Runs a check: its result passes on, or what is wrong with it is noted and the result is undefined. */
  async check<T extends object>(
    name: CheckName,
    detail: string,
    run: () => T | Malformed | Promise<T | Malformed>,
  ): Promise<T | undefined> {
    let result: T | Malformed;
    try {
      result = await run();
    } catch (error) {
      if (error instanceof UnsupportedPlatform) this.add(name, 'unsupported', error.message);
      else this.add(name, 'fail', 'cannot be read');
      return undefined;
    }
    if ('malformed' in result) {
      this.add(name, 'fail', result.malformed);
      return undefined;
    }
    this.add(name, 'pass', detail);
    return result;
  }

  /** Notes checks for which there is nothing to check. */
  skip(...names: readonly CheckName[]): void {
    for (const name of names) this.add(name, 'skipped', 'there is nothing to check: see above');
  }

  report<Facts>(proven: () => Facts | undefined): Report<Facts> {
    const has = (outcome: CheckOutcome): boolean => this.#checks.some((check) => check.outcome === outcome);
    const facts = has('fail') || has('unsupported') || has('skipped') ? undefined : proven();
    if (facts !== undefined) return { verdict: 'yes', checks: this.#checks, proven: facts };
    return { verdict: has('fail') || !has('unsupported') ? 'no' : 'unsupported', checks: this.#checks };
  }
}

/** This platform lacks what a check needs. */
export class UnsupportedPlatform extends Error {
  override readonly name = 'UnsupportedPlatform';
}
