import type { FsckTools } from '../audit/fsck/tools.js';

/** A storage that is open for being checked. */
export interface FsckStorage {
  readonly tools: FsckTools;
  close(): Promise<void>;
}

/** What the command knows of the machine it runs on; handed in, so that tests run the command as it is. */
export interface CliIo {
  /** Answers, for the caller or a program after it. */
  readonly out: (text: string) => void;
  /** Progress and complaints. */
  readonly complain: (text: string) => void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The bytes of a file. Rejects when there is none (code `ENOENT`), and when it has more than `maxBytes`. */
  readonly readFile: (path: string, maxBytes: number) => Promise<Uint8Array>;
  /** Puts a file there, whole or not at all, for its owner alone; makes the folders above it. */
  readonly writeFile: (path: string, bytes: Uint8Array) => Promise<void>;
  /** Names of all files in a folder and the folders in it, below it and with `/` between; links are not followed. */
  readonly listFiles: (folder: string) => Promise<readonly string[]>;
  readonly fetch: typeof globalThis.fetch;
  readonly sleep: (ms: number) => Promise<void>;
  /** Opens the storage that the environment names; `repair`: with the keys it is written with. Rejects when it cannot. */
  readonly openFsck: (asked: { readonly open: boolean; readonly repair: boolean }) => Promise<FsckStorage>;
  /** Aborts after a time, unless it is cleared before: whatever waits for the signal is kept in memory until then. */
  readonly deadline: (ms: number) => { readonly signal: AbortSignal; readonly clear: () => void };
}

/** How the command ends: everything held; something did not; or it cannot tell, and what it was asked may be why. */
export const EXIT = { yes: 0, no: 1, unknown: 2 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Why the command cannot tell. The message is one line for the caller. */
export class CannotTell extends Error {
  override readonly name = 'CannotTell';
}

/** Text from elsewhere as one line: what a terminal would obey is written as its code point. */
export function printable(text: string): string {
  return text.replaceAll(
    /[\p{C}\u2028\u2029]/gu,
    (char) => `\\u{${char.codePointAt(0)?.toString(16) ?? ''}}`,
  );
}

/** The bytes of a file, or undefined when there is none. Throws CannotTell. */
export async function findFile(io: CliIo, path: string, maxBytes: number): Promise<Uint8Array | undefined> {
  try {
    return await io.readFile(path, maxBytes);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new CannotTell(`cannot read ${path}: ${(error as Error).message}`);
  }
}

/** The text of a file in UTF-8. Throws CannotTell. */
export async function readText(io: CliIo, path: string, maxBytes: number): Promise<string> {
  let bytes: Uint8Array;
  try {
    bytes = await io.readFile(path, maxBytes);
  } catch (error) {
    throw new CannotTell(`cannot read ${path}: ${(error as Error).message}`);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new CannotTell(`${path} is not UTF-8 text`);
  }
}
