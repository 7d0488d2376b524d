import { describe, expect, it } from 'vitest';
import { agentStateType } from '../../src/records/agent-state.js';
import { Random } from '../faults/simulation-random.js';
import { inTime } from '../support/in-time.js';
import { memoryPorts } from '../support/memory-ports.js';
import { caller, testPlatform } from '../support/platform.js';
import { VirtualClock } from '../support/virtual-clock.js';
import { wrapPorts } from '../support/wrap-ports.js';

const TTL = 5 * 60_000;
const AT = { partition: 'cfo', name: 'cfo-1' };
const CLIENTS = 5;
const STEPS = 40;

interface Written {
  readonly host: number;
  readonly revision: number;
  readonly answeredMs: number;
}

/** Clients read and write one record on two hosts whose storage takes its time; resolves to what broke a promise. */
async function run(seed: number): Promise<{ readonly broken: readonly string[]; readonly hits: number }> {
  const random = new Random(seed);
  const clock = new VirtualClock();
  const ports = wrapPorts(memoryPorts({ clock }), async (_, work) => {
    await clock.sleep(random.below(400));
    const result = await work();
    await clock.sleep(random.below(400));
    return result;
  });
  const hosts = [testPlatform(ports, { clock }), testPlatform(ports, { clock })];
  const call = caller();
  const written: Written[] = [];
  const broken: string[] = [];
  const write = async (host: number): Promise<void> => {
    const { envelope } = await (hosts[host] as (typeof hosts)[0]).manager.put(agentStateType, AT, { status: 'busy' }, {}, call); // prettier-ignore
    written.push({ host, revision: envelope.revision, answeredMs: clock.monotonic() });
  };
  const read = async (host: number, fresh: boolean): Promise<void> => {
    const beganMs = clock.monotonic();
    const known = [...written];
    const { envelope, served } = await (hosts[host] as (typeof hosts)[0]).manager.getNamed(agentStateType, AT, { ...call, fresh }); // prettier-ignore
    const least = (of: (one: Written) => boolean) => Math.max(0, ...known.filter(of).map(({ revision }) => revision)); // prettier-ignore
    const floors = {
      'written on this host': least((one) => one.host === host),
      'written longer ago than the time to live': least((one) => one.answeredMs < beganMs - TTL),
      'written before a fresh read': fresh ? least(() => true) : 0,
    };
    for (const [what, floor] of Object.entries(floors))
      if (envelope.revision < floor)
        broken.push(`${envelope.revision} (${served?.reason}) instead of ${floor}, ${what}`);
  };
  const client = async (): Promise<void> => {
    for (let step = 0; step < STEPS; step += 1) {
      await clock.sleep(random.below(random.below(6) === 0 ? 2 * TTL : 2000));
      const host = random.below(2);
      if (random.below(4) === 0) await write(host);
      else await read(host, random.below(8) === 0);
    }
  };
  await inTime(clock, write(0), 5000);
  await inTime(clock, Promise.all(Array.from({ length: CLIENTS }, client)), 20_000);
  const counted = hosts.map(({ manager }) => manager.cacheStatistics()['agent_state']?.hits ?? 0);
  return { broken, hits: counted.reduce((sum, hits) => sum + hits, 0) };
}

describe('what two hosts keep in memory', () => {
  it('is never older than promised, whatever comes at once', async () => {
    let hits = 0;
    for (let seed = 1; seed <= 8; seed += 1) {
      const result = await run(seed);
      expect([seed, result.broken]).toEqual([seed, []]);
      hits += result.hits;
    }
    expect(hits).toBeGreaterThan(150);
  });
});
