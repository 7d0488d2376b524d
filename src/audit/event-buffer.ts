import type { Clock } from '../domain/clock.js';
import { isAppError } from '../domain/errors.js';
import type { AuditDraft, AuditEmitter } from './emitter.js';

export interface EventBufferTools<Entry> {
  readonly emitter: Pick<AuditEmitter, 'emit'>;
  /** Its `sleep` must not keep the process alive: what has to be stored before the end is what `drain` is for. */
  readonly clock: Pick<Clock, 'sleep'>;
  /** The event that an entry becomes. Called once for each, so that a repeated attempt stores the same event. */
  readonly draftOf: (entry: Entry) => AuditDraft;
  /**
   * Told of each attempt that failed; with `lost`, an event that can never be stored and was given up. Must not throw.
   */
  readonly onError: (error: unknown, lost?: AuditDraft) => void;
}

export interface EventBufferSettings {
  /** How long after the first of them entries are held before they are stored together. */
  readonly holdMs: number;
  /** How long after an attempt that failed the next one is made. */
  readonly retryMs: number;
  /** Entries that are held at most; as many again may be on their way into storage. */
  readonly most: number;
}

/** Events of one call of the emitter: a long list is stored piece by piece. */
const PIECE = 500;

/**
 * Holds events that belong to no change of a record for a while and stores them off the caller's path, many at a time.
 * Memory is bounded: when storage does not take them, entries stay and no more than `most` are held. Of those under
 * way each keeps its event, id included, so a repeated attempt never stores one twice (audit-ledger.md, Events). What
 * is held is lost with the process, unless it is drained.
 */
export class EventBuffer<Entry> {
  /** Those that are held, by their keys, in the order they came. */
  #open = new Map<string, Entry>();
  /** Those that are events now, on their way into storage. */
  #closed: AuditDraft[] = [];
  #storing: Promise<void> = Promise.resolve();
  #running: Promise<void> | undefined;
  #draining = false;
  #hurry: () => void = () => undefined;
  readonly #hurried = new Promise<void>((resolve) => (this.#hurry = resolve));

  constructor(
    private readonly tools: EventBufferTools<Entry>,
    private readonly settings: EventBufferSettings,
  ) {}

  /** The entry that is held under `key` and is no event yet: it may still be changed. */
  find(key: string): Entry | undefined {
    return this.#open.get(key);
  }

  /** Holds an entry under a key of its own. False when there is no room: it was not taken. Never throws or waits. */
  add(key: string, entry: Entry): boolean {
    if (this.#open.size >= this.settings.most) return false;
    this.#open.set(key, entry);
    this.#running ??= this.#run();
    return true;
  }

  /** How many events are held or on their way. */
  get waiting(): number {
    return this.#open.size + this.#closed.length;
  }

  /**
   * Stores now all that is held. Throws `storage-unavailable` when some of it may not be stored: that is kept, and
   * tried again in the background.
   */
  flush(): Promise<void> {
    const storing = this.#storing.then(() => this.#store());
    this.#storing = storing.catch(() => undefined);
    return storing;
  }

  /**
   * Before the process ends: stores what is held without the wait, for at most `deadlineMs`. From then on entries are
   * stored at once.
   */
  async drain(deadlineMs: number): Promise<void> {
    this.#draining = true;
    this.#hurry();
    await Promise.race([this.#running, this.tools.clock.sleep(deadlineMs)]);
  }

  /** While there is something to store. Never rejects. */
  async #run(): Promise<void> {
    let failed = false;
    while (this.waiting > 0) {
      await this.#wait(failed);
      try {
        await this.flush();
        failed = false;
      } catch (error) {
        failed = true;
        this.tools.onError(error);
      }
    }
    // In the same breath as the look at what waits: an entry that comes now starts a run of its own.
    this.#running = undefined;
  }

  /** Somebody in a hurry does not wait at all, except for a storage that just failed him. */
  async #wait(failed: boolean): Promise<void> {
    const pause = this.tools.clock.sleep(failed ? this.settings.retryMs : this.settings.holdMs);
    await (failed && this.#draining ? pause : Promise.race([pause, this.#hurried]));
  }

  /** What is left of an earlier attempt first, then what is held. */
  async #store(): Promise<void> {
    await this.#storeClosed();
    this.#closed = [...this.#open.values()].map((entry) => this.tools.draftOf(entry));
    this.#open = new Map();
    await this.#storeClosed();
  }

  async #storeClosed(): Promise<void> {
    while (this.#closed.length > 0) {
      const piece = this.#closed.slice(0, PIECE);
      await this.#emit(piece);
      this.#closed.splice(0, piece.length);
    }
  }

  /** One event that can never be stored, too large say, must not hold up the others: then each goes alone. */
  async #emit(piece: readonly AuditDraft[]): Promise<void> {
    try {
      await this.tools.emitter.emit(piece);
    } catch (error) {
      if (isAppError(error, 'storage-unavailable')) throw error;
      for (const draft of piece) await this.#emitAlone(draft);
    }
  }

  async #emitAlone(draft: AuditDraft): Promise<void> {
    try {
      await this.tools.emitter.emit([draft]);
    } catch (error) {
      if (isAppError(error, 'storage-unavailable')) throw error;
      this.tools.onError(error, draft);
    }
  }
}
