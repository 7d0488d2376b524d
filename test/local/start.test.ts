import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { listen } from '../../src/local/http-server.js';
import { killAll, run, type Process } from './processes.js';
import { ROOT, recordingLog, removeFolders, temporaryFolder, until } from './support.js';

/** Storage that is not there: what `npm start` does around it is what is tested here. */
const STORAGE = `
  export async function startAzurite(_options: { location?: string }) {
    let die = (_code: number): void => undefined;
    const exited = new Promise<{ code: number | null }>((resolve) => (die = (code) => resolve({ code })));
    Object.assign(globalThis, { die });
    return {
      connectionString: 'UseDevelopmentStorage=true',
      exited,
      stop: async () => { console.log('storage stopped'); die(0); },
    };
  }`;
const AZURE = `
  export function openAzureStorage(_options: { connectionString: string }) {
    const queues = {
      send: async () => undefined, receive: async () => [], remove: async () => true, defer: async () => true, renew: async () => undefined,
    };
    return { ports: { queues }, close: () => undefined };
  }`;
const APP = `
  import { app } from '@azure/functions';
  const state = globalThis as unknown as { die(code: number): void };
  app.http('health', { handler: async () => ({ jsonBody: { ok: true } }) });
  app.http('die', { handler: async () => { setTimeout(() => state.die(137), 20); return {}; } });
  app.http('slow', { handler: async () => {
    console.log('slow begins');
    await new Promise((resolve) => setTimeout(resolve, 500));
    console.log('slow ends');
    return { body: 'slow' };
  } });
  app.hook.appStart(async () => {
    if (process.env.HANG === 'start') { console.log('hanging'); await new Promise(() => undefined); }
    if (process.env.FAIL) throw new Error('the signing key of this log is missing');
  });
  app.hook.appTerminate(async () => {
    console.log('sealing');
    if (process.env.HANG === 'end') await new Promise(() => undefined);
    console.log('sealed');
  });`;

let root: string;

beforeAll(async () => {
  root = temporaryFolder();
  const copy = (path: string): void => cpSync(join(ROOT, path), join(root, path), { recursive: true });
  for (const path of ['scripts/start.mjs', 'src/local', 'src/storage/ports.ts']) copy(path);
  for (const path of ['package.json', 'tsconfig.json', 'tsconfig.build.json']) copy(path);
  for (const folder of ['functions', 'src/azure']) mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(join(root, 'src/local/azurite.ts'), STORAGE);
  writeFileSync(join(root, 'src/azure/index.ts'), AZURE);
  writeFileSync(join(root, 'functions/index.ts'), APP);
  writeFileSync(join(root, 'host.json'), '{"version":"2.0"}');
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
  const first = start();
  await first.says('ready ');
  first.child.kill('SIGTERM');
  expect(await first.exited).toBe(0);
});
afterEach(killAll);
afterAll(removeFolders);

const start = (env: NodeJS.ProcessEnv = {}): Process =>
  run(root, process.execPath, ['scripts/start.mjs'], env);

async function ready(process: Process): Promise<string> {
  await process.says(/^curl .*\n/m);
  return /^ready (\S+)$/m.exec(process.out())?.[1] ?? '';
}

describe('npm start', () => {
  it('prints one line with the address and a curl to try, and nothing before it', async () => {
    const started = start();
    const url = await ready(started);
    expect(started.out()).toBe(
      `ready ${url}\n` +
        `curl -X POST ${url}/decisions -H 'content-type: application/json' ` +
        `-d '{"decision_type":"strategic","title":"Open a second warehouse"}'\n`,
    );
    expect((await fetch(`${url}/health`)).status).toBe(200);
    started.child.kill('SIGINT');
    expect(await started.exited).toBe(0);
    expect(started.err()).toBe('');
  });

  it('run through npm, ends in good order when npm is told to end', async () => {
    const started = run(root, 'npm', ['start']);
    await ready(started);
    started.child.kill('SIGTERM');
    await started.exited;
    expect(started.out()).toMatch(/sealed\nstorage stopped\n$/);
  });

  it('finishes requests, seals, and stops its storage last', async () => {
    const started = start();
    const url = await ready(started);
    const slow = fetch(`${url}/slow`);
    await started.says('slow begins');
    started.child.kill('SIGTERM');
    expect(await (await slow).text()).toBe('slow');
    expect(await started.exited).toBe(0);
    expect(started.out()).toMatch(/slow begins\nslow ends\nsealing\nsealed\nstorage stopped\n$/);
  });

  it('takes two signals at once for one, and exits at once with 1 at a later one', async () => {
    const started = start({ HANG: 'end' });
    await ready(started);
    started.child.kill('SIGINT');
    started.child.kill('SIGTERM');
    await started.says('sealing');
    const begin = performance.now();
    await until(() => performance.now() - begin > 300, 'time passes: it is time that tells the two apart');
    expect(started.child.exitCode).toBeNull();
    started.child.kill('SIGINT');
    expect(await started.exited).toBe(1);
    expect(started.err()).toBe('');
  });

  it('ends with one line when its storage dies', async () => {
    const started = start();
    const url = await ready(started);
    await fetch(`${url}/die`);
    expect(await started.exited).toBe(1);
    expect(started.err()).toBe('business-records: Azurite ended unexpectedly (code 137)\n');
  });

  it('ends with one line when the app refuses to start, its storage stopped', async () => {
    const failed = start({ FAIL: '1' });
    expect(await failed.exited).toBe(1);
    expect(failed.err()).toBe('business-records: the signing key of this log is missing\n');
    expect(failed.out()).toBe('storage stopped\n');
  });

  it('ends with one line when its port is in use, before it starts any storage', async () => {
    const taken = await listen(0, recordingLog());
    const failed = start({ PORT: String(taken.port) });
    expect(await failed.exited).toBe(1);
    expect(failed.err()).toMatch(new RegExp(`^business-records: port ${taken.port} is already in use.*\\n$`));
    expect(failed.out()).toBe('');
    await taken.stop(0);
  });

  it('can be ended while it starts', async () => {
    const started = start({ HANG: 'start' });
    await started.says('hanging');
    started.child.kill('SIGTERM');
    expect(await started.exited).toBe(0);
    expect(started.err()).toBe('');
  });
});
