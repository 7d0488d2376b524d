import pLimit from 'p-limit';
import { AppError, isAppError } from '../domain/errors.js';
import { LIMITS } from '../domain/limits.js';
import { walkLineage, type LineageEdge, type LineageSource } from '../domain/lineage.js';
import type { RecordType } from '../domain/record-type.js';
import { Budget } from './backoff.js';
import type { PartitionRef } from './directory.js';
import { partitionKey, recordKey } from './keys.js';
import { descentRange, lineageKey, LINEAGE_TABLE, parseDescent } from './lineage-rows.js';
import type { IntegrityFinding, StorageManagerOptions } from './manager-types.js';
import { notFound } from './record-location.js';
import type { RecordLocator } from './record-locator.js';
import { integrityEvidence, parseRecordRow, summaryOf, type Summary } from './record-row.js';
import { disposedOf, isTombstone } from './tombstone-row.js';
import { isVoid } from './void-row.js';

/** `up`: what the record is derived from; `down`: what is derived from it. */
export type LineageDirection = 'up' | 'down';

export interface LineageQuery {
  readonly direction: LineageDirection;
  /** Steps from the record, 1 to 10. */
  readonly depth: number;
}

/** A record of a lineage: its summary, and its least distance from the root. */
export type LineageNode = Summary & {
  readonly id: string;
  readonly depth: number;
  /** Something links to it and it is not there, or not this tenant's: then there is no summary. */
  readonly missing: boolean;
  /** Present when its row does not hold together; then there is no summary, and its own links are not known. */
  readonly damaged?: true;
};

export interface Lineage {
  readonly root: string;
  readonly direction: LineageDirection;
  readonly depth: number;
  readonly nodes: readonly LineageNode[];
  /** `from` is derived from `to`; all links among the nodes. */
  readonly edges: readonly LineageEdge[];
  readonly truncated: boolean;
}

/** A record as it was found; without a summary it is missing or damaged. */
interface Found {
  readonly id: string;
  readonly links: readonly string[];
  readonly summary: Summary | undefined;
  readonly damaged: boolean;
}

/** Calls of one lineage that are under way at once. */
const PARALLEL = 8;

/** Follows links between records of any types, from rows alone: no detail is read. */
export class LineageReader {
  constructor(
    private readonly tools: StorageManagerOptions,
    private readonly locator: RecordLocator,
  ) {}

  /**
   * The lineage of a record. Up: one point read for each record, and one more the first time for a record whose id does
   * not tell its partition. Down: one range read for each record that is not at the last level, and one point read for
   * each that may be derived from it, for a row of `lineage` means nothing unless that record links back. Throws
   * `request-malformed`, `record-not-found`, `integrity-failure` (of the root); `found` collects damage of the others.
   */
  async read(
    type: RecordType,
    tenant: string,
    id: string,
    query: LineageQuery,
    found: IntegrityFinding[],
  ): Promise<Lineage> {
    const { direction, depth } = query;
    if (!Number.isInteger(depth) || depth < 1 || depth > LIMITS.lineageDepth)
      throw new AppError('request-malformed', `depth must be an integer from 1 to ${String(LIMITS.lineageDepth)}.`); // prettier-ignore
    const budget = new Budget(this.tools.clock, this.tools.entropy);
    const root = await this.#row(type, tenant, id, undefined, budget);
    if (root === undefined) throw notFound();
    const source = direction === 'up' ? this.#up(tenant, budget, found) : this.#down(tenant, budget, found);
    const { lineageLevelNodes: levelNodes, lineageLevelCandidates: levelCandidates, lineageNodes: nodes, lineageEdges: edges } = LIMITS; // prettier-ignore
    const walk = await walkLineage(root, source, { depth, levelNodes, levelCandidates, nodes, edges });
    return { root: id, direction, depth, nodes: walk.stops.map(nodeOf), edges: walk.edges, truncated: walk.truncated }; // prettier-ignore
  }

  #up(tenant: string, budget: Budget, found: IntegrityFinding[]): LineageSource<Found> {
    const atOnce = pLimit(PARALLEL);
    return {
      beyond: (level) => Promise.resolve({ ids: level.flatMap(({ links }) => links), more: false }),
      visit: (ids) =>
        Promise.all(ids.map((id) => atOnce(() => this.#visit(tenant, id, undefined, budget, found)))),
    };
  }

  #down(tenant: string, budget: Budget, found: IntegrityFinding[]): LineageSource<Found> {
    const atOnce = pLimit(PARALLEL);
    const places = new Map<string, PartitionRef | undefined>();
    return {
      beyond: async (level) => {
        const pages = await Promise.all(
          level.map(({ id }) => atOnce(() => this.#descent(tenant, id, budget))),
        );
        const rows = pages.flatMap((page) => page.rows.map((row) => parseDescent(tenant, row)));
        for (const { id, ref } of rows) {
          places.set(id, places.get(id) ?? ref);
          const type = ref === undefined ? this.tools.typeOfId(id) : undefined;
          if (type !== undefined) found.push({ recordType: type.recordType, id, revision: 0, what: 'lineage row' }); // prettier-ignore
        }
        return { ids: rows.map(({ id }) => id), more: pages.some(({ more }) => more) };
      },
      visit: async (ids, level) => {
        const parents = new Set(level.map(({ id }) => id));
        const visited = await Promise.all(
          ids.map((id) => atOnce(() => this.#visit(tenant, id, places.get(id), budget, found))),
        );
        // What is damaged cannot say whether it links back, and is not kept from whoever looks for it.
        return visited.map((one) => (one.damaged || one.links.some((link) => parents.has(link)) ? one : undefined)); // prettier-ignore
      },
    };
  }

  /** A page of the rows of what may be derived from a record; rows of links that were taken back are among them. */
  async #descent(tenant: string, id: string, budget: Budget) {
    const key = lineageKey(tenant, id);
    if (key === undefined) return { rows: [], more: false };
    const range = { ...descentRange(id), limit: LIMITS.lineageLevelCandidates };
    return budget.retry(() => this.tools.ports.tables.range(LINEAGE_TABLE, key, range));
  }

  /** What stands under an id of any type. */
  async #visit(
    tenant: string,
    id: string,
    place: PartitionRef | undefined,
    budget: Budget,
    found: IntegrityFinding[],
  ): Promise<Found> {
    const nothing: Found = { id, links: [], summary: undefined, damaged: false };
    const type = this.tools.typeOfId(id);
    if (type === undefined) return nothing;
    try {
      return (await this.#row(type, tenant, id, place, budget)) ?? nothing;
    } catch (error) {
      // Of what was disposed of it is said that it is not there any more; who asks for it by its id is told more.
      if (isAppError(error, 'record-not-found', 'record-erased')) return nothing;
      const evidence = integrityEvidence(error);
      if (evidence === undefined) throw error;
      found.push({ recordType: type.recordType, ...evidence });
      return { ...nothing, damaged: true };
    }
  }

  async #row(
    type: RecordType,
    tenant: string,
    id: string,
    place: PartitionRef | undefined,
    budget: Budget,
  ): Promise<Found | undefined> {
    const ref = place ?? (await this.locator.locate(type, tenant, id, budget));
    const key = partitionKey(tenant, ref.partition);
    const row = await budget.retry(() => this.tools.ports.tables.find(ref.table, key, recordKey(id)));
    if (row === undefined || isVoid(row)) return undefined;
    if (isTombstone(row)) throw disposedOf();
    const { links } = parseRecordRow(row, id);
    return { id, links, summary: summaryOf(type, row), damaged: false };
  }
}

function nodeOf({ id, depth, summary, damaged }: Found & { readonly depth: number }): LineageNode {
  const missing = summary === undefined && !damaged;
  return { ...summary, id, depth, missing, ...(damaged ? { damaged } : {}) };
}
