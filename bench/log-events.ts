import { streamLines } from '../src/audit/stream-lines.js';
import { decisionType } from '../src/records/decision.js';
import { systemClock } from '../src/system.js';
import { memoryPorts } from '../test/support/memory-ports.js';
import { here } from './payload.js';
import { benchCall, benchPlatform } from './platform.js';
import { BATCH, BODY, tenantOf, VOTE } from './side.js';

export const LOG_TENANT = tenantOf('ours', 0);

/** The last group of a UUIDv7: random, and in every id of the platform. */
const ID_END = /(-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-)[0-9a-f]{12}/g;

/** Events that the platform sealed: half of them of creates, half of votes. */
async function realEvents(): Promise<readonly string[]> {
  const ports = memoryPorts({ clock: systemClock });
  const { manager, sealer } = benchPlatform(ports);
  const call = benchCall(LOG_TENANT);
  const { envelope } = await manager.create(decisionType, BODY, call);
  for (let vote = 0; vote < BATCH; vote += 1)
    await manager.act(decisionType, envelope.id, 'votes', VOTE, undefined, call);
  await manager.createBatch(decisionType, Array<unknown>(BATCH - 1).fill(BODY), call);
  await sealer.sealTenant(LOG_TENANT, { partitions: [here(LOG_TENANT)] });
  const events: string[] = [];
  for await (const line of streamLines(ports.blobs, LOG_TENANT, 2 * BATCH))
    events.push(Buffer.from(line).toString('utf8'));
  if (events.length !== 2 * BATCH) throw new Error('the events of the bench were not sealed');
  return events;
}

/** As many events, each the text of a real one under ids of its own. */
export async function eventsLike(count: number): Promise<readonly string[]> {
  const real = await realEvents();
  return Array.from({ length: count }, (_, at) => {
    const own = at.toString(16).padStart(12, '0');
    return (real[at % real.length] as string).replace(ID_END, `$1${own}`);
  });
}
