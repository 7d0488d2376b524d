import { SealScheduler } from '../src/audit/seal-scheduler.js';
import { streamLines } from '../src/audit/stream-lines.js';
import { openAzureStorage } from '../src/azure/index.js';
import { decisionType } from '../src/records/decision.js';
import { LIMITS } from '../src/domain/limits.js';
import type { StoragePorts } from '../src/storage/ports.js';
import { backgroundClock, systemClock } from '../src/system.js';
import { countingPorts } from '../test/support/counting-ports.js';
import { memoryPorts } from '../test/support/memory-ports.js';
import { wrapPorts } from '../test/support/wrap-ports.js';
import { LOG_TENANT } from './log-events.js';
import type { LogLoad, LogRound } from './log-report.js';
import { here } from './payload.js';
import { benchCall, benchPlatform } from './platform.js';
import { BATCH, BODY } from './side.js';
import { spreadOf } from './statistics.js';
import type { BenchTools } from './tools.js';

/** Calls of storage that one round makes of so many events, in a log that has been sealed before. */
async function roundOf(events: number): Promise<LogRound> {
  const ports = memoryPorts({ clock: systemClock });
  const writer = benchPlatform(ports);
  const counting = countingPorts(ports);
  const { sealer } = benchPlatform(counting.ports);
  const seal = () => sealer.sealTenant(LOG_TENANT, { partitions: [here(LOG_TENANT)] });
  const fill = async (records: number): Promise<void> => {
    for (let left = records; left > 0; left -= BATCH)
      await writer.manager.createBatch(
        decisionType,
        Array<unknown>(Math.min(left, BATCH)).fill(BODY),
        benchCall(LOG_TENANT),
      );
  };
  await fill(1);
  await seal();
  await fill(events);
  counting.reset();
  const { sealed } = await seal();
  if (sealed !== events) throw new Error(`a round took ${String(sealed)} events`);
  return { events, calls: counting.calls.length };
}

export async function measureRounds(quick: boolean): Promise<readonly LogRound[]> {
  const results: LogRound[] = [];
  for (const events of quick ? [1, BATCH] : [1, 10, BATCH, LIMITS.sealRoundEvents])
    results.push(await roundOf(events));
  return results;
}

/** When the checkpoint came to cover how many events. */
interface Covered {
  readonly at: number;
  readonly size: number;
}

/** Ports that remember when each checkpoint was in its place. */
function watching(ports: StoragePorts, seen: Covered[]): StoragePorts {
  return wrapPorts(ports, async ({ method, args }, run) => {
    const result = await run();
    if (method === 'swap' && args[1] === `${LOG_TENANT}/checkpoint`)
      seen.push({ at: performance.now(), size: sizeIn(args[2] as Uint8Array) });
    return result;
  });
}

/** The second line of a checkpoint. */
const sizeIn = (note: Uint8Array): number => Number(Buffer.from(note).toString('utf8').split('\n')[1]);

/** How hard the platform is written to. */
interface Pressure {
  readonly clients: number;
  /** Between two creates of a client. */
  readonly pauseMs: number;
  readonly seconds: number;
}

/** Creates by some clients for some time, each announced to the sealing process; when each was answered, by event. */
async function write(
  ports: StoragePorts,
  { clients, pauseMs, seconds }: Pressure,
  committed: () => void,
): Promise<ReadonlyMap<string, number>> {
  const { manager } = benchPlatform(ports);
  const answered = new Map<string, number>();
  const end = performance.now() + 1000 * seconds;
  const client = async (): Promise<void> => {
    while (performance.now() < end) {
      const { eventId } = await manager.create(decisionType, BODY, benchCall(LOG_TENANT));
      answered.set(eventId ?? '', performance.now());
      committed();
      if (pauseMs > 0) await systemClock.sleep(pauseMs);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return answered;
}

/** Milliseconds from the answer of each event to the first checkpoint that covers it. */
async function waits(ports: StoragePorts, answered: ReadonlyMap<string, number>, seen: readonly Covered[]) {
  const found: number[] = [];
  let index = 0;
  for await (const line of streamLines(ports.blobs, LOG_TENANT, answered.size)) {
    const { event_id: id } = JSON.parse(Buffer.from(line).toString('utf8')) as { event_id: string };
    const covered = seen.find(({ size }) => size > index);
    const at = answered.get(id);
    if (covered === undefined || at === undefined) throw new Error('an event of the bench was not sealed');
    found.push(covered.at - at);
    index += 1;
  }
  return found;
}

async function loadOf(tools: BenchTools, pressure: Pressure): Promise<LogLoad> {
  const storage = openAzureStorage({ connectionString: await tools.storage.account() });
  try {
    const seen: Covered[] = [];
    const counting = countingPorts(watching(storage.ports, seen));
    const { sealer } = benchPlatform(counting.ports);
    const errors: unknown[] = [];
    const scheduler = new SealScheduler({
      sealer,
      queues: counting.ports.queues,
      // The end of a drain must not be waited for.
      clock: backgroundClock,
      onError: (error) => void errors.push(error),
    });
    const committed = (): void => scheduler.committed(here(LOG_TENANT));
    const answered = await write(storage.ports, pressure, committed);
    while ((seen.at(-1)?.size ?? 0) < answered.size && errors.length === 0) await systemClock.sleep(20);
    if (errors.length > 0) throw new Error('sealing failed in the bench', { cause: errors[0] });
    // What the last round still has to do counts as well.
    await scheduler.drain(60_000);
    const toSealed = await waits(storage.ports, answered, seen);
    return {
      ...pressure,
      events: answered.size,
      rounds: seen.length,
      callsPerEvent: counting.calls.length / answered.size,
      sealedMs: { ...spreadOf(toSealed), max: Math.max(...toSealed) },
    };
  } finally {
    storage.close();
  }
}

/** Few writes, as many as an office makes, and as many as one process can: the emulator answers one request at a time. */
const PRESSURES: readonly Omit<Pressure, 'seconds'>[] = [
  { clients: 1, pauseMs: 100 },
  { clients: 8, pauseMs: 100 },
  { clients: 16, pauseMs: 0 },
];

/** From commit to sealed, and what sealing costs, while clients write. */
export async function measureSealing(tools: BenchTools): Promise<readonly LogLoad[]> {
  const results: LogLoad[] = [];
  for (const pressure of tools.quick ? PRESSURES.slice(0, 1) : PRESSURES) {
    tools.progress(`log: ${String(pressure.clients)} writing`);
    results.push(await loadOf(tools, { ...pressure, seconds: tools.quick ? 0.3 : 20 }));
  }
  return results;
}
