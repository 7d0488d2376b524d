import { DEFAULT_CONFIGURATION } from '../../src/domain/tenant-configuration.js';
import { decisionType } from '../../src/records/decision.js';
import { isAppError } from '../../src/domain/errors.js';
import { isFault } from '../../src/storage/ports.js';
import { QUEUES } from '../../src/storage/keys.js';
import { jobsOf, SWEEP, type Job } from './simulation-jobs.js';
import { draftOf } from './simulation-acts.js';
import { HOLDS } from './matrix-holds.js';
import type { Scenario, Stage } from './matrix-stage.js';

const HOUR = 3_600_000;
const ADMIN = { tenant: 'acme', actor: 'olga', correlationId: 'configuration' };
const body = (by: string, more: object = {}): object => ({
  decision_type: 'strategic',
  title: `Decision ${by}`,
  metadata: { by },
  ...more,
});
/** Ids of records that are nowhere, of two types and in three partitions of the lineage. */
const ANCESTORS = [
  'dec_01980000-0000-7000-8000-000000000001',
  'dec_01980000-0000-7000-8000-000000000011',
  'dec_01980000-0000-7000-8000-000000000002',
  'met_019b0000-0000-7000-8000-000000000001',
];
const derived = (by: string): object => ({ metadata: { by, derived_from: ANCESTORS } });
/** Too large for a message with its reason, or at all. */
const LARGE = { inputs: { minutes: 'x'.repeat(50_000) } };

/** A record to be changed, and the names of its revisions as its clients have them. */
async function aRecord(stage: Stage): Promise<void> {
  await stage.does('create', body('before'), { name: 'before' });
}

function target(stage: Stage): { target: string; ifMatch: string } {
  const [record] = [...stage.world.facts.records.values()];
  return { target: record?.id ?? '', ifMatch: record?.last.etag ?? '' };
}

const vote = (by: string): object => ({ agent: 'planner', vote: 'approve', confidence: 0.5, reasoning: by });
const batch = (by: string, size: number): readonly object[] =>
  Array.from({ length: size }, (_, at) =>
    body(`${by}.${at}`, at % 3 === 0 ? { created_at: '2025-11-15T10:00:00.000Z' } : {}),
  );

/** A process runs a job as its timer does, again and again, and another one once it is dead. */
async function runs(stage: Stage, job: Job): Promise<void> {
  for (let times = 0; times < 4; times += 1) {
    await stage.world.job(stage.choose(), job);
    await stage.world.timeline.sleep(3 * 60_000);
  }
}

async function pumps(stage: Stage, queue: string): Promise<void> {
  for (let times = 0; times < 4; times += 1) {
    while ((await stage.world.pump(stage.choose(), queue, 30)) > 0);
    await stage.world.timeline.sleep(60_000);
  }
}

const seal: Job = {
  name: 'seal',
  run: async ({ platform }) => {
    await platform.sealer.sealTenant('acme');
    return true;
  },
};

const WRITES: readonly Scenario[] = [
  { name: 'create', act: (stage) => stage.does('create', body('it'), { name: 'it' }) },
  {
    name: 'create with a key',
    act: (stage) => stage.does('create', body('it'), { name: 'it', key: 'k' }),
  },
  { name: 'batch', act: (stage) => stage.does('batch', batch('it', 3), { name: 'it' }) },
  {
    name: 'create of what is derived from others, with a key',
    act: (stage) => stage.does('create', body('it', derived('it')), { name: 'it', key: 'k' }),
  },
  {
    name: 'patch that derives a record from others',
    prepare: aRecord,
    act: (stage) => stage.does('patch', derived('it'), { name: 'it', ...target(stage) }),
  },
  {
    name: 'batch with a key',
    act: (stage) =>
      stage.does('batch', [...batch('it', 26), body('it.26', derived('it.26'))], { name: 'it', key: 'k' }),
  },
  {
    name: 'patch',
    prepare: aRecord,
    act: (stage) =>
      stage.does(
        'patch',
        { status: 'in_progress', metadata: { by: 'it' } },
        { name: 'it', ...target(stage) },
      ),
  },
  {
    name: 'vote',
    prepare: aRecord,
    act: (stage) => stage.does('vote', vote('it'), { name: 'it', target: target(stage).target }),
  },
  {
    name: 'vote with a key',
    prepare: aRecord,
    act: (stage) => stage.does('vote', vote('it'), { name: 'it', key: 'k', target: target(stage).target }),
  },
  {
    name: 'outcome with a key and If-Match',
    prepare: aRecord,
    act: (stage) =>
      stage.does('outcome', { decision: 'it', confidence: 1 }, { name: 'it', key: 'k', ...target(stage) }),
  },
  {
    name: 'inbox',
    act: (stage) => stage.does('inbox', body('it'), { name: 'it', key: 'k' }),
  },
  {
    name: 'inbox with data too large for a message',
    act: (stage) => stage.does('inbox', body('it', LARGE), { name: 'it', key: 'k' }),
  },
  {
    name: 'delivery of an operation',
    prepare: (stage) => stage.does('inbox', body('it'), { name: 'it' }),
    act: (stage) => pumps(stage, QUEUES.inbox),
  },
  {
    name: 'delivery of an operation with large data',
    prepare: (stage) => stage.does('inbox', body('it', LARGE), { name: 'it' }),
    act: (stage) => pumps(stage, QUEUES.inbox),
  },
  {
    name: 'delivery of a message without an operation',
    prepare: (stage) => stage.does('message', body('it'), { name: 'it' }),
    act: (stage) => pumps(stage, QUEUES.inbox),
  },
  {
    name: 'poison',
    prepare: (stage) => stage.does('bad-message', body('it'), { name: 'it' }),
    act: (stage) => pumps(stage, QUEUES.inbox),
  },
  {
    name: 'poison too large for a message',
    prepare: (stage) =>
      stage.does('bad-message', body('it', { inputs: { minutes: 'x'.repeat(48_500) } }), {
        name: 'it',
      }),
    act: (stage) => pumps(stage, QUEUES.inbox),
  },
  {
    name: 'event',
    act: (stage) => stage.does('event', draftOf('it', 'acme', 'ada', stage.subject), { name: 'it' }),
  },
];

/** A tenant sets what counts for it, and again until somebody says that it does. */
const configuration: Scenario = {
  name: 'configuration',
  prepare: (stage) => stage.subject.platform.configurations.put(DEFAULT_CONFIGURATION, {}, ADMIN),
  act: async (stage) => {
    const wanted = { ...DEFAULT_CONFIGURATION, list_limit_default: 7 };
    for (let times = 0; times < 4; times += 1) {
      const host = stage.choose();
      const done = await stage.world
        .ask(host, () => host.platform.configurations.put(wanted, {}, ADMIN))
        .catch((error: unknown) => stage.world.facts.judge('a put', error, ['storage-unavailable']));
      if (done === undefined) continue;
      const counts = await stage.start().platform.configurations.of(ADMIN);
      if (counts.list_limit_default !== 7) stage.world.facts.violate('what was put does not count');
      return;
    }
    stage.world.facts.violate('the configuration is never put');
  },
};

/** A read finds damage and puts it into the audit trail. */
const integrityReport: Scenario = {
  name: 'integrity report',
  prepare: async (stage) => {
    await aRecord(stage);
    stage.world.facts.damaged = true;
    await damage(stage, (text) => text.replace('strategic', 'financial'));
  },
  act: async (stage) => {
    const call = { tenant: 'acme', actor: 'ada', correlationId: 'read', maySeeSensitive: true };
    for (let times = 0; times < 2; times += 1) {
      const host = stage.choose();
      const error: unknown = await stage.world
        .ask(host, () => host.platform.manager.get(decisionType, target(stage).target, call))
        .catch((thrown: unknown) => thrown);
      stage.world.facts.judge('a read of what is damaged', error, ['integrity-failure']);
      if (isAppError(error, 'integrity-failure')) return;
    }
    stage.world.facts.violate('damage is not noticed');
  },
  after: (stage) => damage(stage, (text) => text.replace('financial', 'strategic')),
};

async function damage(stage: Stage, change: (text: string) => string): Promise<void> {
  const { ports } = stage.world.storage;
  const blob = stage.world.storage.contents().blobs.find(({ container }) => container === 'records');
  if (blob === undefined) throw new Error('there is nothing to damage');
  await ports.blobs.delete('records', blob.name);
  await ports.blobs.putOnce(
    'records',
    blob.name,
    Buffer.from(change(Buffer.from(blob.bytes).toString('utf8'))),
    'application/json',
  );
}

/** Of everything that background work finds something to do with. */
async function everything(stage: Stage): Promise<void> {
  const { timeline, storage } = stage.world;
  await aRecord(stage);
  await stage.does('vote', vote('second'), { name: 'second', key: 'k2', target: target(stage).target });
  await stage.does('batch', batch('third', 3), { name: 'third', key: 'k3' });
  await stage.does('inbox', body('fourth', LARGE), { name: 'fourth', key: 'k4' });
  await stage.does('event', draftOf('fifth', 'acme', 'ada', stage.subject), { name: 'fifth' });
  await pumps(stage, QUEUES.inbox);
  await orphans(stage);
  // Sealed by nobody, and known to the directory alone.
  for (const { table, row } of storage.contents().rows)
    if (table === 'system' && row.partitionKey.startsWith('_system:dirty-'))
      await storage.ports.tables.commit(table, row.partitionKey, [
        { kind: 'delete', rowKey: row.rowKey, etag: '*' },
      ]);
  await timeline.sleep(30 * HOUR);
}

/** Attempts that died between blob and commit: of a create, of a change, of a batch. */
async function orphans(stage: Stage): Promise<void> {
  await stage.dies('create', body('dead'), { name: 'dead' });
  await stage.dies('vote', vote('dead too'), { name: 'dead too', target: target(stage).target });
  await stage.dies('batch', batch('dead three', 2), { name: 'dead three' });
}

const SEALING: readonly Scenario[] = [
  { name: 'seal', prepare: sealable, act: (stage) => runs(stage, seal) },
  {
    name: 'seal on the next day',
    prepare: async (stage) => {
      await sealable(stage);
      await stage.world.job(stage.subject, seal);
      await stage.world.timeline.sleep(HOUR);
      await stage.does('vote', vote('later'), { name: 'later', target: target(stage).target });
    },
    act: (stage) => runs(stage, seal),
  },
  {
    name: 'finish what a dead sealer left',
    prepare: async (stage) => {
      await sealable(stage);
      await sealsAndDies(stage);
    },
    act: (stage) => runs(stage, seal),
  },
  { name: 'seal-work message', prepare: sealable, act: (stage) => pumps(stage, QUEUES.seal) },
  {
    name: 'sweep that has dirty rows to remove',
    prepare: async (stage) => {
      await sealable(stage);
      await stage.world.job(stage.subject, seal);
      await stage.world.timeline.sleep(2 * HOUR);
    },
    act: (stage) => runs(stage, SWEEP),
  },
];

async function sealable(stage: Stage): Promise<void> {
  await aRecord(stage);
  await stage.does('vote', vote('second'), { name: 'second', target: target(stage).target });
  await stage.does('batch', batch('third', 2), { name: 'third' });
  await stage.does('event', draftOf('fourth', 'acme', 'ada', stage.subject), { name: 'fourth' });
}

/** Another process wins the head and dies before it has published anything. */
async function sealsAndDies(stage: Stage): Promise<void> {
  const { world } = stage;
  const host = stage.start();
  const dies = host.platform.sealer.sealTenant('acme').catch((error: unknown) => {
    if (!isFault(error)) throw error;
  });
  void dies;
  while (!world.storage.contents().blobs.some(({ name }) => name === 'acme/head'))
    await world.timeline.sleep(1);
  host.die();
  await world.timeline.sleep(20_000);
}

/** All scenarios: every way of writing, and every job that the platform has, on a storage that gives it work. */
export function scenariosOf(platform: Stage['subject']['platform']): readonly Scenario[] {
  const jobs = jobsOf(platform).map((job): Scenario => ({
    name: `job ${job.name}`,
    prepare: everything,
    act: (stage) => runs(stage, job),
    expiresKeys: job.name === 'expire-keys',
  }));
  return [...WRITES, ...HOLDS, configuration, integrityReport, ...SEALING, ...jobs];
}
