/**
 * RFC 6962, section 2.1, and RFC 9162, sections 2.1.3 and 2.1.4: which subtrees a proof names and how its hashes join.
 * Numbers only, so that the same shape serves those who prove and those who verify, whatever hashes for them. Not
 * bitwise: sizes go beyond 32 bits. Runs in browsers.
 */

/** Leaves [index * 2^height, (index + 1) * 2^height): a subtree that no later leaf changes. */
export interface Subtree {
  readonly height: number;
  readonly index: number;
}

/** Where the next hash of an inclusion path stands beside what was computed so far. */
export type Side = 'left' | 'right';

/** How a consistency proof is folded into the two roots. */
export interface ConsistencySteps {
  /** The older tree is a complete subtree of the newer: its root is where both begin, and is not in the proof. */
  readonly fromFirstRoot: boolean;
  /** Each further hash joins both roots from the left, or the newer one alone from the right. */
  readonly steps: readonly ('both' | 'second')[];
}

const halved = (n: number): number => Math.floor(n / 2);
const isOdd = (n: number): boolean => n % 2 === 1;

/** The largest power of two smaller than `n`, for n of at least 2. */
function splitOf(n: number): number {
  let power = 1;
  while (power * 2 < n) power *= 2;
  return power;
}

/** The complete subtrees that leaves [from, to) are made of, the largest first, where `from` is where a subtree begins. */
export function subtreesOf(from: number, to: number): readonly Subtree[] {
  const found: Subtree[] = [];
  for (let at = from; at < to;) {
    let height = 0;
    let leaves = 1;
    while (leaves * 2 <= to - at) {
      leaves *= 2;
      height += 1;
    }
    found.push({ height, index: at / leaves });
    at += leaves;
  }
  return found;
}

/** For each hash of the inclusion path of a leaf, from the leaf upwards: the subtrees it is the root over. */
export function inclusionRanges(index: number, size: number): readonly (readonly Subtree[])[] {
  const ranges: (readonly Subtree[])[] = [];
  let [from, to] = [0, size];
  while (to - from > 1) {
    const middle = from + splitOf(to - from);
    if (index < middle) {
      ranges.push(subtreesOf(middle, to));
      to = middle;
    } else {
      ranges.push(subtreesOf(from, middle));
      from = middle;
    }
  }
  return ranges.reverse();
}

/** For each hash of the consistency proof of two sizes, in the order of the proof: the subtrees it is the root over. */
export function consistencyRanges(first: number, second: number): readonly (readonly Subtree[])[] {
  const ranges: (readonly Subtree[])[] = [];
  let [from, to] = [0, second];
  while (first !== to) {
    const middle = from + splitOf(to - from);
    if (first <= middle) {
      ranges.push(subtreesOf(middle, to));
      to = middle;
    } else {
      ranges.push(subtreesOf(from, middle));
      from = middle;
    }
  }
  // From the left edge on it is the older tree itself, whose root the verifier has.
  if (from > 0) ranges.push(subtreesOf(from, to));
  return ranges.reverse();
}

/** On which side each hash of an inclusion path joins (RFC 9162, 2.1.3.2), for an index below the size. */
export function inclusionSides(index: number, size: number): readonly Side[] {
  const sides: Side[] = [];
  let [node, last] = [index, size - 1];
  while (last > 0) {
    const left = isOdd(node) || node === last;
    sides.push(left ? 'left' : 'right');
    [node, last] = left ? [joined(node), shifted(node, last)] : [halved(node), halved(last)];
  }
  return sides;
}

/** How the hashes of a consistency proof join (RFC 9162, 2.1.4.2), for sizes 0 < first < second. */
export function consistencySteps(first: number, second: number): ConsistencySteps {
  let [node, last] = [first - 1, second - 1];
  while (isOdd(node)) [node, last] = [halved(node), halved(last)];
  const fromFirstRoot = node === 0;
  const steps: ('both' | 'second')[] = [];
  while (last > 0) {
    const left = isOdd(node) || node === last;
    steps.push(left ? 'both' : 'second');
    [node, last] = left ? [joined(node), shifted(node, last)] : [halved(node), halved(last)];
  }
  return { fromFirstRoot, steps };
}

/** One level up from where a node is a right child: a node at the right edge without a sibling passes levels by. */
function joined(node: number): number {
  let up = node;
  while (!isOdd(up) && up !== 0) up = halved(up);
  return halved(up);
}

/** `last`, as many levels up as `joined` takes `node`. */
function shifted(node: number, last: number): number {
  let [up, result] = [node, last];
  while (!isOdd(up) && up !== 0) [up, result] = [halved(up), halved(result)];
  return halved(result);
}
