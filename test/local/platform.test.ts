import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { listen } from '../../src/local/http-server.js';
import { startPlatform, type Platform, type PlatformOptions } from '../../src/local/platform.js';
import { MemoryQueues } from '../support/memory-queues.js';
import { realClock } from '../support/virtual-clock.js';
import { folderWith, recordingLog, removeFolders } from './support.js';

const running: Platform[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((platform) => platform.stop()));
});
afterAll(removeFolders);

const HEALTHY = `
  import { app } from '@azure/functions';
  app.http('health', { handler: async () => ({ jsonBody: {} }) });
  app.http('env', { handler: async () => ({ jsonBody: globalThis.environment }) });
  app.storageQueue('q', { queueName: 'q', connection: 'AzureWebJobsStorage', handler: () => {} });`;

/** A package folder with an app in it, and every outside call recorded. */
function setUp(app: string, env: NodeJS.ProcessEnv = {}) {
  const root = folderWith({
    'package.json': '{"type":"module","main":"app.mjs"}',
    'app.mjs': app,
    'host.json': '{"version":"2.0"}',
  });
  const events: string[] = [];
  let die = (_code: number): void => undefined;
  const ending = new AbortController();
  const options: PlatformOptions = {
    root,
    env: { PORT: '0', ...env },
    log: recordingLog(),
    startAzurite: async ({ location }) => {
      events.push(`azurite in ${location.slice(root.length + 1)}`);
      const exited = new Promise<{ code: number | null }>((resolve) => (die = (code) => resolve({ code })));
      return {
        connectionString: 'UseDevelopmentStorage=true;embedded',
        exited,
        stop: async () => {
          events.push('azurite stopped');
          die(0);
        },
      };
    },
    openQueues: (connectionString) => {
      events.push(`queues of ${connectionString}`);
      return { queues: new MemoryQueues(realClock), close: () => void events.push('queues closed') };
    },
    signal: ending.signal,
    onStorageLost: (why) => void events.push(why),
  };
  Object.assign(globalThis, { environment: options.env });
  const start = async (): Promise<Platform> => {
    const platform = await startPlatform(options);
    running.push(platform);
    return platform;
  };
  return { root, events, options, ending, start, die: (code: number) => die(code) };
}

describe('the platform', () => {
  it('starts storage and keys of its own and is ready when its health is', async () => {
    const { start, events, root } = setUp(HEALTHY);
    const platform = await start();
    expect(platform.baseUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/api$/);
    const env = (await (await fetch(`${platform.baseUrl}/env`)).json()) as Record<string, string>;
    expect(env).toMatchObject({
      AUTH_MODE: 'development',
      AzureWebJobsStorage: 'UseDevelopmentStorage=true;embedded',
      ...(JSON.parse(readFileSync(join(root, '.data/keys.json'), 'utf8')) as object),
    });
    await platform.stop();
    expect(events).toEqual([
      'azurite in .data/azurite',
      'queues of UseDevelopmentStorage=true;embedded',
      'queues closed',
      'azurite stopped',
    ]);
    await expect(fetch(platform.baseUrl)).rejects.toThrow();
  });

  it('uses the storage and the keys it is given, and then touches no folder', async () => {
    const given = { CURSOR_KEY: 'c', WRAPPING_KEY: 'w', AUDIT_SIGNING_KEY: 's', AUTH_MODE: 'entra' };
    const env = { ...given, AzureWebJobsStorage: 'UseDevelopmentStorage=true' };
    const { start, events, root } = setUp(HEALTHY, env);
    const platform = await start();
    expect(events).toEqual(['queues of UseDevelopmentStorage=true']);
    expect(await (await fetch(`${platform.baseUrl}/env`)).json()).toMatchObject(env);
    expect(existsSync(join(root, '.data'))).toBe(false);
  });

  it('tells when its storage ends by itself, and not when it was stopped', async () => {
    const first = setUp(HEALTHY);
    await first.start();
    first.die(3);
    await Promise.resolve();
    expect(first.events.at(-1)).toBe('Azurite ended unexpectedly (code 3)');
    const second = setUp(HEALTHY);
    await (await second.start()).stop();
    expect(second.events.at(-1)).toBe('azurite stopped');
  });

  it('finds a port in use before it starts anything', async () => {
    const taken = await listen(0, recordingLog());
    const { start, events, root } = setUp(HEALTHY, { PORT: String(taken.port) });
    await expect(start()).rejects.toMatchObject({ name: 'PortInUseError' });
    expect(events).toEqual([]);
    expect(existsSync(join(root, '.data'))).toBe(false);
    await taken.stop(0);
  });

  it.each([
    ['PORT is a word', { PORT: 'http' }, /^PORT is not a port number: "http"$/],
    ['PORT is too high', { PORT: '65536' }, /^PORT is not a port number/],
    ['PORT is negative', { PORT: '-1' }, /^PORT is not a port number/],
    [
      'the connection string is none',
      { AzureWebJobsStorage: 'secret' },
      /^AzureWebJobsStorage is not a storage/,
    ],
  ])('refuses to start when %s', async (_what, env, message) => {
    const { start, events } = setUp(HEALTHY, env);
    const error = await start().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'StartError', message: expect.stringMatching(message) });
    expect((error as Error).message).not.toContain('secret');
    expect(events).toEqual([]);
  });

  it('refuses a DATA_DIR that is a file', async () => {
    const { start, root, options } = setUp(HEALTHY);
    writeFileSync(join(root, 'file'), '');
    options.env['DATA_DIR'] = 'file';
    await expect(start()).rejects.toThrow(`DATA_DIR ${join(root, 'file')} is not a folder`);
  });

  it.each([
    ['the app does not load', `throw new Error('bad configuration');`, 'bad configuration'],
    [
      'a start hook throws',
      `import { app } from '@azure/functions';
       app.http('health', { handler: async () => ({}) });
       app.hook.appStart(() => { throw new Error('the signing key is missing'); });`,
      'the signing key is missing',
    ],
    [
      'there is no health to ask',
      `import { app } from '@azure/functions'; app.http('x', { handler: async () => ({}) });`,
      'the health check /api/health failed: answered 404',
    ],
    [
      'it asks for a setting that is not there',
      `import { app } from '@azure/functions';
       app.storageQueue('q', { queueName: 'q', connection: 'Other', handler: () => {} });`,
      'the setting Other holds no connection string',
    ],
  ])('stops what it started when %s', async (_what, app, message) => {
    const { start, events } = setUp(app);
    await expect(start()).rejects.toMatchObject({ name: 'StartError', message });
    expect(events[0]).toBe('azurite in .data/azurite');
    expect(events.at(-1)).toBe('azurite stopped');
  });

  it('waits for a health that is not there yet', async () => {
    const { start } = setUp(`
      import { app } from '@azure/functions';
      let asked = 0;
      app.http('health', { handler: async () => ({ status: (asked += 1) < 3 ? 503 : 200 }) });`);
    await expect(start()).resolves.toMatchObject({ baseUrl: expect.any(String) });
  });

  it('gives up between two steps when it is told to end', async () => {
    const { events, ending, options } = setUp(HEALTHY);
    const { startAzurite } = options;
    const begun = startPlatform({
      ...options,
      startAzurite: async (where) => {
        const azurite = await startAzurite(where);
        ending.abort();
        return azurite;
      },
    });
    await expect(begun).rejects.toMatchObject({ name: 'AbortError' });
    expect(events).toEqual(['azurite in .data/azurite', 'azurite stopped']);
  });
});
