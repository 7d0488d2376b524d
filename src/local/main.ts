import { openAzureStorage } from '../azure/index.js';
import { startAzurite } from './azurite.js';
import { within } from './bounded.js';
import { createHostLog, errorFields } from './host-log.js';
import { startPlatform } from './platform.js';
import { firstLine } from './start-error.js';

/** npm passes on a Ctrl-C that the terminal has sent us as well: two signals this close are one. */
const SAME_SIGNAL_MS = 250;

/** How long a start that was asked to end may take to notice. */
const GIVE_UP_MS = 10_000;

function welcome(baseUrl: string, authMode: string | undefined): string {
  const body = '{"decision_type":"strategic","title":"Open a second warehouse"}';
  const token = authMode === 'entra' ? ` -H "authorization: Bearer $TOKEN"` : '';
  return `ready ${baseUrl}\ncurl -X POST ${baseUrl}/decisions${token} -H 'content-type: application/json' -d '${body}'\n`;
}

/**
 * Runs the whole platform in this process until a signal ends it. Exits 0 when it was asked to end, and 1, with one
 * line on standard error, when it could not start or cannot go on.
 */
export async function main(root: string): Promise<void> {
  const log = createHostLog(process.env['LOG_LEVEL']);
  const ending = new AbortController();
  const { signal } = ending;
  let exitCode = 0;
  let firstSignalAt: number | undefined;

  const fail = (why: string): void => {
    // The first reason is the reason; what follows from ending stays unsaid.
    if (signal.aborted) return;
    exitCode = 1;
    process.stderr.write(`business-records: ${why}\n`);
    ending.abort();
  };
  const onSignal = (): void => {
    const now = performance.now();
    if (firstSignalAt !== undefined && now - firstSignalAt > SAME_SIGNAL_MS) process.exit(1);
    firstSignalAt ??= now;
    ending.abort();
  };
  const onDefect = (error: unknown): void => {
    log.error('an error nobody handled', errorFields(error));
    fail(firstLine(error));
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  process.on('uncaughtException', onDefect).on('unhandledRejection', onDefect);
  const ended = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));

  const state = { started: false };
  const run = async (): Promise<void> => {
    const platform = await startPlatform({
      root,
      env: process.env,
      log,
      startAzurite,
      openQueues: (connectionString) => {
        const storage = openAzureStorage({ connectionString });
        return { queues: storage.ports.queues, close: () => storage.close() };
      },
      signal,
      onStorageLost: fail,
    });
    if (!signal.aborted) process.stdout.write(welcome(platform.baseUrl, process.env['AUTH_MODE']));
    state.started = true;
    await ended;
    await platform.stop();
  };
  const running = run().catch((error: unknown) => {
    if (error instanceof Error && error.cause !== undefined)
      log.debug('not started', errorFields(error.cause));
    fail(firstLine(error));
  });
  await Promise.race([running, ended]);
  // A start that hangs, on storage that never answers say, does not hold up the end.
  if (state.started) await running;
  else await within(GIVE_UP_MS, running);
  process.exit(exitCode);
}
