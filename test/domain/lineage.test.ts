import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  walkLineage,
  type LineageBounds,
  type LineageSource,
  type LineageStop,
} from '../../src/domain/lineage.js';

/** Who is derived from whom; ids that are no keys are not there. */
type Graph = ReadonlyMap<string, readonly string[]>;

const ROOMY: LineageBounds = {
  depth: 10,
  levelNodes: 100,
  levelCandidates: 1000,
  nodes: 1000,
  edges: 10_000,
};

const stopOf = (graph: Graph, id: string): LineageStop => ({ id, links: graph.get(id) ?? [] });

/** Up: everything that is linked to, there or not. Counts the rounds and what each asked for. */
function up(graph: Graph, rounds: string[][] = []): LineageSource<LineageStop> {
  return {
    beyond: (level) => Promise.resolve({ ids: level.flatMap(({ links }) => links), more: false }),
    visit: (ids) => {
      rounds.push([...ids]);
      return Promise.resolve(ids.map((id) => stopOf(graph, id)));
    },
  };
}

/** Down, with `claims` of links that may not be. */
function down(graph: Graph, claims: readonly (readonly [string, string])[]): LineageSource<LineageStop> {
  const pairs = [...[...graph].flatMap(([from, links]) => links.map((to) => [from, to] as const)), ...claims];
  return {
    beyond: (level) =>
      Promise.resolve({
        ids: level.flatMap(({ id }) => pairs.filter(([, to]) => to === id).map(([from]) => from)),
        more: false,
      }),
    visit: (ids, level) =>
      Promise.resolve(
        ids.map((id) => {
          const stop = stopOf(graph, id);
          return level.some((one) => stop.links.includes(one.id)) ? stop : undefined;
        }),
      ),
  };
}

/** Least distances by relaxing every link until nothing changes: as different from a walk as can be. */
function distances(links: readonly (readonly [string, string])[], root: string): Map<string, number> {
  const found = new Map([[root, 0]]);
  for (let changed = true; changed;) {
    changed = false;
    for (const [from, to] of links) {
      const through = found.get(from);
      if (through === undefined || (found.get(to) ?? Infinity) <= through + 1) continue;
      found.set(to, through + 1);
      changed = true;
    }
  }
  return found;
}

const NAMES = Array.from({ length: 12 }, (_, n) => `n${n}`);
const graphs = fc
  .array(fc.uniqueArray(fc.constantFrom(...NAMES), { maxLength: 4 }), {
    minLength: 1,
    maxLength: NAMES.length,
  })
  .map((lists): Graph => new Map(lists.map((links, n) => [`n${n}`, links.filter((to) => to !== `n${n}`)])));
const linksIn = (graph: Graph) =>
  [...graph].flatMap(([from, links]) => links.map((to) => [from, to] as const));

describe('a walk through a lineage', () => {
  it('finds what is within reach, at its least distance, with all links among it, cycles or not', async () => {
    await fc.assert(
      fc.asyncProperty(graphs, fc.integer({ min: 1, max: 10 }), async (graph, depth) => {
        const links = linksIn(graph);
        const turned = links.map(([from, to]) => [to, from] as const);
        for (const [source, ways] of [
          [up(graph), links],
          [down(graph, []), turned],
        ] as const) {
          const walk = await walkLineage(stopOf(graph, 'n0'), source, { ...ROOMY, depth });
          const near = [...distances(ways, 'n0')].filter(([, distance]) => distance <= depth);
          expect(walk.stops.map((stop) => [stop.id, stop.depth]).sort()).toEqual(near.sort());
          const there = new Set(near.map(([id]) => id));
          const among = links.filter(([from, to]) => there.has(from) && there.has(to));
          expect(walk.edges.map(({ from, to }) => [from, to]).sort()).toEqual(among.sort());
          expect(walk.truncated).toBe(false);
          const depths = walk.stops.map((stop) => stop.depth);
          expect(depths).toEqual([...depths].sort((a, b) => a - b));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('down shows nobody who does not link back, whatever is claimed, and whoever does', async () => {
    const pair = fc.tuple(fc.constantFrom(...NAMES), fc.constantFrom(...NAMES));
    await fc.assert(
      fc.asyncProperty(graphs, fc.array(pair, { maxLength: 20 }), async (graph, claims) => {
        const turned = linksIn(graph).map(([from, to]) => [to, from] as const);
        const walk = await walkLineage(stopOf(graph, 'n0'), down(graph, claims), { ...ROOMY, depth: 10 });
        const near = [...distances(turned, 'n0')].filter(([, distance]) => distance <= 10);
        expect(walk.stops.map((stop) => [stop.id, stop.depth]).sort()).toEqual(near.sort());
      }),
      { numRuns: 300 },
    );
  });

  it('asks once a level, for nobody twice, and for no more than its bounds', async () => {
    await fc.assert(
      fc.asyncProperty(
        graphs,
        fc.record({
          depth: fc.integer({ min: 1, max: 5 }),
          levelNodes: fc.integer({ min: 1, max: 4 }),
          levelCandidates: fc.integer({ min: 1, max: 8 }),
          nodes: fc.integer({ min: 1, max: 8 }),
          edges: fc.integer({ min: 0, max: 8 }),
        }),
        async (graph, bounds) => {
          const rounds: string[][] = [];
          const walk = await walkLineage(stopOf(graph, 'n0'), up(graph, rounds), bounds);
          expect(rounds.length).toBeLessThanOrEqual(bounds.depth);
          expect(rounds.every((ids) => ids.length > 0 && ids.length <= bounds.levelNodes)).toBe(true);
          expect(new Set(rounds.flat()).size).toBe(rounds.flat().length);
          expect(walk.stops.length).toBeLessThanOrEqual(bounds.nodes);
          expect(walk.edges.length).toBeLessThanOrEqual(bounds.edges);
          const whole = await walkLineage(stopOf(graph, 'n0'), up(graph), { ...ROOMY, depth: bounds.depth });
          const complete =
            walk.stops.length === whole.stops.length && walk.edges.length === whole.edges.length;
          if (!complete) expect(walk.truncated).toBe(true);
          if (!walk.truncated) expect(walk).toEqual(whole);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('passes over whoever does not link back, in portions, as far as it may look', async () => {
    const strangers = Array.from({ length: 7 }, (_, n) => `s${n}`);
    const graph: Graph = new Map([['a', []], ['x', ['a']], ['y', ['a']], ['z', ['a']]]); // prettier-ignore
    const claimed = [...strangers, 'x', 'y', 'z'];
    const walked = async (levelNodes: number, levelCandidates: number) => {
      const rounds: number[] = [];
      const source = down(graph, []);
      const { stops, truncated } = await walkLineage(
        stopOf(graph, 'a'),
        {
          beyond: (level) => Promise.resolve({ ids: level[0]?.id === 'a' ? claimed : [], more: false }),
          visit: (ids, level) => {
            rounds.push(ids.length);
            return source.visit(ids, level);
          },
        },
        { ...ROOMY, levelNodes, levelCandidates },
      );
      return [stops.map(({ id }) => id).join(''), rounds, truncated];
    };
    expect(await walked(4, 100)).toEqual(['axyz', [4, 4, 2], false]);
    expect(await walked(3, 100)).toEqual(['axyz', [3, 3, 3, 1], false]);
    expect(await walked(2, 100)).toEqual(['axy', [2, 2, 2, 2, 2], true]);
    expect(await walked(4, 9)).toEqual(['axy', [4, 4, 1], true]);
    expect(await walked(4, 7)).toEqual(['a', [4, 3], true]);
  });

  it('says that it is truncated when its source had more', async () => {
    const source = { ...up(new Map([['a', ['b']]])), beyond: () => Promise.resolve({ ids: [], more: true }) };
    expect((await walkLineage({ id: 'a', links: [] }, source, ROOMY)).truncated).toBe(true);
  });

  it('does not call it truncated that depth ends before the links do', async () => {
    const chain: Graph = new Map([['a', ['b']], ['b', ['c']], ['c', []]]); // prettier-ignore
    const walk = await walkLineage(stopOf(chain, 'a'), up(chain), { ...ROOMY, depth: 1 });
    expect(walk).toEqual({
      stops: [
        { id: 'a', links: ['b'], depth: 0 },
        { id: 'b', links: ['c'], depth: 1 },
      ],
      edges: [{ from: 'a', to: 'b' }],
      truncated: false,
    });
  });
});
