import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openAzureStorage } from '../../src/azure/index.js';
import { startPlatform, type Platform } from '../../src/local/platform.js';
import { client, eventsIn, removeFolders, temporaryFolder } from '../e2e/support.js';
import { recordingLog, ROOT } from '../local/support.js';
import { useAzurite } from '../support/azurite.js';

const SCRIPT = join(ROOT, 'scripts', 'package.mjs');

function packageInto(folder: string): ReturnType<typeof spawnSync> {
  return spawnSync(process.execPath, [SCRIPT, '--out', folder], { encoding: 'utf8' });
}

/** Everything below a folder. */
function namesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true }).map(String).sort();
}

describe('the package', () => {
  // Far from this repository, so that whatever it needs and did not bring along is missing.
  const folder = join(temporaryFolder(), 'package');
  let platform: Platform | undefined;

  beforeAll(async () => {
    const made = packageInto(folder);
    expect(made.status, String(made.stderr)).toBe(0);
    Object.assign(process.env, {
      PORT: '0',
      DATA_DIR: temporaryFolder(),
      AzureWebJobsStorage: useAzurite().connectionString,
      LOG_LEVEL: 'error',
    });
    platform = await startPlatform({
      root: folder,
      env: process.env,
      log: recordingLog(),
      startAzurite: () => Promise.reject(new Error('a package has no storage of its own')),
      openQueues: (connectionString) => {
        const storage = openAzureStorage({ connectionString });
        return { queues: storage.ports.queues, close: () => storage.close() };
      },
      signal: new AbortController().signal,
      onStorageLost: () => undefined,
    });
  }, 120_000);

  afterAll(async () => {
    await platform?.stop();
    removeFolders();
  });

  const caller = (tenant: string) => client(platform?.baseUrl ?? '', tenant);

  it('holds the app, its settings and licences, and nothing to be installed', () => {
    const top = ['LICENSE', 'THIRD-PARTY-LICENSES.txt', 'functions', 'host.json', 'package.json'];
    expect(readdirSync(folder).sort()).toEqual(top);
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<
      string,
      unknown
    >;
    expect(manifest).toMatchObject({ type: 'module', main: 'functions/index.js' });
    expect(manifest).not.toHaveProperty('dependencies');
    expect(existsSync(join(folder, 'functions', 'index.js.map'))).toBe(true);
    expect(readFileSync(join(folder, 'host.json'), 'utf8')).toBe(
      readFileSync(join(ROOT, 'host.json'), 'utf8'),
    );
  });

  it('has neither Azurite nor the local host in it, and loads the identity library only when it is asked for', () => {
    const licences = readFileSync(join(folder, 'THIRD-PARTY-LICENSES.txt'), 'utf8');
    expect(licences).toMatch(/^@azure\/identity \d/m);
    expect(licences).not.toMatch(/^(azurite|croner) \d/m);
    const code = readFileSync(join(folder, 'functions', 'index.js'), 'utf8');
    for (const name of ['class DefaultAzureCredential', 'startAzurite', 'azurite-child']) {
      expect([name, code.includes(name)]).toEqual([name, false]);
    }
    const chunks = namesBelow(join(folder, 'functions', 'chunks')).filter((name) => name.endsWith('.js'));
    const withIdentity = chunks.filter((name) =>
      readFileSync(join(folder, 'functions', 'chunks', name), 'utf8').includes('ManagedIdentityCredential'),
    );
    expect(withIdentity.length).toBeGreaterThan(0);
    // What the app imports at once; a dynamic import is written with brackets.
    const eager = [...code.matchAll(/(?:from|import)\s*"\.\/chunks\/([^"]+)"/g)].map(([, name]) => name);
    expect(withIdentity.filter((name) => eager.includes(name))).toEqual([]);
  });

  it('loads what describes the API, and serves its page, only when somebody asks', async () => {
    const loaded = new Map<string, string>();
    const load = (name: string): void => {
      if (loaded.has(name)) return;
      const code = readFileSync(join(folder, 'functions', name), 'utf8');
      loaded.set(name, code);
      // A dynamic import is written with brackets.
      for (const [, path = ''] of code.matchAll(/(?:from|import)\s*"\.\/(?:chunks\/)?([^"]+)"/g))
        load(join('chunks', path));
    };
    load('index.js');
    expect(loaded.size).toBeGreaterThan(2);
    // Of zod-openapi and of the page.
    for (const text of ['cannot be represented in OpenAPI', 'swagger-ui-bundle.js'])
      expect([text, [...loaded.values()].some((code) => code.includes(text))]).toEqual([text, false]);
    const baseUrl = platform?.baseUrl ?? '';
    const described = (await (await fetch(`${baseUrl}/openapi.json`)).json()) as { paths: object };
    expect(Object.keys(described.paths)).toContain('/decisions/{id}/votes');
    const page = await (await fetch(`${baseUrl}/docs`)).text();
    const files = [...page.matchAll(/"\/api(\/docs\/[^"]+)"/g)].map(([, path]) => path ?? '');
    const answers = await Promise.all(files.map((path) => fetch(`${baseUrl}${path}`)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    const licences = readFileSync(join(folder, 'THIRD-PARTY-LICENSES.txt'), 'utf8');
    expect(licences).toMatch(/^swagger-ui-dist \d/m);
  });

  it('mentions no folder of the machine it was made on', () => {
    const files = namesBelow(folder).filter((name) => /\.(js|map|json)$/.test(name));
    expect(files.filter((name) => readFileSync(join(folder, name), 'utf8').includes(ROOT))).toEqual([]);
  });

  it('stores a record, gives it back, and seals its event', async () => {
    const { get, post, eventually } = caller('packaged');
    const body = { decision_type: 'technical', title: 'Ship fewer files' };
    const made = await post('/decisions', body);
    expect(made.status).toBe(201);
    const { id } = made.envelope;
    const read = await get(`/decisions/${id}`);
    expect(read.envelope).toEqual(made.envelope);
    const sealed = await eventually(
      `/audit-events?resource_id=${id}&event_type=record.created`,
      (answer) => eventsIn(answer).length === 1,
      30_000,
    );
    expect(eventsIn(sealed)[0]).toMatchObject({ event_type: 'record.created', leaf_index: 0 });
  });

  it('stores what comes through the inbox', async () => {
    const { get, post, eventually } = caller('inbox');
    const promised = await post('/inbox/decisions', { decision_type: 'financial', title: 'Buy in bulk' });
    expect(promised.status).toBe(202);
    const path = `/operations/${String(promised.json['operation_id'])}`;
    const done = await eventually(path, (answer) => answer.json['status'] === 'succeeded', 30_000);
    const read = await get(`/decisions/${String(done.json['record_id'])}`);
    expect(read.envelope.data).toMatchObject({ title: 'Buy in bulk' });
  });

  it('answers what the handlers refuse with problem documents', async () => {
    const { get, post } = caller('packaged');
    expect((await get('/decisions/dec_nothing')).status).toBe(404);
    const refused = await post('/decisions', { decision_type: 'unheard-of' });
    expect([refused.status, refused.headers.get('content-type')]).toEqual([422, 'application/problem+json; charset=utf-8']); // prettier-ignore
  });
});

describe('npm run package', () => {
  afterAll(removeFolders);

  it('makes the same package again in the place of an earlier one', () => {
    const folder = join(temporaryFolder(), 'package');
    const [first, second] = [packageInto(folder), packageInto(folder)];
    expect([first.status, second.status], String(second.stderr)).toEqual([0, 0]);
    expect(namesBelow(folder)).toContain(join('functions', 'index.js'));
  });

  it('leaves a folder alone that holds something else', () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'functions'));
    writeFileSync(join(folder, 'functions', 'thesis.txt'), 'years of work');
    const made = packageInto(folder);
    expect(made.status).toBe(1);
    expect(String(made.stderr)).toContain('holds something that is not a package');
    expect(namesBelow(folder)).toContain(join('functions', 'thesis.txt'));
  });

  it('refuses arguments it does not know', () => {
    expect(spawnSync(process.execPath, [SCRIPT, '--fast'], { encoding: 'utf8' }).status).toBe(1);
  });
});
