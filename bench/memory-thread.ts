import { parentPort } from 'node:worker_threads';
import { isFault } from '../src/storage/ports.js';
import { systemClock } from '../src/system.js';
import { memoryPorts } from '../test/support/memory-ports.js';
import type { ThreadAnswer, ThreadCall } from './far-ports.js';
import { LIFECYCLE, prepare } from './lifecycle-work.js';

/** The other side of `farPorts`: a storage in memory, in a thread and so on a heap of its own. */
const ports = memoryPorts({ clock: systemClock });

const thread = {
  async prepare(name: string, tenant: string, records: number): Promise<void> {
    const work = LIFECYCLE.find((one) => one.name === name);
    if (work !== undefined) await prepare(work, ports, tenant, { records });
  },
};

parentPort?.on('message', ({ id, port, method, args }: ThreadCall) => {
  const target = (port === 'thread' ? thread : ports[port]) as unknown as Record<
    string,
    (...args: readonly unknown[]) => Promise<unknown>
  >;
  const answer = (said: Omit<ThreadAnswer, 'id'>): void => parentPort?.postMessage({ id, ...said });
  void Promise.resolve(target[method]?.(...args)).then(
    (value) => answer({ value }),
    (error: unknown) =>
      answer(isFault(error) ? { fault: { kind: error.kind, message: error.message } } : { error: String(error) }), // prettier-ignore
  );
});
