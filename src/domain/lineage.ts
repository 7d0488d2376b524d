/** How far a walk goes. */
export interface LineageBounds {
  /** Steps from where it begins. */
  readonly depth: number;
  /** Records it finds in one step. */
  readonly levelNodes: number;
  /** Records it looks at in one step to find them. */
  readonly levelCandidates: number;
  /** Records it shows, the first one included. */
  readonly nodes: number;
  readonly edges: number;
}

/** A record as a walk finds it: what it links to, whatever the direction of the walk. */
export interface LineageStop {
  readonly id: string;
  readonly links: readonly string[];
}

/** Where a walk finds out what there is; everything it asks it asks a whole level at a time. */
export interface LineageSource<Stop extends LineageStop> {
  /** What may lie one step beyond a level, in order; `more` when that is not all. */
  readonly beyond: (
    level: readonly Stop[],
  ) => Promise<{ readonly ids: readonly string[]; readonly more: boolean }>;
  /** What stands under ids that may lie one step beyond a level; undefined for one that does not. */
  readonly visit: (ids: readonly string[], level: readonly Stop[]) => Promise<readonly (Stop | undefined)[]>;
}

/** A link among the records of a lineage: `from` is derived from `to`. */
export interface LineageEdge {
  readonly from: string;
  readonly to: string;
}

export interface LineageWalk<Stop extends LineageStop> {
  /** The first one, then level by level. */
  readonly stops: readonly (Stop & { readonly depth: number })[];
  /** All links among the stops, so one may close a cycle. */
  readonly edges: readonly LineageEdge[];
  /** A bound on records or links left something out; what lies deeper than `depth` is not asked for. */
  readonly truncated: boolean;
}

/**
 * Breadth first from `first`: every record is visited once and has the least of its depths, so a cycle ends where it
 * closes. One that was turned down at a level may still be found at a later one.
 */
export async function walkLineage<Stop extends LineageStop>(
  first: Stop,
  source: LineageSource<Stop>,
  bounds: LineageBounds,
): Promise<LineageWalk<Stop>> {
  const stops = new Map([[first.id, { ...first, depth: 0 }]]);
  let level: readonly Stop[] = [first];
  let truncated = false;
  for (let depth = 1; depth <= bounds.depth && level.length > 0; depth += 1) {
    const { ids, more } = await source.beyond(level);
    const unseen = [...new Set(ids)].filter((id) => !stops.has(id));
    const room = Math.max(0, Math.min(bounds.levelNodes, bounds.nodes - stops.size));
    const candidates = unseen.slice(0, bounds.levelCandidates);
    const there: Stop[] = [];
    let asked = 0;
    // Whoever was turned down takes nobody's place, so there is a next portion until the level is full.
    while (there.length < room && asked < candidates.length) {
      const portion = candidates.slice(asked, asked + (asked === 0 ? room : bounds.levelNodes));
      const visited = await source.visit(portion, level);
      there.push(...visited.filter((stop) => stop !== undefined));
      asked += portion.length;
    }
    truncated ||= more || asked < unseen.length || there.length > room;
    level = there.slice(0, room);
    for (const stop of level) stops.set(stop.id, { ...stop, depth });
  }
  const edges: LineageEdge[] = [];
  for (const { id, links } of stops.values())
    for (const to of links) {
      if (!stops.has(to)) continue;
      if (edges.length === bounds.edges) return { stops: [...stops.values()], edges, truncated: true };
      edges.push({ from: id, to });
    }
  return { stops: [...stops.values()], edges, truncated };
}
