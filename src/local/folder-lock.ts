import { randomUUID } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 50;

/**
 * Who a process is: its pid, and on Linux also when it started, because pids are used again (in a container, after
 * every restart). Undefined when there is no such process, or only its unreaped remains.
 */
function identity(pid: number): string | undefined {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return undefined;
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // After the command name in parentheses: field 3 is the state, field 22 the start time.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${pid}\n${boot} ${fields[19]}\n`;
  } catch {
    return `${pid}\n`;
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The pid that holds the lock, if that process still lives. */
function holder(content: string): number | undefined {
  const [first = '', second = ''] = content.split('\n');
  const pid = Number(first);
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined;
  const now = identity(pid);
  if (now === undefined) return undefined;
  return second === '' || now.split('\n')[1] === second ? pid : undefined;
}

/** Creates the lock with its content in one step; false when somebody was faster. */
function tryCreate(path: string, content: string): boolean {
  const draft = `${path}.${randomUUID()}`;
  writeFileSync(draft, content);
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Removes a lock whose holder is dead, but never one that another process made in the meantime. */
function removeStale(path: string, content: string): void {
  const aside = `${path}.${randomUUID()}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const moved = readFileSync(aside, 'utf8');
  if (moved !== content) tryCreate(path, moved);
  rmSync(aside, { force: true });
}

/**
 * Takes the lock file at `path` for the process `pid`, waiting up to `waitMs` for a living holder to go; a dead
 * holder's lock is taken over. Resolves to undefined, or to the pid that would not let go.
 */
export async function lockFolder(path: string, pid: number, waitMs: number): Promise<number | undefined> {
  const deadline = performance.now() + waitMs;
  const content = identity(pid) ?? `${pid}\n`;
  for (;;) {
    if (tryCreate(path, content)) return undefined;
    const found = read(path);
    if (found === undefined) continue;
    const living = holder(found);
    if (living === undefined) {
      removeStale(path, found);
      continue;
    }
    if (performance.now() >= deadline) return living;
    await sleep(POLL_MS);
  }
}

/** Removes the lock at `path` if it is still that of the process `pid`, which died without doing so. */
export function unlockFolder(path: string, pid: number): void {
  const found = read(path);
  if (found?.split('\n')[0] === String(pid)) removeStale(path, found);
}
