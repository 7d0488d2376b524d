import { parseId } from '../domain/ids.js';
import type { RecordType } from '../domain/record-type.js';
import { agentStateType } from './agent-state.js';
import { conversationType } from './conversation.js';
import { covenantType } from './covenant.js';
import { decisionType } from './decision.js';
import { metricType } from './metric.js';
import { workflowExecutionType } from './workflow-execution.js';

/** Every record type of the platform. A new type is one file beside this one and one entry here. */
export const RECORD_TYPES: readonly RecordType[] = [
  decisionType,
  agentStateType,
  workflowExecutionType,
  metricType,
  conversationType,
  covenantType,
];

/** Looks types up by collection, record type and id prefix; throws TypeError when two types share one of them. */
export class RecordRegistry {
  readonly #byCollection: ReadonlyMap<string, RecordType>;
  readonly #byPrefix: ReadonlyMap<string, RecordType>;

  constructor(readonly types: readonly RecordType[]) {
    for (const key of ['collection', 'recordType', 'idPrefix', 'table'] as const) {
      const values = types.map((type) => type[key]);
      const twice = values.find((value, at) => values.indexOf(value) !== at);
      if (twice !== undefined) throw new TypeError(`two record types share the ${key} ${twice}`);
    }
    this.#byCollection = new Map(types.map((type) => [type.collection, type]));
    this.#byPrefix = new Map(types.map((type) => [type.idPrefix, type]));
  }

  /** The type of a path segment such as `decisions`. */
  findByCollection(collection: string): RecordType | undefined {
    return this.#byCollection.get(collection);
  }

  /** The type that an id is of, by its prefix; undefined for what is no id. */
  findById(id: string): RecordType | undefined {
    return this.#byPrefix.get(parseId(id)?.prefix ?? '');
  }
}
