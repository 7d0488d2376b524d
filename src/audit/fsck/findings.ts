import { LIMITS } from '../../domain/limits.js';

/** Everything that can be found wrong (docs/fsck.md), and what it means. Codes are stable: tools may rely on them. */
export const FINDINGS = {
  'head.missing': 'a log has streams or a checkpoint and no head',
  'head.invalid': 'the head cannot be read, or its root does not follow from its edge',
  'head.root': 'the tiles do not give the root of the head',
  'checkpoint.missing': 'a log has no checkpoint',
  'checkpoint.invalid': 'the checkpoint is no signed note of this log',
  'checkpoint.signature': 'no configured key signed the checkpoint',
  'checkpoint.behind': 'the checkpoint covers less than was published',
  'checkpoint.ahead': 'the checkpoint covers more than the head',
  'checkpoint.root': 'head and checkpoint have one size and two roots',
  'stream.missing': 'the stream that the head names is not there',
  'stream.short': 'the stream ends before the head says',
  'stream.longer': 'the stream has more than the head says',
  'stream.unsealed': 'a stream that is complete can still be appended to',
  'log.line': 'a line of a stream is not the leaf',
  'log.entry': 'an entry of a bundle is not the leaf',
  'log.leaf': 'line and entry agree, and the tile has another hash',
  'bundle.missing': 'a bundle of entries is not there, or not whole',
  'tile.missing': 'a tile of hashes is not there, or not whole',
  'tile.differs': 'a hash of a tile is not that of the tile below it',
  'event.invalid': 'a leaf is no event of the tenant',
  'event.duplicate': 'an event is in the log twice',
  'event.index': 'a row of the index of events is missing or differs from the leaf',
  'event.extra': 'the index of events has what the log does not have',
  'event.revision': 'an event is of a revision, or of an entry, that is not stored as it says',
  'directory.missing': 'a partition that has data is not in the directory',
  'directory.altered': 'a row of the directory names another partition than its key does',
  'row.altered': 'a row is not what was written',
  'record.missing': 'there are revisions and no record row',
  'record.differs': 'the record row is not its last revision',
  'revision.missing': 'a revision is not there',
  'revision.chain': 'a revision does not follow from the one before',
  'revision.unlogged': 'a revision has no event, pending or in the index of events',
  'revision.event': 'a revision and its event differ',
  'revision.order': 'a revision is in the log before its predecessor',
  'revision.content': 'the content of a revision is missing or not what its row says',
  'disposal.unlogged': 'a record, or its history, is said to be disposed of and there is no such event',
  'disposal.event': 'a tombstone, or the beginning of a history, and its event differ',
  'disposal.undone': 'the log says that a record, or its history, was disposed of, and its row does not',
  'disposal.left': 'something lies beside a tombstone that says that nothing does',
  'disposal.stuck': 'what a record was that was disposed of days ago is not cleared',
  'pack.archived': 'a pack is in the archive tier; what is in it was not read',
  'pack.members': 'an archived revision, or entry, is in a pack whose row does not have it',
  'pack.missing': 'a pack that rows name is not there, or not as long as its row says',
  'pack.tier': 'a pack is in another tier than its row, or the row of a revision, says',
  'year.content': 'a file with values of a year is not there, or not what its row says',
  'year.archived': 'a file with values of a year is in the archive tier; it was not read',
  'sealed.unopened': 'a sealed value does not open, or does not fit its commitment',
  'index.missing': 'an index row of a record is not there',
  'index.differs': 'an index row does not show its record',
  'index.extra': 'an index row belongs to no record',
  'index.keys': 'a record names other index rows than its content calls for',
  'list.behind': 'a list in another partition does not show the current revision',
  'part.missing': 'an entry of a record is not there, or more are there than are counted',
  'part.unlogged': 'an entry has no event, pending or in the index of events',
  'part.event': 'an entry and its event differ',
  'part.content': 'an entry, or its line, is not what its row says',
  'part.name': 'the row of a name does not lead to the entry that stands for it',
  'part.record': 'there are entries of a record that is not there',
  'lookup.missing': 'nothing says in which partition a record is',
  'link.missing': 'no way leads back from what a record is derived from',
  'name.differs': 'the row of a record’s name is not there, or leads elsewhere',
  'hold.missing': 'a hold is in force, or told of in the log, that is not there',
  'hold.active': 'what is in force is not what the holds say',
  'hold.event': 'a hold and its event differ, or it has none',
  'erasure.missing': 'the log tells of an erasure that is not there, or that does not name the event',
  'erasure.event': 'an erasure, or its certificate, and its events differ, or it has none',
  'erasure.open': 'an erasure that is not done is not on the list of those that are open',
  'erasure.key': 'an erasure is said to be done whose key is not destroyed',
  'erasure.left': 'something leads to a subject that is said to be erased, and is older than that',
  'subject.extra': 'the index of subjects names a record that is not there',
  'subject.missing': 'the index of subjects does not name a record that names the subject',
  'keys.unreadable': 'the key of a tenant cannot be read',
  'blob.orphan': 'no row names a blob; it is collected after a day',
  'blob.unknown': 'a blob has a name that means nothing here',
} as const;

export type FindingCode = keyof typeof FINDINGS;

/** Said, and nothing wrong. */
const INFO: ReadonlySet<FindingCode> = new Set([
  'blob.orphan',
  'blob.unknown',
  'pack.archived',
  'year.archived',
]);

export const levelOf = (code: FindingCode): Finding['level'] => (INFO.has(code) ? 'info' : 'error');

export interface Finding {
  readonly code: FindingCode;
  readonly tenant: string;
  /** Where it is: a row as `<table> <partition key> <row key>`, a blob as `<container>/<name>`, a leaf as `leaf <n>`. */
  readonly where: string;
  /** What is there, without any value of a record. */
  readonly detail: string;
  /** Whether `--repair` can make it anew from what it is derived from. */
  readonly repairable: boolean;
  readonly level: 'error' | 'info';
}

/** How what was found is made whole; `name` tells repairs that are one. */
export interface Repair {
  readonly name: string;
  run(): Promise<unknown>;
}

/** A finding that may be of something under way. */
export interface Suspicion extends Finding {
  /** When what it is about was last written, by the service's clock, as far as that is known. */
  readonly sinceMs: number;
  readonly repair: Repair | undefined;
}

export interface Circumstances {
  readonly sinceMs?: number | undefined;
  readonly repair?: Repair | undefined;
}

/** Says what was found. */
export type Found = (code: FindingCode, where: string, detail: string, circumstances?: Circumstances) => void;

/**
 * What one piece of work found: of each code the first `LIMITS.fsckRepeats` by where they are, so that looking twice shows the
 * same ones in whatever order answers come, and how many more there were.
 */
export class Suspicions {
  readonly #kept = new Map<FindingCode, Map<string, Suspicion>>();
  readonly #more = new Map<FindingCode, number>();

  constructor(private readonly tenant: string) {}

  readonly found: Found = (code, where, detail, { sinceMs = 0, repair } = {}) => {
    const { tenant } = this;
    const level = levelOf(code);
    this.#keep({ code, tenant, where, detail, repairable: repair !== undefined, level, sinceMs, repair });
  };

  /** Takes over what was found of a part of the work. */
  add(other: Suspicions): void {
    for (const one of other.all) this.#keep(one);
    for (const [code, count] of other.#more) this.#more.set(code, (this.#more.get(code) ?? 0) + count);
  }

  get all(): readonly Suspicion[] {
    return [...this.#kept.values()].flatMap((ofCode) => [...ofCode.values()]);
  }

  /** Findings that were not kept, by code, each as often as it was met. */
  get more(): ReadonlyMap<FindingCode, number> {
    return this.#more;
  }

  #keep(one: Suspicion): void {
    const { code, where } = one;
    const ofCode = this.#kept.get(code) ?? new Map<string, Suspicion>();
    this.#kept.set(code, ofCode);
    if (ofCode.has(where) || ofCode.size < LIMITS.fsckRepeats) return void ofCode.set(where, one);
    this.#more.set(code, (this.#more.get(code) ?? 0) + 1);
    const last = [...ofCode.keys()].reduce((a, b) => (a > b ? a : b));
    if (last < where) return;
    ofCode.delete(last);
    ofCode.set(where, one);
  }
}

/** What tells one finding from another. */
export const identityOf = ({ code, tenant, where }: Finding): string => `${code} ${tenant} ${where}`;

/** A finding as it is told. */
export function told({ code, tenant, where, detail, repairable, level }: Finding): Finding {
  return { code, tenant, where, detail, repairable, level };
}
