import { sleep } from './bounded.js';
import { StartError, firstLine } from './start-error.js';

const LIMIT_MS = 30_000;

/**
 * Waits until `url` answers 200 over real HTTP. A 5xx may be storage that is still waking up and is asked again;
 * anything else will not change.
 */
export async function waitForHealth(url: string, signal: AbortSignal): Promise<void> {
  const end = performance.now() + LIMIT_MS;
  let last = '';
  while (performance.now() < end) {
    signal.throwIfAborted();
    try {
      const response = await fetch(url, {
        headers: { connection: 'close' },
        signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]),
      });
      await response.arrayBuffer();
      if (response.status === 200) return;
      last = `answered ${response.status}`;
      if (response.status < 500) break;
    } catch (error) {
      last = firstLine(error);
    }
    await sleep(250, signal);
  }
  signal.throwIfAborted();
  throw new StartError(`the health check ${new URL(url).pathname} failed: ${last}`);
}
