import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openAzureStorage } from '../../src/azure/index.js';
import { LOCK_FILE, startAzurite } from '../../src/local/azurite.js';
import { transpileFolder } from '../support/transpile.js';

const NAMES = { tables: ['kept'], containers: ['kept'], queues: ['kept'] };
let location: string;

beforeEach(async () => {
  location = await mkdtemp(join(tmpdir(), 'business-records-data-'));
});
afterEach(() => rm(location, { recursive: true, force: true }));

/** Writes one row, one blob and one message. */
async function fill(connectionString: string): Promise<void> {
  const { ports, provision, close } = openAzureStorage({ connectionString });
  await provision(NAMES);
  await ports.tables.commit('kept', 'p', [{ kind: 'insert', rowKey: 'r', properties: { n: 1 } }]);
  await ports.blobs.putOnce('kept', 'b', new Uint8Array([1, 2, 3]), 'application/octet-stream');
  await ports.queues.send('kept', 'text');
  close();
}

async function expectFilled(connectionString: string): Promise<void> {
  const { ports, close } = openAzureStorage({ connectionString });
  expect((await ports.tables.find('kept', 'p', 'r'))?.properties).toEqual({ n: 1 });
  expect((await ports.blobs.find('kept', 'b'))?.bytes).toEqual(new Uint8Array([1, 2, 3]));
  expect(await ports.queues.receive('kept', { limit: 1, hiddenS: 1 })).toMatchObject([{ text: 'text' }]);
  close();
}

/** True while the process runs; what a dead one leaves until it is reaped does not count. */
function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch (error) {
    // No such file: not Linux, and the signal was deliverable.
    return (error as NodeJS.ErrnoException).code === 'ENOENT' && process.platform !== 'linux';
  }
}

async function until(condition: () => boolean, timeoutMs = 15_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > deadline) return expect.fail('it did not happen in time');
    await delay(20);
  }
}
const lockPid = async (): Promise<number> =>
  Number((await readFile(join(location, LOCK_FILE), 'utf8')).split('\n')[0]);

describe('embedded Azurite', () => {
  it('keeps its data over a restart', async () => {
    const first = await startAzurite({ location });
    await fill(first.connectionString);
    await first.stop();
    expect((await first.exited).code).toBe(0);
    const second = await startAzurite({ location });
    await expectFilled(second.connectionString);
    await second.stop();
    await second.stop();
  });

  it('leaves nothing on disk when it runs in memory', async () => {
    const before = await readdir(process.cwd());
    const azurite = await startAzurite();
    await fill(azurite.connectionString);
    await expectFilled(azurite.connectionString);
    await azurite.stop();
    expect(await readdir(process.cwd())).toEqual(before);
  });

  it('serves the accounts it is given, each apart from the others', async () => {
    const accounts = ['one', 'two'].map((name) => ({ name, key: Buffer.from(name).toString('base64') }));
    const azurite = await startAzurite({ accounts });
    const [one, two] = accounts.map((account) => azurite.connectionStringFor(account)) as [string, string];
    expect(azurite.connectionString).toBe(one);
    await fill(one);
    await expectFilled(one);
    const { ports } = openAzureStorage({ connectionString: two });
    await expect(ports.tables.find('kept', 'p', 'r')).rejects.toMatchObject({ kind: 'refused' });
    await azurite.stop();
  });

  it('listens on this machine only', async () => {
    const azurite = await startAzurite();
    const hosts = [...azurite.connectionString.matchAll(/http:\/\/([^:]+):/g)].map((match) => match[1]);
    expect(hosts).toEqual(['127.0.0.1', '127.0.0.1', '127.0.0.1']);
    await azurite.stop();
  });
});

describe('a data folder', () => {
  it('is made where there is none', async () => {
    const azurite = await startAzurite({ location: join(location, 'new', 'folder') });
    await azurite.stop();
    expect(await readdir(join(location, 'new', 'folder'))).toContain('__azurite_db_table__.json');
  });

  it.each(['', '{"collections":[', 'null', '[]'])(
    'is refused when a database in it reads %j',
    async (content) => {
      await writeFile(join(location, '__azurite_db_blob__.json'), content);
      const error = await startAzurite({ location }).catch((reason: unknown) => reason as Error);
      expect(error).toBeInstanceOf(Error);
      const { message } = error as Error;
      expect(message).toContain(`the data folder ${location} is corrupt: __azurite_db_blob__.json`);
      expect(message).not.toContain('\n');
    },
  );

  it('is refused when it is a file', async () => {
    const file = join(location, 'file');
    await writeFile(file, '');
    await expect(startAzurite({ location: file })).rejects.toThrow(`the data folder ${file} is a file`);
    await expect(startAzurite({ location: join(file, 'below') })).rejects.toThrow('cannot be made');
  });

  // The superuser may write everywhere.
  it.skipIf(process.getuid?.() === 0)('is refused when it is not writable', async () => {
    const folder = join(location, 'locked');
    await mkdir(folder);
    await chmod(folder, 0o500);
    await expect(startAzurite({ location: folder })).rejects.toThrow('is not writable');
  });

  it('belongs to one Azurite at a time, named by its process', async () => {
    const azurite = await startAzurite({ location });
    const pid = await lockPid();
    expect(pid).not.toBe(process.pid);
    expect(alive(pid)).toBe(true);
    const second = startAzurite({ location, lockWaitMs: 200 });
    await expect(second).rejects.toThrow(`the data folder ${location} is in use by process ${pid}`);
    await azurite.stop();
    expect(await readdir(location)).not.toContain(LOCK_FILE);
  });

  it('keeps the lock of the next when the one before is stopped after it died', async () => {
    const first = await startAzurite({ location });
    process.kill(await lockPid(), 'SIGKILL');
    await first.exited;
    const second = await startAzurite({ location });
    await first.stop();
    expect(alive(await lockPid())).toBe(true);
    await second.stop();
  });

  it('is waited for while another Azurite is about to leave it', async () => {
    const azurite = await startAzurite({ location });
    await fill(azurite.connectionString);
    const second = startAzurite({ location });
    await delay(300);
    await azurite.stop();
    await expectFilled((await second).connectionString);
    await (await second).stop();
  });

  it('is taken over from a process that is dead, or whose number another process has now', async () => {
    for (const stale of ['999999999\n', `${process.pid}\nanother-boot 12345\n`, 'nonsense', '']) {
      await writeFile(join(location, LOCK_FILE), stale);
      const azurite = await startAzurite({ location, lockWaitMs: 200 });
      expect(alive(await lockPid())).toBe(true);
      await azurite.stop();
    }
  });

  it('lets exactly one of several win that start at once over a stale lock', async () => {
    await writeFile(join(location, LOCK_FILE), '999999999\n');
    const results = await Promise.allSettled(
      Array.from({ length: 4 }, () => startAzurite({ location, lockWaitMs: 0 })),
    );
    const won = results.filter((result) => result.status === 'fulfilled');
    expect(won).toHaveLength(1);
    await won[0]?.value.stop();
    expect((await readdir(location)).filter((name) => name.startsWith(LOCK_FILE))).toEqual([]);
  });
});

describe('the process of Azurite', () => {
  let compiled: ReturnType<typeof transpileFolder>;
  const parents: ChildProcess[] = [];

  beforeAll(async () => {
    compiled = transpileFolder('local', ['azurite.ts', 'data-folder.ts', 'folder-lock.ts']);
    await writeFile(
      join(compiled.path, 'parent.js'),
      `import { startAzurite } from './azurite.js';
       process.on('SIGINT', () => {});
       const azurite = await startAzurite({ location: process.argv[2] });
       console.log(azurite.connectionString);
       azurite.exited.then(({ code }) => console.log('exited ' + code));
       setInterval(() => {}, 1000);`,
    );
  });
  afterAll(() => {
    for (const parent of parents) parent.kill('SIGKILL');
    compiled.remove();
  });

  /** A process of its own that embeds Azurite, and its first line: the connection string. */
  async function startParent(): Promise<{ parent: ChildProcess; connectionString: string }> {
    const parent = spawn(process.execPath, [join(compiled.path, 'parent.js'), location], {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    parents.push(parent);
    const lines = createInterface({ input: parent.stdout as NodeJS.ReadableStream });
    for await (const line of lines) return { parent, connectionString: line };
    throw new Error('the parent did not start');
  }

  it('flushes its data and goes when its parent is killed', async () => {
    const { parent, connectionString } = await startParent();
    await fill(connectionString);
    const pid = await lockPid();
    parent.kill('SIGKILL');
    // At once, without waiting for the orphan: the lock makes the second wait.
    const azurite = await startAzurite({ location });
    expect(alive(pid)).toBe(false);
    await expectFilled(azurite.connectionString);
    await azurite.stop();
  });

  it('does not mind Ctrl-C, which goes to the whole process group', async () => {
    const { parent, connectionString } = await startParent();
    const pid = await lockPid();
    process.kill(-(parent.pid as number), 'SIGINT');
    await delay(500);
    expect(alive(pid)).toBe(true);
    await fill(connectionString);
    parent.kill('SIGKILL');
    await until(() => !alive(pid));
  });

  it('leaves the folder to others when it is killed itself', async () => {
    const { parent } = await startParent();
    process.kill(await lockPid(), 'SIGKILL');
    const azurite = await startAzurite({ location });
    await azurite.stop();
    parent.kill('SIGKILL');
  });
});
