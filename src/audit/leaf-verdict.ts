/** Which of the three that hold a leaf is the odd one. */
export type LeafFault = 'log.line' | 'log.entry' | 'log.leaf';

/**
 * What three that should be the same say of one leaf, as hashes: a line of a stream, an entry of a bundle, a hash of a
 * tile; undefined when they agree. Else the odd one out, and the leaf itself where line and entry agree against the tile
 * or each says something else. Pure.
 */
export function leafVerdict(
  line: string | undefined,
  entry: string | undefined,
  hash: string | undefined,
): LeafFault | undefined {
  if (entry === hash) return line === hash ? undefined : 'log.line';
  return line === hash ? 'log.entry' : 'log.leaf';
}
