import { beforeAll, describe, expect, it } from 'vitest';
import { verifyRecordProof } from '../../src/audit/verifier/index.js';
import type { SealingContext } from '../../src/domain/commitment.js';
import type { Tier } from '../../src/domain/envelope.js';
import { httpHost, type HttpHost } from '../support/http-harness.js';
import { TEST_LOG_KEYS } from '../support/log-keys.js';
import { findLeaks } from '../support/secret-search.js';
import { memoryTraces } from '../support/storage-traces.js';
import { DAY, World } from './support.js';

/** The person, by a name that no encoding changes. */
const MARK = 'zq7person0002mark';
/** What makes three records large enough for a pack, and is of nobody. */
const PADDING = 'p'.repeat(50_000);
const AGES: Readonly<Record<Tier, number>> = { hot: 0, cool: 40, archive: 100 };

/** A record of each type that is tiered, all of it about the person. */
const BODIES: Readonly<Record<string, (at: string) => object>> = {
  decisions: (at) => ({ decision_type: 'strategic', title: 'T', created_at: at, created_by: MARK, inputs: { said: MARK } }), // prettier-ignore
  'workflow-executions': (at) => ({ workflow_name: `onboarding ${at.slice(0, 10)}`, version: '1', started_at: at, total_steps: 1, initiated_by: MARK, parameters: { whom: MARK } }), // prettier-ignore
  conversations: (at) => ({ conversation_type: 'boardroom', created_at: at, participants: [MARK, 'bob'], messages: [{ sender: MARK, content: MARK }, { sender: 'bob', content: 'said by bob' }] }), // prettier-ignore
};

interface Planted {
  readonly path: string;
  readonly tier: Tier;
  readonly proof: string;
}

describe('a person whose records have aged', () => {
  const world = new World();
  const sealed: { readonly context: SealingContext; readonly pointer: string; readonly text: string }[] = [];
  const planted: Planted[] = [];
  let host: HttpHost;
  let broughtBack = '';

  beforeAll(async () => {
    host = httpHost(world.ports, { clock: world.clock });
    const box = host.platform.secretBox;
    const seal = box.seal.bind(box);
    box.seal = async (context, secrets, subjects) => {
      const done = await seal(context, secrets, subjects);
      for (const [pointer, text] of Object.entries(done))
        if (JSON.stringify(secrets[pointer]).includes(MARK)) sealed.push({ context, pointer, text });
      return done;
    };
    for (const [tier, days] of Object.entries(AGES) as [Tier, number][])
      for (const [collection, bodyOf] of Object.entries(BODIES))
        for (let n = 0; n < 3; n += 1) {
          const body = { ...bodyOf(new Date(world.clock.now() - days * DAY).toISOString()), metadata: { ...(collection === 'conversations' ? {} : { subject_id: MARK }), padding: PADDING } }; // prettier-ignore
          const made = await host.post(`/${collection}`, body, { actor: MARK });
          expect(made.status, made.text).toBe(201);
          const path = `/${collection}/${made.envelope.id}`;
          const changed = await host.patch(path, { metadata: { further: 'x' } }, made.etag, { actor: MARK });
          expect(changed.status, changed.text).toBe(200);
          planted.push({ path, tier, proof: '' });
        }
    await host.platform.sealer.sealTenant('default');
    for (const [at, one] of planted.entries())
      planted[at] = { ...one, proof: (await host.get(`${one.path}/proof`)).text };
    // Until it is known whom they are about, records go no further than to the cool tier.
    for (let round = 0; round < 2; round += 1) await host.platform.jobs.start('archive');
    expect((await host.get(planted.find(({ tier }) => tier === 'archive')?.path ?? '')).envelope.tier).toBe('cool'); // prettier-ignore
    await host.platform.jobs.start('index-subjects');
    await host.platform.jobs.start('archive');
    broughtBack = planted.find(({ tier }) => tier === 'archive')?.path ?? '';
    const asked = await host.post(`${broughtBack}/rehydrate`, {});
    expect(asked.status, asked.text).toBe(202);
    await host.platform.jobs.start('rehydrate');
  }, 60_000);

  it('is there before, in every tier', async () => {
    for (const { path, tier } of planted) {
      const { code, envelope, text } = await host.get(path);
      if (tier === 'archive' && path !== broughtBack) expect(code, path).toBe('record-archived');
      else expect([envelope.tier, text.includes(MARK)], path).toEqual([tier, true]);
    }
    const { blobs } = world.storage.contents();
    const packs = blobs.filter(({ name }) => name.includes('/_packs/')).length;
    const copies = blobs.filter(({ name }) => name.includes('/_rehydrated/')).length;
    expect([packs, copies]).toEqual([2 * Object.keys(BODIES).length, 1]);
  });

  it('is erased from all of them by one key', async () => {
    const asked = await host.post('/erasures', { subject: MARK, reason: 'A request.' });
    expect(asked.status, asked.text).toBe(202);
    await host.platform.jobs.start('erase');
    const { json } = await host.get(String(asked.headers['location']).slice('/api'.length));
    const records = Object.fromEntries(Object.keys(BODIES).map((collection) => [collection, 9]));
    expect(json).toMatchObject({ state: 'provisional', certificate: { records, key: 'destroyed' } });
  });

  it('is in no byte of any tier, and opens with no key that there is', async () => {
    expect(findLeaks([MARK], memoryTraces(world.storage.contents()))).toEqual([]);
    const { secretBox } = httpHost(world.ports, { clock: world.clock }).platform;
    expect(new Set(sealed.map(({ context }) => context.type)).size).toBeGreaterThan(3);
    for (const { context, pointer, text } of sealed)
      expect(await secretBox.open(context, { [pointer]: text }), `${context.type} ${pointer}`).toEqual({});
  }, 60_000);

  it('is not in what comes back from the archive later, while the rest is', async () => {
    for (const { path, tier } of planted) {
      if (tier === 'archive' && path !== broughtBack) {
        expect((await host.post(`${path}/rehydrate`, {})).status).toBe(202);
        await host.platform.jobs.start('rehydrate');
      }
      for (const where of [path, `${path}/revisions/1`, `${path}/revisions/2`]) {
        const read = await host.get(where);
        expect([read.status, read.envelope.tier, read.text.includes(MARK)], where).toEqual([200, tier, false]); // prettier-ignore
      }
      if (path.startsWith('/conversations/')) expect((await host.get(path)).text).toContain('said by bob');
    }
  });

  it('leaves every proof as good as it was', async () => {
    const [vkey = ''] = TEST_LOG_KEYS.vkeys('default');
    await host.platform.sealer.sealTenant('default');
    for (const { path, proof } of planted) {
      expect((await verifyRecordProof(proof, { vkey })).verdict, path).toBe('yes');
      expect((await verifyRecordProof((await host.get(`${path}/proof`)).text, { vkey })).verdict, path).toBe('yes'); // prettier-ignore
    }
  });
});
