import type { AcceptedCreate, RecordName } from '../domain/apply-change.js';
import { AppError, isAppError } from '../domain/errors.js';
import type { RecordType } from '../domain/record-type.js';
import { Budget } from './backoff.js';
import { putChange } from './change.js';
import type { CallContext, StorageManagerOptions, WrittenRecord } from './manager-types.js';
import { notFound } from './record-location.js';
import type { ReadCache } from './read-cache.js';
import type { RecordLocator } from './record-locator.js';
import type { RecordWriter } from './record-writer.js';

/** What must be so for a PUT (RFC 9110, 13.1). */
export interface PutCondition {
  /** `If-Match`. */
  readonly ifMatch?: string | undefined;
  /** `If-None-Match: *`. */
  readonly onlyNew?: boolean;
}

/** Parses at once; what makes a body no record is thrown when the body is asked for, anything else now. */
export function acceptedOnce(accept: () => AcceptedCreate): () => AcceptedCreate {
  try {
    const accepted = accept();
    return () => accepted;
  } catch (refusal) {
    if (!isAppError(refusal, 'record-invalid')) throw refusal;
    return () => {
      throw refusal;
    };
  }
}

/** Creates or replaces records under names of their callers. */
export class PutWriter {
  constructor(
    private readonly tools: StorageManagerOptions,
    private readonly writer: RecordWriter,
    private readonly locator: RecordLocator,
    private readonly reads: ReadCache,
  ) {}

  /** The id of the record that has a name: free, or one point read. Throws `record-not-found`. */
  async idOf(type: RecordType, at: RecordName, call: CallContext): Promise<string> {
    const id = type.named === undefined ? undefined : await this.#find(type, at, call);
    if (id === undefined) throw notFound();
    return id;
  }

  /**
   * Of two that create at once one is committed, and the other replaces what it made: the last one stands. `accept` gives
   * the body or throws what is wrong with it, which is said after what is wrong with the condition (http-api.md, Errors).
   */
  async put(
    type: RecordType,
    at: RecordName,
    accept: () => AcceptedCreate,
    { ifMatch, onlyNew = false }: PutCondition,
    call: CallContext,
  ): Promise<WrittenRecord & { readonly created: boolean }> {
    for (;;) {
      // Who would only create is not told of a record that another process has disposed of.
      const id = await this.#find(type, at, call, onlyNew);
      if (id !== undefined) {
        const write = () => {
          if (onlyNew) throw new AppError('version-conflict', 'There is a record of this name.');
          return this.writer.change(type, id, putChange(type, accept, ifMatch), call);
        };
        try {
          return { ...(await this.reads.writing(type, call.tenant, id, write)), created: false };
        } catch (error) {
          // Its name went with it: this process had remembered whose it was.
          if (!isAppError(error, 'record-erased') || (await this.#find(type, at, call)) === id) throw error;
          continue;
        }
      }
      if (ifMatch !== undefined)
        throw new AppError('version-conflict', 'There is no record of this name yet.');
      try {
        return { ...(await this.writer.create(type, accept(), call, { nameIsFree: true })), created: true };
      } catch (error) {
        if (!isAppError(error, 'record-exists')) throw error;
      }
    }
  }

  #find(
    type: RecordType,
    at: RecordName,
    { tenant }: CallContext,
    fresh = false,
  ): Promise<string | undefined> {
    const budget = new Budget(this.tools.clock, this.tools.entropy);
    return this.locator.findNamed(type, tenant, at, budget, fresh);
  }
}
