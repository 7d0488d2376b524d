import { spawn, type ChildProcess } from 'node:child_process';
import { until } from './support.js';

export interface Process {
  readonly child: ChildProcess;
  readonly out: () => string;
  readonly err: () => string;
  /** Resolves when the process is gone and everything it wrote was read. */
  readonly exited: Promise<number | null>;
  says(text: string | RegExp): Promise<void>;
}

const running = new Set<ChildProcess>();

/** Runs a program in a folder, with nothing of our own environment that would configure it. */
export function run(folder: string, command: string, args: string[], env: NodeJS.ProcessEnv = {}): Process {
  const child = spawn(command, args, {
    cwd: folder,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => (out += String(chunk)));
  child.stderr.on('data', (chunk) => (err += String(chunk)));
  const exited = new Promise<number | null>((resolve) => {
    child.once('close', (code) => {
      running.delete(child);
      resolve(code);
    });
  });
  return {
    child,
    out: () => out,
    err: () => err,
    exited,
    says: (text) =>
      until(
        () => (typeof text === 'string' ? out.includes(text) : text.test(out)),
        `${String(text)} in:\n${out}\n${err}`,
        40_000,
      ),
  };
}

/** Ends what a failed test has left running. */
export function killAll(): void {
  for (const child of running) child.kill('SIGKILL');
}
