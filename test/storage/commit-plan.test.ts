import { describe, expect, it } from 'vitest';
import { Budget } from '../../src/storage/backoff.js';
import { commitPlan, executePlan, type CommitTools } from '../../src/storage/commit.js';
import type { Directory } from '../../src/storage/directory.js';
import { StorageFault, type StorageFaultKind, type StoragePorts } from '../../src/storage/ports.js';
import type { WritePlan } from '../../src/storage/write-plan.js';
import { seededEntropy } from '../support/entropy.js';

const PLAN: WritePlan = {
  partition: { tenant: 'acme', table: 'decisions', partition: '2026-11' },
  blob: { container: 'records', name: 'x.json', bytes: new Uint8Array(3), contentType: 'application/json' },
  operations: [{ kind: 'insert', rowKey: 'r:dec_1', properties: {} }],
  witness: { rowKey: 'v:dec_1:0000000001', eventId: 'evt_ours' },
};
type Answer = 'done' | StorageFaultKind;
type Witness = 'evt_ours' | 'evt_theirs' | 'nobody';

/** Storage that answers commits, looks at the witness and blob writes as it is told, and tells what it was asked. */
function storage(answers: { commits?: Answer[]; witness?: Witness[]; blobs?: Answer[] }) {
  const asked: string[] = [];
  const next = async (what: string, answer: Answer = 'done'): Promise<void> => {
    asked.push(what);
    if (answer !== 'done') throw new StorageFault(answer, 'as told');
  };
  const ports = {
    tables: {
      commit: async (table: string, key: string, operations: unknown) => {
        expect([table, key, operations]).toEqual(['decisions', 'acme:2026-11', PLAN.operations]);
        await next('commit', answers.commits?.shift());
      },
      find: async (table: string, key: string, rowKey: string) => {
        expect([table, key, rowKey]).toEqual(['decisions', 'acme:2026-11', PLAN.witness.rowKey]);
        await next('look');
        const event_id = answers.witness?.shift() ?? 'nobody';
        return event_id === 'nobody' ? undefined : { properties: { event_id } };
      },
    },
    blobs: {
      putOnce: async (...args: unknown[]) => {
        expect(args).toEqual(['records', 'x.json', PLAN.blob?.bytes, 'application/json']);
        await next('put', answers.blobs?.shift());
      },
    },
  } as unknown as StoragePorts;
  const directory = { announce: () => next('announce') } as unknown as Directory;
  const clock = { now: () => 0, monotonic: () => 0, sleep: () => next('sleep') };
  const tools: CommitTools = { ports, directory, budget: new Budget(clock, seededEntropy()) };
  return { tools, asked };
}

describe('a commit', () => {
  it('is announced, sent once, and done', async () => {
    const { tools, asked } = storage({});
    expect(await commitPlan(tools, PLAN)).toBe('committed');
    expect(asked).toEqual(['announce', 'commit']);
  });

  it.each(['exists', 'conflict', 'missing'] as const)(
    'that is refused with %s is refused, and nobody has to look',
    async (kind) => {
      const { tools, asked } = storage({ commits: [kind] });
      expect(await commitPlan(tools, PLAN)).toBe(kind);
      expect(asked).toEqual(['announce', 'commit']);
    },
  );

  it.each<[Witness, string]>([
    ['evt_ours', 'committed'],
    ['evt_theirs', 'conflict'],
  ])('without an answer is what its witness says: %s, so %s', async (witness, outcome) => {
    const { tools, asked } = storage({ commits: ['unavailable'], witness: [witness] });
    expect(await commitPlan(tools, PLAN)).toBe(outcome);
    expect(asked).toEqual(['announce', 'commit', 'sleep', 'look']);
  });

  it('without an answer and without a witness is sent again, and announced again', async () => {
    const { tools, asked } = storage({ commits: ['unavailable'] });
    expect(await commitPlan(tools, PLAN)).toBe('committed');
    expect(asked).toEqual(['announce', 'commit', 'sleep', 'look', 'announce', 'commit']);
  });

  it.each<[StorageFaultKind, Witness, string]>([
    // Its own first sending may be what refuses the second.
    ['exists', 'evt_ours', 'committed'],
    ['conflict', 'evt_ours', 'committed'],
    ['exists', 'evt_theirs', 'conflict'],
    ['missing', 'evt_theirs', 'conflict'],
    ['conflict', 'nobody', 'conflict'],
    ['missing', 'nobody', 'missing'],
  ])(
    'that is refused with %s after it had no answer asks its witness: %s, so %s',
    async (kind, last, outcome) => {
      const { tools, asked } = storage({ commits: ['unavailable', kind], witness: ['nobody', last] });
      expect(await commitPlan(tools, PLAN)).toBe(outcome);
      expect(asked.filter((what) => what === 'look')).toHaveLength(2);
    },
  );

  it.each(['too-large', 'refused'] as const)('that can never be is an error: %s', async (kind) => {
    const { tools, asked } = storage({ commits: [kind] });
    await expect(commitPlan(tools, PLAN)).rejects.toMatchObject({ kind });
    expect(asked).toEqual(['announce', 'commit']);
  });
});

describe('a plan', () => {
  it('writes its blob, and announces, before it commits', async () => {
    const { tools, asked } = storage({});
    expect(await executePlan(tools, PLAN)).toBe('committed');
    expect([asked.slice(0, 2).sort(), asked.slice(2)]).toEqual([
      ['announce', 'put'],
      ['announce', 'commit'],
    ]);
  });

  it('may have no blob', async () => {
    const { tools, asked } = storage({});
    expect(await executePlan(tools, { ...PLAN, blob: undefined })).toBe('committed');
    expect(asked).not.toContain('put');
  });

  it('finds the blob that it wrote without an answer, and goes on', async () => {
    const { tools, asked } = storage({ blobs: ['unavailable', 'exists'] });
    expect(await executePlan(tools, PLAN)).toBe('committed');
    expect(asked.filter((what) => what === 'put')).toHaveLength(2);
  });

  it.each<Answer[]>([['exists'], ['refused'], ['unavailable', 'refused']])(
    'commits nothing when its blob cannot be written: %s %s',
    async (...blobs) => {
      const { tools, asked } = storage({ blobs: [...blobs] });
      await expect(executePlan(tools, PLAN)).rejects.toMatchObject({ kind: blobs.at(-1) });
      expect(asked).not.toContain('commit');
    },
  );
});
