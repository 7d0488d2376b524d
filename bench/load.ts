import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { outputOf } from './child.js';
import type { LoadResult } from './report.js';
import { median } from './statistics.js';

/** The smallest app there can be: what the host and `@azure/functions` cost by themselves. */
const ONE_FUNCTION = `import { app } from '@azure/functions';
app.http('one', { route: 'one', authLevel: 'anonymous', handler: () => ({ status: 204 }) });
`;

interface Measured {
  readonly importMs: number;
  readonly rssMib: number;
  readonly heapMib: number;
}

/** What loading an app takes, in a process of its own that has loaded the host's loader before. */
async function loadOnce(folder: string, entry: string): Promise<Measured> {
  const code = `
    import { loadApp } from ${JSON.stringify(join(folder, 'src', 'local', 'functions-core.js'))};
    const nothing = () => undefined;
    const log = { debug: nothing, info: nothing, warn: nothing, error: nothing };
    const start = performance.now();
    await loadApp(${JSON.stringify(entry)}, log);
    const importMs = performance.now() - start;
    globalThis.gc();
    const { rss, heapUsed } = process.memoryUsage();
    process.stdout.write(JSON.stringify({ importMs, rssMib: rss / 2 ** 20, heapMib: heapUsed / 2 ** 20 }));`;
  return JSON.parse(await outputOf(code, appSettings(), ['--expose-gc'])) as Measured;
}

/** What the app's main module asks for; no storage is spoken to before it is started. */
function appSettings(): NodeJS.ProcessEnv {
  const key = Buffer.alloc(32, 7).toString('base64');
  return { AUTH_MODE: 'development', AzureWebJobsStorage: 'UseDevelopmentStorage=true', CURSOR_KEY: key, WRAPPING_KEY: key, AUDIT_SIGNING_KEY: SIGNING_KEY }; // prettier-ignore
}

const PKCS8_ED25519 = '302e020100300506032b657004220420';
/** A key of no value, in the form the setting has. */
const SIGNING_KEY = `-----BEGIN PRIVATE KEY-----\\n${Buffer.from(`${PKCS8_ED25519}${'07'.repeat(32)}`, 'hex').toString('base64')}\\n-----END PRIVATE KEY-----`;

/** Import time and memory of the built app, of the packaged one and of an app with one function, in turn. */
export async function measureLoad(
  folder: string,
  packaged: string,
  rounds: number,
): Promise<readonly LoadResult[]> {
  const one = join(folder, 'one-function');
  mkdirSync(one, { recursive: true });
  writeFileSync(join(one, 'index.js'), ONE_FUNCTION);
  const apps: readonly (readonly [string, string])[] = [
    ['one function', join(one, 'index.js')],
    ['built, unbundled', join(folder, 'functions', 'index.js')],
    ['packaged', join(packaged, 'functions', 'index.js')],
  ];
  const found = new Map<string, Measured[]>(apps.map(([app]) => [app, []]));
  // The first round fills the file cache.
  for (let round = 0; round <= rounds; round += 1) {
    for (const [app, entry] of apps) {
      const measured = await loadOnce(folder, entry);
      if (round > 0) found.get(app)?.push(measured);
    }
  }
  return [...found].map(([app, all]) => ({
    app,
    importMs: median(all.map(({ importMs }) => importMs)),
    rssMib: median(all.map(({ rssMib }) => rssMib)),
    heapMib: median(all.map(({ heapMib }) => heapMib)),
  }));
}
