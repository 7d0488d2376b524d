import { join } from 'node:path';
import { build } from 'esbuild';
import { ROOT } from '../architecture/support.js';

/** Puts a file of the command with everything it imports into a folder, and says where: to run it as a process. */
export async function bundled(source: string, folder: string): Promise<string> {
  const outfile = join(folder, 'bin.mjs');
  await build({
    absWorkingDir: ROOT,
    entryPoints: [source],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    banner: {
      js: "import { createRequire as requireForBundle } from 'node:module'; const require = requireForBundle(import.meta.url);",
    },
  });
  return outfile;
}
