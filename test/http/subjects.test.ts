import { describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/domain/limits.js';
import { subjectsOf } from '../../src/domain/subjects.js';
import { decisionType } from '../../src/records/decision.js';
import { MINIMAL, newTenant } from '../support/decisions.js';
import { type Reply } from '../support/http-harness.js';
import { STORAGES } from '../support/platform.js';
import { useHttpHost } from '../support/use-http-host.js';

describe('whom a record says that it is about', () => {
  const about = (metadata: unknown): readonly string[] =>
    subjectsOf({ inputs: { a: 1 }, metadata }, ['/inputs'], decisionType.subjects)['/inputs'] ?? [];

  it.each([
    [{ subject_id: 'ann' }, ['ann']],
    [{ subject_id: 4711 }, ['4711']],
    [{ subject_ids: ['ann', 4711, 'ann'] }, ['4711', 'ann']],
    [{ subject_ids: 'ann' }, ['ann']],
    [{ subject_ids: 4711 }, ['4711']],
    [{ subject_id: '', subject_ids: [null, {}, true, ''] }, []],
  ])('in %j is %j', (metadata, subjects) => {
    expect(about(metadata)).toEqual(subjects);
  });
});

describe.each(STORAGES)('people whom metadata names $name', (kind) => {
  const { host } = useHttpHost(kind);

  it('are at most so many, for each takes a key', async () => {
    const tenant = newTenant();
    const people = (count: number) => ({ metadata: { subject_ids: Array.from({ length: count }, (_, at) => `p${String(at)}`) } }); // prettier-ignore
    const post = (count: number): Promise<Reply> =>
      host.post('/decisions', { ...MINIMAL, ...people(count) }, { tenant });
    const refused = await post(LIMITS.subjects + 1);
    expect([refused.status, refused.code, refused.pointers]).toEqual([422, 'record-invalid', ['/metadata/subject_ids']]); // prettier-ignore
    const taken = await post(LIMITS.subjects);
    expect(taken.status).toBe(201);
    const path = `/decisions/${taken.envelope.id}`;
    const patched = await host.request('PATCH', path, { body: people(LIMITS.subjects + 1), ifMatch: taken.etag, tenant }); // prettier-ignore
    expect([patched.status, patched.pointers]).toEqual([422, ['/metadata/subject_ids']]);
  });
});
