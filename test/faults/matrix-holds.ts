import type { Platform } from '../../src/platform.js';
import type { CallContext } from '../../src/storage/manager-types.js';
import type { WrittenHold } from '../../src/storage/hold-store.js';
import type { Scenario, Stage } from './matrix-stage.js';

const OFFICER = { tenant: 'acme', actor: 'olga', correlationId: 'hold' };
const BODY = { scope: { subject: 'ada' }, reason: 'A case.', reference: '17' };
const DONE = { reason: 'It is over.' };
const CLIENT_WAITS_MS = 61_000;

const keyed = (key: string, scope: string): CallContext => ({ ...OFFICER, idempotency: { key, scope, fingerprint: scope } }); // prettier-ignore

/** A client asks again until it is told that it is done; `allowed`: what it may be told besides. */
async function untilDone(
  stage: Stage,
  work: (platform: Platform) => Promise<WrittenHold>,
  allowed: readonly string[] = [],
): Promise<WrittenHold | undefined> {
  for (let times = 0; times < 5; times += 1) {
    const host = stage.choose();
    let refused = false;
    const done = await stage.world
      .ask(host, () => work(host.platform))
      .catch((error: unknown) => {
        const code = (error as { readonly code?: string }).code ?? '';
        refused = allowed.includes(code);
        stage.world.facts.judge('a hold', error, ['storage-unavailable', 'idempotency-in-progress', ...allowed]); // prettier-ignore
        return undefined;
      });
    if (done !== undefined || refused) return done;
    await stage.world.timeline.sleep(CLIENT_WAITS_MS);
  }
  stage.world.facts.violate('what was asked of a hold is never done');
  return undefined;
}

const place = (stage: Stage): Promise<WrittenHold | undefined> =>
  untilDone(stage, ({ holds }) => holds.place(BODY, keyed('place', '/api/holds')));

/** Another process knows as many in force as there should be, and which. */
async function expectInForce(stage: Stage, expected: readonly (string | undefined)[]): Promise<void> {
  const { holds } = stage.start().platform;
  const active = await holds.activeOf('acme', { fresh: true });
  if (active.map(({ holdId }) => holdId).join() !== expected.join())
    stage.world.facts.violate(`in force are ${active.map(({ holdId }) => holdId).join()} and not ${expected.join()}`); // prettier-ignore
  if ((await holds.subjectHeld('acme', 'ada')) !== expected.length > 0)
    stage.world.facts.violate('a subject is held, or not, as it should not be');
}

const placed = new WeakMap<Stage, string>();

async function aHold(stage: Stage): Promise<void> {
  placed.set(stage, (await stage.subject.platform.holds.place(BODY, OFFICER)).hold.hold_id);
}

/** Whatever becomes of a call, a hold is placed once and released once, each with its event. */
export const HOLDS: readonly Scenario[] = [
  {
    name: 'place a hold with a key',
    act: async (stage) => {
      const first = await place(stage);
      const again = await place(stage);
      if (again?.replayed !== true || JSON.stringify(again.hold) !== JSON.stringify(first?.hold))
        stage.world.facts.violate('the same request is answered otherwise');
      await expectInForce(stage, [first?.hold.hold_id]);
    },
  },
  {
    name: 'release a hold with a key',
    prepare: aHold,
    act: async (stage) => {
      const id = placed.get(stage) ?? '';
      const release = () => untilDone(stage, ({ holds }) => holds.release(id, DONE, keyed('release', `/api/holds/${id}/release`))); // prettier-ignore
      const first = await release();
      const again = await release();
      if (again?.replayed !== true || JSON.stringify(again.hold) !== JSON.stringify(first?.hold))
        stage.world.facts.violate('the same request is answered otherwise');
      await expectInForce(stage, []);
    },
  },
  {
    name: 'release a hold',
    prepare: aHold,
    act: async (stage) => {
      await untilDone(stage, ({ holds }) => holds.release(placed.get(stage) ?? '', DONE, OFFICER), ['transition-not-allowed']); // prettier-ignore
      await expectInForce(stage, []);
    },
  },
  {
    name: 'place a hold',
    act: async (stage) => {
      const host = stage.choose();
      const work = () => host.platform.holds.place(BODY, OFFICER);
      const done = await stage.world.ask(host, work).catch((error: unknown) => {
        stage.world.facts.judge('a hold', error, ['storage-unavailable']);
        return undefined;
      });
      // Nobody knows whether it was placed when its client died; never is it more than once.
      const active = await stage.start().platform.holds.activeOf('acme', { fresh: true });
      if (active.length > 1 || (done !== undefined && active[0]?.holdId !== done.hold.hold_id))
        stage.world.facts.violate('a hold is placed twice, or not');
    },
  },
];
