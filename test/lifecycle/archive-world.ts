import { expect } from 'vitest';
import { parsePackRow, type StoredPack } from '../../src/storage/pack-rows.js';
import { storageNames, type Platform } from '../../src/platform.js';
import { decisionType } from '../../src/records/decision.js';
import type { Counts } from '../../src/lifecycle/job.js';
import type { StoragePorts } from '../../src/storage/ports.js';
import { SubjectIndex } from '../../src/storage/subject-rows.js';
import { systemEntropy } from '../../src/system.js';
import { countingPorts } from '../support/counting-ports.js';
import { memoryStorage, type MemoryStorage } from '../support/memory-ports.js';
import { caller, testPlatform } from '../support/platform.js';
import { wrapPorts, type Intercept } from '../support/wrap-ports.js';
import { QuickClock, VOTE } from './support.js';

/** Text that makes a decision of some 6 KiB: twenty-two of them are a pack. */
export const LONG = 'Why it matters. '.repeat(380);
export const ENOUGH = 24;
/** Text of which three decisions with a vote are a pack. */
export const HUGE = 'At length. '.repeat(4000);

/** What a record is to everybody: its revisions, by number, with their checksums. */
export type Seen = ReadonlyMap<string, readonly string[]>;

/** A storage in memory on which years pass. */
export class ArchiveWorld {
  readonly clock = new QuickClock();
  /** Whether what is brought back from the archive takes its time. */
  copiesWait = false;
  readonly storage: MemoryStorage = memoryStorage({
    clock: this.clock,
    names: storageNames(),
    copiesWait: () => this.copiesWait,
  });
  readonly counted = countingPorts(this.storage.ports);

  get ports(): StoragePorts {
    return this.storage.ports;
  }

  host(intercept?: Intercept, ports = this.ports): Platform {
    const wrapped = intercept === undefined ? ports : wrapPorts(ports, intercept);
    return testPlatform(wrapped, { clock: this.clock });
  }

  /** A tenant as it is once it is known whom everything of it is about. */
  async indexed(tenant = 'default'): Promise<void> {
    await new SubjectIndex(this.ports.tables, this.clock, systemEntropy).markComplete(tenant);
  }

  /** Decisions, each with its number in the title; some with a vote, that is a second revision. */
  async decisions(
    count: number,
    { votes = 1, tenant = 'default', context = LONG } = {},
  ): Promise<readonly string[]> {
    const { manager } = this.host();
    await this.indexed(tenant);
    const ids: string[] = [];
    for (let at = 0; at < count; at += 1) {
      this.clock.pass(1000);
      const body = { decision_type: 'strategic', title: `Decision ${String(at)}`, inputs: { context } };
      const { envelope } = await manager.create(decisionType, body, caller({ tenant }));
      for (let vote = 0; vote < votes; vote += 1)
        await manager.act(decisionType, envelope.id, 'votes', { ...VOTE, agent: `agent ${String(vote)}` }, undefined, caller({ tenant })); // prettier-ignore
      ids.push(envelope.id);
    }
    return ids;
  }

  /** A whole round of the job by a host of its own. */
  async archive(platform = this.host(), name = 'archive'): Promise<Counts> {
    for (;;) {
      const { outcome, counts } = await platform.jobs.start(name);
      const { partitions: _, partitionsWaiting: __, ...own } = counts;
      if (outcome === 'done') return own;
      expect(outcome).toBe('paused');
    }
  }

  rows(prefix: string, table = 'decisions') {
    const all = this.storage.contents().rows.filter((one) => one.table === table);
    return all.map(({ row }) => row).filter(({ rowKey }) => rowKey.startsWith(prefix));
  }

  packs(table = 'decisions'): readonly StoredPack[] {
    return this.rows('a:', table).map(parsePackRow);
  }

  blobs(container = 'records') {
    return this.storage.contents().blobs.filter((blob) => blob.container === container);
  }

  /** Every revision of records, read and verified by a host that has kept nothing; undefined for one in the archive. */
  async seen(ids: readonly string[], tenant = 'default'): Promise<Seen> {
    const { manager } = this.host();
    const all = new Map<string, readonly string[]>();
    for (const id of ids) {
      const { items } = await manager.listRevisions(decisionType, id, { limit: 1000 }, caller({ tenant }));
      const checksums: string[] = [];
      for (const { revision, checksum } of items) {
        const read = await manager.getRevision(decisionType, id, revision, caller({ tenant }));
        expect(read.envelope.checksum).toBe(checksum);
        checksums.push(checksum);
      }
      const { envelope } = await manager.get(decisionType, id, caller({ tenant }));
      expect(envelope.checksum).toBe(checksums.at(-1));
      all.set(id, checksums);
    }
    return all;
  }
}
