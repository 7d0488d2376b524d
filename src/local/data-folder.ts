import { constants } from 'node:fs';
import { access, mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';

const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/**
 * Makes the data folder ready for Azurite, or throws one clear line: it must be a writable folder, and the databases
 * in it must be whole (Azurite itself would start over them or die with a stack trace).
 */
export async function prepareDataFolder(location: string): Promise<string> {
  const folder = resolve(location);
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    const found = await stat(folder).catch(() => undefined);
    if (found?.isFile() === true) throw new Error(`the data folder ${folder} is a file`, { cause: error });
    throw new Error(`the data folder ${folder} cannot be made: ${reason(error)}`, { cause: error });
  }
  try {
    await access(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new Error(`the data folder ${folder} is not writable`, { cause: error });
  }
  for (const name of await readdir(folder)) {
    if (/^__azurite_db_.*\.json$/.test(name)) await checkDatabase(folder, name);
  }
  return folder;
}

async function checkDatabase(folder: string, name: string): Promise<void> {
  try {
    const content: unknown = JSON.parse(await readFile(join(folder, name), 'utf8'));
    if (typeof content !== 'object' || content === null || !('collections' in content))
      throw new Error('it is not a database');
  } catch (error) {
    const why = reason(error).split('\n')[0];
    throw new Error(`the data folder ${folder} is corrupt: ${name} cannot be read (${why})`, {
      cause: error,
    });
  }
}
