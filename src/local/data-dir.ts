import { access, constants, mkdir, stat } from 'node:fs/promises';
import { StartError, firstLine } from './start-error.js';

/**
 * Makes the folder that holds keys and local data, for its owner only. A folder that is there already keeps its
 * permissions: whoever made it chose them, and the files in it protect themselves.
 */
export async function makeDataDir(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'EEXIST')
      throw new StartError(`DATA_DIR ${path} cannot be made: ${code ?? firstLine(error)}`);
  }
  if (!(await stat(path)).isDirectory()) throw new StartError(`DATA_DIR ${path} is not a folder`);
  try {
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch {
    throw new StartError(`DATA_DIR ${path} is not writable`);
  }
}
