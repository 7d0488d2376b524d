import { LIMITS } from '../../domain/limits.js';

/** What the rolling check finds and what it means; tools may rely on the codes. Pure. */
export const MISMATCHES = {
  'head.missing': 'there is a checkpoint and no head',
  'head.invalid': 'the head cannot be read, or its root does not follow from its edge',
  'checkpoint.missing': 'a log that had leaves has no checkpoint',
  'checkpoint.invalid': 'the checkpoint is no signed note of this log',
  'checkpoint.signature': 'no configured key signed the checkpoint',
  'checkpoint.behind': 'the checkpoint covers less than was published',
  'checkpoint.ahead': 'the checkpoint covers more than the head',
  'checkpoint.root': 'head and checkpoint have one size and two roots',
  'checkpoint.shorter': 'the checkpoint covers less than when it was last looked at',
  'checkpoint.rewritten': 'the log does not begin with what it was when it was last looked at',
  'log.root': 'the tiles do not give the root of the checkpoint',
  'log.entry': 'an entry of a bundle is not the leaf',
  'log.line': 'a line of a stream is not the leaf',
  'log.leaf': 'line and entry agree, and the tile has another hash',
  'bundle.missing': 'a bundle of entries is not there, or not whole',
  'tile.missing': 'a tile of hashes is not there, or not whole',
  'tile.differs': 'a hash of a tile is not that of the tile below it',
  'event.invalid': 'a leaf is no event of the tenant',
  'event.index': 'a row that an event is answered from is missing or differs from the leaf',
  'state.altered': 'what the check remembers of the log is not what it wrote',
} as const;

export type MismatchCode = keyof typeof MISMATCHES;

/** Something stored that is not what it should be. */
export interface Mismatch {
  readonly code: MismatchCode;
  readonly tenant: string;
  /** A blob as `<container>/<name>`, a leaf as `leaf <n>`, a row as `<table> <partition key> <event id>`. */
  readonly where: string;
  /** Places and numbers, never a value. */
  readonly detail: string;
}

/** Says what was found. */
export type Found = (code: MismatchCode, where: string, detail: string) => void;

/** What one turn found: each thing once, and of many the first. */
export class Mismatches {
  readonly #told = new Map<string, Mismatch>();
  /** All there were, those included that are not kept. */
  count = 0;

  constructor(private readonly tenant: string) {}

  get first(): readonly Mismatch[] {
    return [...this.#told.values()];
  }

  readonly found: Found = (code, where, detail) => {
    const key = `${code} ${where}`;
    if (this.#told.has(key)) return;
    this.count += 1;
    if (this.#told.size < LIMITS.verifyMismatches)
      this.#told.set(key, { code, tenant: this.tenant, where, detail });
  };
}
