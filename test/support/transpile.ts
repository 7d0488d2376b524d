import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

const ROOT = join(import.meta.dirname, '..', '..');

/**
 * Compiles files of one folder of `src/` to JavaScript inside the package, for tests that need a process of their own
 * running them (Node 20 cannot run TypeScript). The files may import nothing but each other and packages.
 */
export function transpileFolder(
  folder: string,
  files: readonly string[],
): { readonly path: string; remove(): void } {
  const base = join(ROOT, 'node_modules', '.cache', 'business-records', `${folder}-${process.pid}`);
  mkdirSync(base, { recursive: true });
  writeFileSync(join(base, 'package.json'), '{"type":"module"}');
  for (const name of files) {
    const { outputText } = ts.transpileModule(readFileSync(join(ROOT, 'src', folder, name), 'utf8'), {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
    });
    writeFileSync(join(base, name.replace(/\.ts$/, '.js')), outputText);
  }
  return { path: base, remove: () => rmSync(base, { recursive: true, force: true }) };
}
