import { describe, expect, it } from 'vitest';
import { storageNames } from '../../../src/platform.js';
import type { StoragePorts } from '../../../src/storage/ports.js';
import { Died, diesAt } from '../../lifecycle/support.js';
import { memoryPorts } from '../../support/memory-ports.js';
import { VirtualClock } from '../../support/virtual-clock.js';
import { wrapPorts } from '../../support/wrap-ports.js';
import { headOf, TENANT } from '../support.js';
import { add, rollingCheck, seal } from './support.js';

/** A log that grows over the ends of tiles while it is looked at: at each call of a turn somebody does something to it. */
class Race {
  readonly clock = new VirtualClock();
  readonly ports = memoryPorts({ clock: this.clock, names: storageNames() });
  state: string | undefined;
  events = 0;

  async add(count: number): Promise<void> {
    await add(this.ports, this.clock, this.events, count);
    this.events += count;
  }

  async seal(ports: StoragePorts = this.ports): Promise<void> {
    // A sealer that died has its lease until it ends by itself.
    await this.clock.advance(61_000);
    await seal(ports, this.clock);
  }

  /** Seals until the process dies instead of its n-th call; false when it was through before. */
  async sealUpTo(n: number): Promise<boolean> {
    let calls = 0;
    try {
      await this.seal(
        wrapPorts(
          this.ports,
          diesAt(() => ++calls > n),
        ),
      );
      return false;
    } catch (error) {
      if (!(error instanceof Died)) throw error;
      return true;
    }
  }

  /** One turn of one bundle, with `disturb` before its n-th call. Resolves to its calls. */
  async turn(n: number, disturb: () => Promise<void>): Promise<number> {
    let calls = 0;
    const ports = wrapPorts(this.ports, async (_, run) => {
      calls += 1;
      if (calls === n) await disturb();
      return run();
    });
    const { mismatches, state, counts } = await rollingCheck(ports, this.clock).turn(TENANT, this.state, () => true); // prettier-ignore
    expect([mismatches, counts.mismatches]).toEqual([[], 0]);
    this.state = state;
    return calls;
  }
}

const nothing = (): Promise<void> => Promise.resolve();

describe('a turn of the rolling check', () => {
  it('sees nothing wrong when rounds are sealed at any of its calls', async () => {
    const race = new Race();
    await race.add(200);
    await race.seal();
    for (const each of [1, 30, 256]) {
      let calls = Number.POSITIVE_INFINITY;
      for (let n = 1; n <= calls; n += 1) {
        calls = await race.turn(n, async () => {
          for (const count of [each, 1]) {
            await race.add(count);
            await race.seal();
          }
        });
        await race.turn(0, nothing);
      }
      expect(calls).toBeGreaterThan(8);
    }
  });

  it('sees nothing wrong when a sealer dies at any of its calls, whenever that is', async () => {
    const race = new Race();
    await race.add(230);
    await race.seal();
    let dies = true;
    let schedules = 0;
    for (let died = 1; dies; died += 1) {
      dies = false;
      let calls = Number.POSITIVE_INFINITY;
      // Before it: the checkpoint that is half-way stands through the whole turn.
      for (let n = 1; n <= calls; n += 3) {
        await race.add(2);
        calls = await race.turn(n, async () => void (dies = await race.sealUpTo(died)));
        await race.turn(0, nothing);
        schedules += 1;
        // Another finishes what it left while the next turn is at work.
        await race.turn(1 + (n % 7), () => race.seal());
      }
    }
    expect(schedules).toBeGreaterThan(50);
    expect((await headOf(race.ports)).tree_size).toBe(race.events);
  });
});
