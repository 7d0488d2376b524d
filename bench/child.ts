import { spawn } from 'node:child_process';

export interface Started {
  /** Without a slash at its end. */
  readonly baseUrl: string;
  stop(): Promise<void>;
}

const READY_MS = 60_000;

/** Runs a module's text in a process of its own; resolves once it prints `ready <address>`. */
export async function startChild(code: string, env: NodeJS.ProcessEnv): Promise<Started> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  // However the bench ends, it leaves nobody behind.
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  void exited.then(() => process.off('exit', kill));
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await exited;
  };
  let out = '';
  let timer: NodeJS.Timeout | undefined;
  const ready = new Promise<string>((resolve, reject) => {
    timer = setTimeout(() => reject(new Error('a process of the bench did not start in time')), READY_MS);
    child.once('close', () => reject(new Error('a process of the bench ended early')));
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      const url = /^ready (http:\S+)$/m.exec(out)?.[1];
      if (url !== undefined) resolve(url);
    });
  });
  try {
    return { baseUrl: await ready, stop };
  } catch (error) {
    await stop();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Runs a module's text and gives what it prints. */
export async function outputOf(
  code: string,
  env: NodeJS.ProcessEnv,
  flags: readonly string[] = [],
): Promise<string> {
  const child = spawn(process.execPath, [...flags, '--input-type=module', '--eval', code], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  const exitCode = await new Promise<number | null>((resolve) => child.once('close', resolve));
  if (exitCode !== 0) throw new Error(`a process of the bench ended with ${String(exitCode)}`);
  return out;
}
