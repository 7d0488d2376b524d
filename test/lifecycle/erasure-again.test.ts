import { beforeEach, describe, expect, it } from 'vitest';
import type { Erasure } from '../../src/domain/erasure.js';
import { decisionType } from '../../src/records/decision.js';
import { KEYS_TABLE } from '../../src/security/keys/key-rows.js';
import type { RowOperation } from '../../src/storage/ports.js';
import { caller } from '../support/platform.js';
import type { Intercept } from '../support/wrap-ports.js';
import { BODY, Died, World } from './support.js';

const call = caller();
const about = { ...BODY, metadata: { subject_id: 'p-1' } };
/** Each process makes ids of its own. */
const SOMEBODY = 'somebody';

let world: World;
let erasure: Erasure;

/** The process that erases somebody dies as soon as their key is destroyed: nothing is certified yet. */
beforeEach(async () => {
  world = new World();
  const { manager, jobs, erasures, sealer } = world.host();
  await manager.create(decisionType, about, call);
  await sealer.sealTenant('default');
  await jobs.start('index-subjects');
  ({ erasure } = await erasures.request({ subject: 'p-1', reason: 'A request.' }, undefined, call));
  let dead = false;
  const dying: Intercept = async ({ method, args }, run) => {
    if (dead) throw new Died('the process is no more');
    const answer = await run();
    const operations = method === 'commit' && args[0] === KEYS_TABLE ? (args[2] as readonly RowOperation[]) : []; // prettier-ignore
    dead = operations.some((one) => 'properties' in one && one.properties['data_key'] === '');
    return answer;
  };
  await expect(world.host(dying).jobs.start('erase')).rejects.toThrow(Died);
  expect((await seen()).state).toBe('erasing');
  // The claim of the dead is over by then.
  world.clock.pass(180_000);
});

const seen = (): Promise<Erasure> => world.host().erasures.get(erasure.erasure_id, call);
const goOn = () => world.host(undefined, 'after').jobs.start('erase');

describe('a name that is used again between the destruction of its key and the certificate', () => {
  it('has a key that the erasure leaves, and a hold that opens', async () => {
    const { holds } = world.host(undefined, SOMEBODY);
    const { hold } = await holds.place({ scope: { subject: 'p-1' }, reason: 'A case.' }, call);
    await goOn();
    expect(await seen()).toMatchObject({ state: 'provisional', certificate: { key: 'destroyed' } });
    const open = await world.host(undefined, 'reader').holds.get(hold.hold_id, { ...call, maySeeSensitive: true }); // prettier-ignore
    expect(open.scope).toEqual({ subject: 'p-1' });
  });

  it('leads to what was written under it meanwhile', async () => {
    const { manager, sealer } = world.host(undefined, SOMEBODY);
    const { envelope } = await manager.create(decisionType, about, call);
    await sealer.sealTenant('default');
    await goOn();
    expect((await seen()).state).toBe('provisional');
    const { holds, erasures } = world.host(undefined, 'officer');
    const scope = { record: { collection: 'decisions', id: envelope.id } };
    await holds.place({ scope, reason: 'A case.' }, call);
    await expect(
      erasures.request({ subject: 'p-1', reason: 'Once more.' }, undefined, call),
    ).rejects.toMatchObject({ code: 'record-on-hold' });
  });
});
