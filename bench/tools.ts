import type { Templates } from './payload.js';
import type { BenchStorage } from './storage.js';

/** What the scenarios need. */
export interface BenchTools {
  readonly storage: BenchStorage;
  readonly templates: Templates;
  /** The folder the bench was built into: a package whose main module is the function app. */
  readonly folder: string;
  /** For whatever is gone afterwards. */
  readonly temporary: string;
  readonly quick: boolean;
  readonly progress: (text: string) => void;
}
