/** Keys that are kept together: one more or less among so many moves no others. */
const PIECE = 512;

/** Distinct keys in order, in pieces, so that one more among a million costs about what it costs among a thousand. */
export class SortedKeys {
  /** None is empty, and each begins behind the one before. */
  readonly #pieces: string[][] = [];

  /** Adds a key that is not there. */
  add(key: string): void {
    const at = this.#pieceOf(key);
    const piece = this.#pieces[at];
    if (piece === undefined) return void this.#pieces.push([key]);
    piece.splice(firstFrom(piece, key), 0, key);
    if (piece.length > PIECE) this.#pieces.splice(at + 1, 0, piece.splice(PIECE / 2));
  }

  /** Takes away a key that is there. */
  remove(key: string): void {
    const at = this.#pieceOf(key);
    const piece = this.#pieces[at] as string[];
    piece.splice(firstFrom(piece, key), 1);
    if (piece.length === 0) this.#pieces.splice(at, 1);
  }

  /** The keys that are not less than `from`, in order. */
  *from(from: string): Generator<string> {
    const first = this.#pieceOf(from);
    for (let at = first; at < this.#pieces.length; at += 1) {
      const piece = this.#pieces[at] as string[];
      for (let index = at === first ? firstFrom(piece, from) : 0; index < piece.length; index += 1)
        yield piece[index] as string;
    }
  }

  /** The last piece that does not begin behind a key; the first where all do. */
  #pieceOf(key: string): number {
    let low = 0;
    let high = this.#pieces.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#pieces[middle]?.[0] as string) <= key) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }
}

/** Position of the first key that is not less than `key`. */
function firstFrom(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
