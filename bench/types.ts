import { openAzureStorage, type AzureStorage } from '../src/azure/index.js';
import type { RecordType } from '../src/domain/record-type.js';
import type { Platform } from '../src/platform.js';
import { RECORD_TYPES } from '../src/records/registry.js';
import { add, additionsOf, bodyOf, putOf, type Addition } from '../test/support/subjects.js';
import { Floor } from './floor.js';
import { benchCall, benchPlatform } from './platform.js';
import { perform, Rehearsal, type Wave } from './rehearsal.js';
import type { TypeResult } from './report.js';
import { compare, type Sides } from './rounds.js';
import { BATCH, PAGE, tenantOf, type Side } from './side.js';
import type { BenchTools } from './tools.js';

/** One way to use a record type, told from its declaration. */
interface TypeOperation {
  readonly name: string;
  /** Whether each run has a record of its own, that was made before. */
  readonly subject: 'none' | 'each' | 'one';
  readonly run: (platform: Platform, tenant: string, subject: Subject) => Promise<unknown>;
}

interface Subject {
  readonly id: string;
  /** Its name, where records have names. */
  readonly name: string;
}

const NOBODY: Subject = { id: '', name: '' };

function operationsOf(type: RecordType): readonly TypeOperation[] {
  return [
    {
      name: 'create',
      subject: 'none',
      run: ({ manager }, tenant) => manager.create(type, bodyOf(type), benchCall(tenant)),
    },
    {
      name: 'read',
      subject: 'one',
      run: ({ manager }, tenant, { id }) => manager.get(type, id, benchCall(tenant)),
    },
    {
      name: 'list',
      subject: 'none',
      run: ({ manager }, tenant) => manager.list(type, { filters: {}, limit: PAGE }, benchCall(tenant)),
    },
    ...(type.named === undefined ? [] : [putting(type)]),
    ...additionsOf(type).map((way) => adding(type, way)),
  ];
}

const putting = (type: RecordType): TypeOperation => ({
  name: 'put',
  subject: 'each',
  run: ({ manager }, tenant, { name }) => {
    const { at, body } = putOf(type, name);
    return manager.put(type, at, body, {}, benchCall(tenant));
  },
});

const adding = (type: RecordType, way: Addition): TypeOperation => ({
  name: way.path,
  subject: 'each',
  run: ({ manager }, tenant, { id }) => add(manager, type, id, { ...way, after: [] }, benchCall(tenant)),
});

/** Records made off the clock by the platform that will use them. */
async function subjectsOf(
  type: RecordType,
  platform: Platform,
  tenant: string,
  operation: string,
  count: number,
) {
  const way = additionsOf(type).find(({ path }) => path === operation);
  const made: Subject[] = [];
  while (made.length < count) {
    const body = bodyOf(type);
    const { envelope } = await platform.manager.create(type, body, benchCall(tenant));
    for (const first of way?.after ?? [])
      await add(platform.manager, type, envelope.id, first, benchCall(tenant));
    made.push({ id: envelope.id, name: body[type.named?.member ?? ''] as string });
  }
  return made;
}

class OurTypeSide implements Side<string> {
  readonly #platform: Platform;
  #subjects: Subject[] = [];

  constructor(
    storage: AzureStorage,
    private readonly type: RecordType,
    private readonly operation: TypeOperation,
  ) {
    this.#platform = benchPlatform(storage.ports);
  }

  async ready(_: string, __: number, runs: number): Promise<void> {
    const { name, subject } = this.operation;
    const tenant = tenantOf('ours', 0);
    // A first record warms up: partitions are announced, pseudonyms are known.
    this.#subjects = await subjectsOf(this.type, this.#platform, tenant, name, subject === 'each' ? runs : 1);
  }

  run(): Promise<unknown> {
    const { subject, run } = this.operation;
    const one = subject === 'none' ? NOBODY : subject === 'one' ? this.#subjects[0] : this.#subjects.shift();
    return run(this.#platform, tenantOf('ours', 0), one as Subject);
  }

  settle(): Promise<void> {
    return Promise.resolve();
  }
}

/** The calls of storage that each operation comes to, rehearsed off the clock, made by the SDK alone. */
class FloorTypeSide implements Side<string> {
  readonly #rehearsal: Rehearsal;
  readonly #platform: Platform;
  #calls: (readonly Wave[])[] = [];

  constructor(
    storage: AzureStorage,
    private readonly floor: Floor,
    private readonly type: RecordType,
    private readonly operation: TypeOperation,
  ) {
    this.#rehearsal = new Rehearsal(storage.ports);
    this.#platform = benchPlatform(this.#rehearsal.ports);
  }

  async ready(_: string, __: number, runs: number): Promise<void> {
    const { name, subject, run } = this.operation;
    // What is read is the platform's own, by a process that remembers nothing: the least that reading takes.
    const tenant = tenantOf(subject === 'each' ? 'bare' : 'ours', 0);
    const subjects = await subjectsOf(this.type, this.#platform, tenant, name, subject === 'each' ? runs : 1);
    this.#calls = [];
    for (let at = 0; at < runs; at += 1) {
      const platform = subject === 'one' ? benchPlatform(this.#rehearsal.ports) : this.#platform;
      const one = subject === 'each' ? subjects[at] : subjects[0];
      this.#calls.push(await this.#rehearsal.of(() => run(platform, tenant, one as Subject)));
    }
  }

  run(): Promise<unknown> {
    const waves = this.#calls.shift();
    if (waves === undefined || waves.length === 0) throw new Error('nothing was rehearsed');
    return perform(this.floor, waves);
  }

  settle(): Promise<void> {
    return Promise.resolve();
  }
}

/** Both sides on an account of their own that holds a page of records and more. */
async function open(
  { storage: accounts }: BenchTools,
  type: RecordType,
  operation: TypeOperation,
): Promise<Sides<string>> {
  const account = await accounts.account();
  const storage = openAzureStorage({ connectionString: account });
  const floor = new Floor(account);
  const call = benchCall(tenantOf('ours', 0));
  const bodies = Array.from({ length: operation.name === 'list' ? BATCH : 1 }, () => bodyOf(type));
  await benchPlatform(storage.ports).manager.createBatch(type, bodies, call);
  const close = (): Promise<void> => {
    storage.close();
    floor.close();
    return Promise.resolve();
  };
  return {
    ours: new OurTypeSide(storage, type, operation),
    floor: new FloorTypeSide(storage, floor, type, operation),
    close,
  };
}

/** Every way to use every registered type, one client, each on an account of its own. */
export async function compareTypes(tools: BenchTools): Promise<readonly TypeResult[]> {
  const load = { clients: 1, runs: tools.quick ? 1 : 20, rounds: tools.quick ? 1 : 8 };
  const results: TypeResult[] = [];
  for (const type of RECORD_TYPES)
    for (const operation of operationsOf(type)) {
      const { recordType } = type;
      tools.progress(`${recordType}: ${operation.name}`);
      const found = await compare(() => open(tools, type, operation), operation.name, load);
      results.push({
        recordType,
        operation: operation.name,
        rounds: load.rounds,
        operations: load.runs,
        ...found,
      });
    }
  return results;
}
