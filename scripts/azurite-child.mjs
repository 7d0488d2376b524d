/**
 * Runs Azurite inside a process of its own (src/local/azurite.ts forks it and speaks to it over IPC). Plain
 * JavaScript, because it must run the same from `src/` under the test runner and from `dist/`.
 *
 * It outlives signals meant for its parent (Ctrl-C reaches the whole process group) and closes cleanly, which
 * flushes its database to disk, when it is told to or when the parent is gone.
 *
 * In:  { kind: 'start', entry, args, lock? } and { kind: 'stop' }.
 * Out: { kind: 'listening', service, url }, { kind: 'failed', message }.
 */
import { rmSync } from 'node:fs';
import { createRequire } from 'node:module';

const CLOSE_TIMEOUT_MS = 10_000;
let lock;
let started = false;
let closing = false;
let closed = 0;
let up;
/** Resolves to Azurite's own shutdown function once it is up. */
const whenUp = new Promise((resolve) => (up = resolve));

function tell(message) {
  if (process.connected) process.send(message, () => {});
}

function exit(code) {
  if (lock !== undefined) rmSync(lock, { force: true });
  process.exit(code);
}

/** Azurite reports on the console; that is its only way to say that it listens, is closed, or failed. */
function readConsole(text) {
  const listening = /Azurite (\w+) service is successfully listening at (http\S+)/.exec(text);
  if (listening !== null) tell({ kind: 'listening', service: listening[1].toLowerCase(), url: listening[2] });
  if (/service successfully closed/.test(text) && ++closed === 3) exit(0);
  const failed = /^Exit due to unhandled error: (.*)/s.exec(text);
  if (failed !== null) tell({ kind: 'failed', message: failed[1].split('\n')[0] });
}
console.log = (...parts) => readConsole(parts.join(' '));
console.error = (...parts) => readConsole(parts.join(' '));

/** Closes as Azurite does on SIGTERM, once it is up: closing half a start would lose the flush. */
async function close() {
  if (closing) return;
  closing = true;
  if (!started) exit(0);
  setTimeout(() => exit(1), CLOSE_TIMEOUT_MS).unref();
  (await whenUp)();
}

// A dead parent leaves broken pipes behind; writing to them must not kill us before the flush.
process.stdout.on('error', () => {});
process.stderr.on('error', () => {});
process.on('SIGINT', () => {});
process.on('SIGHUP', () => {});
// SIGTERM may reach the whole group as well, and a parent that lives needs its storage to stop in good order.
process.on('SIGTERM', () => {
  if (!process.connected) void close();
});
process.on('disconnect', close);
process.on('newListener', (event, listener) => {
  // Once Azurite is up it listens to these signals; what they do is ours to decide.
  if (event !== 'SIGINT' && event !== 'SIGTERM') return;
  process.nextTick(() => process.removeListener(event, listener));
  if (event === 'SIGTERM') up(listener);
});
process.on('message', (message) => {
  if (message?.kind === 'stop') void close();
  if (message?.kind === 'start' && !started && !closing) {
    started = true;
    lock = message.lock;
    process.argv = [process.argv[0], message.entry, ...message.args];
    createRequire(import.meta.url)(message.entry);
  }
});
