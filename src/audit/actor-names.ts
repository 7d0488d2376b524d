import pLimit from 'p-limit';
import { isAppError } from '../domain/errors.js';
import { parseId } from '../domain/ids.js';
import type { CallContext, IntegrityFinding } from '../storage/manager-types.js';
import type { Actors } from './actors.js';
import type { AuditEventView, NamedEventView } from './audit-reader.js';

export interface ActorNamesTools {
  readonly actors: Pick<Actors, 'nameOf' | 'find'>;
  /** Audits a damaged mapping. Must not throw. */
  readonly onIntegrityFailure?: (finding: IntegrityFinding, call: CallContext) => Promise<void>;
}

/** Names of one answer that are looked up at once. */
const PARALLEL = 8;

/**
 * The names behind the pseudonyms of events, for those who may know them: whoever may see sensitive values in clear, for
 * a name is one. Whoever may not is answered as if nobody had a name.
 */
export class ActorNames {
  constructor(private readonly tools: ActorNamesTools) {}

  /**
   * The same events, with `actor_name` for a caller who may know. A point read for each actor that this process does not
   * remember. An actor whose mapping was erased, or is damaged, has none. Throws `storage-unavailable`.
   */
  async named(events: readonly AuditEventView[], call: CallContext): Promise<readonly NamedEventView[]> {
    if (call.maySeeSensitive !== true) return events;
    const limit = pLimit(PARALLEL);
    const actors = [...new Set(events.map(({ actor }) => actor))];
    const names = new Map(await Promise.all(actors.map((actor) => limit(async () => [actor, await this.#nameOf(actor, call)] as const)))); // prettier-ignore
    return events.map((event) => {
      const name = names.get(event.actor);
      if (name === undefined) return event;
      // Beside the pseudonym, for whoever looks at the answer.
      const { action, actor, ...rest } = event;
      return { action, actor, actor_name: name, ...rest };
    });
  }

  /**
   * What events are to be filtered by, for what a caller gave as `actor`: a pseudonym as it is; a name as its pseudonym,
   * for a caller who may know; else a name, which no event has. Throws `integrity-failure`, `storage-unavailable`.
   */
  async filterOf(actor: string, call: CallContext): Promise<string> {
    if (call.maySeeSensitive !== true || parseId(actor)?.prefix === 'act') return actor;
    return (await this.tools.actors.find(call.tenant, actor)) ?? actor;
  }

  async #nameOf(actor: string, call: CallContext): Promise<string | undefined> {
    try {
      return await this.tools.actors.nameOf(call.tenant, actor);
    } catch (error) {
      if (!isAppError(error, 'integrity-failure')) throw error;
      // A trail that cannot be read because of one name would be worse than one without it.
      const finding = { recordType: 'actor', id: actor, revision: 0, what: 'row' };
      await this.tools.onIntegrityFailure?.(finding, call);
      return undefined;
    }
  }
}
