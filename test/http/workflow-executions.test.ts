import { describe, expect, it } from 'vitest';
import { checksumOf, type Json } from '../../src/domain/canonical-json.js';
import { committedOf } from '../support/committed.js';
import { countingPorts } from '../support/counting-ports.js';
import { newTenant, walk } from '../support/decisions.js';
import { httpHost, type Reply, type RequestOptions } from '../support/http-harness.js';
import { STORAGES } from '../support/platform.js';
import { StorageFault } from '../../src/storage/ports.js';
import { wrapPorts } from '../support/wrap-ports.js';
import { useHttpHost } from '../support/use-http-host.js';

const RUN = { workflow_name: 'invoice-approval', version: '2.1' };

/** REQ-DATA-002: runs of workflows, whose steps are parts of them. */
describe.each(STORAGES)('/workflow-executions $name', (kind) => {
  const { storage, host } = useHttpHost(kind);

  const started = async (body: object, options: RequestOptions): Promise<Reply> => {
    const made = await host.post('/workflow-executions', { ...RUN, ...body }, options);
    expect(made.status, made.text).toBe(201);
    return made;
  };
  const pathOf = (made: Reply): string => `/workflow-executions/${made.envelope.id}`;
  const step = (made: Reply, body: object, options: RequestOptions, on = host): Promise<Reply> =>
    on.post(`${pathOf(made)}/steps`, body, options);

  it('runs from its first step to its end', async () => {
    const options = { tenant: newTenant(), actor: 'ada' };
    const made = await started({ total_steps: 2, parameters: { invoice: 1 } }, options);
    expect(made.envelope.data).toMatchObject({ ...RUN, execution_id: made.envelope.id, status: 'pending', initiated_by: 'ada', current_step: 0, total_steps: 2, step_results: {} }); // prettier-ignore
    const running = await host.patch(pathOf(made), { status: 'running' }, made.etag, options);
    expect(running.status).toBe(200);
    const first = await step(made, { step_id: 'check', status: 'running', agent: 'bot', step_name: 'Check it' }, options); // prettier-ignore
    expect([first.status, first.envelope.revision]).toEqual([200, 2]);
    const moved = await step(made, { step_id: 'check', status: 'completed', output: { ok: true } }, options);
    const { check } = moved.envelope.data['step_results'] as Record<string, Record<string, unknown>>;
    const begun = (first.envelope.data['step_results'] as Record<string, Record<string, unknown>>)['check'];
    expect(check).toEqual({ ...begun, status: 'completed', output: { ok: true }, completed_at: check?.['completed_at'] }); // prettier-ignore
    const last = await step(made, { step_id: 'pay', status: 'skipped' }, options);
    expect(last.envelope.data).toMatchObject({ current_step: 2, total_steps: 2, status: 'running' });
    for (const on of [host, httpHost(storage.ports)]) {
      const read = await on.get(pathOf(made), options);
      expect([read.json, read.etag]).toEqual([last.json, last.etag]);
      expect(read.envelope.checksum).toBe(checksumOf(committedOf(read.envelope) as Json));
      expect((await on.get(pathOf(made), { ...options, headers: { 'if-none-match': last.etag } })).status).toBe(304); // prettier-ignore
      expect((await on.get(pathOf(made), { ...options, headers: { 'if-none-match': moved.etag } })).status).toBe(200); // prettier-ignore
    }
    const stored = await host.get(`${pathOf(made)}/revisions/2`, options);
    expect(stored.envelope.data).toMatchObject({ current_step: 0, step_results: {} });
    // The tag of the revision, with some of its steps or without, names the revision.
    const done = await host.patch(pathOf(made), { status: 'completed' }, first.etag, options);
    expect([done.status, done.envelope.revision]).toEqual([200, 3]);
    expect(done.envelope.data).toMatchObject({ current_step: 2, step_results: last.envelope.data['step_results'] }); // prettier-ignore
    expect(done.envelope.data['completed_at']).toBeDefined();
    expect((await step(made, { step_id: 'late', status: 'running' }, options)).code).toBe('transition-not-allowed'); // prettier-ignore
  });

  it('keeps every entry in order, with an event each that commits to it', async () => {
    const options = { tenant: newTenant() };
    const made = await started({}, options);
    for (const status of ['running', 'failed', 'running', 'completed'])
      expect((await step(made, { step_id: 's', status }, options)).status).toBe(200);
    const entries: Record<string, unknown>[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const page = await host.get(`${pathOf(made)}/steps?limit=3${cursor === '' ? '' : `&cursor=${cursor}`}`, options); // prettier-ignore
      entries.push(...page.page.items);
      cursor = page.page.next_cursor;
    }
    expect(entries.map(({ seq, status }) => [seq, status])).toEqual([[1, 'running'], [2, 'failed'], [3, 'running'], [4, 'completed']]); // prettier-ignore
    await host.platform.sealer.sealTenant(options.tenant);
    const events = (await host.get(`/audit-events?resource_id=${made.envelope.id}`, options)).page.items;
    const steps = events.filter(({ action }) => action === 'step').reverse();
    expect(steps.map(({ event_type }) => event_type)).toEqual(Array(4).fill('record.action'));
    const details = steps.map((event) => (event as unknown as { details: Record<string, unknown> }).details);
    expect(details.map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
    expect(details.map(({ checksum }) => checksum)).toEqual(entries.map(({ checksum }) => checksum));
    expect(details.map((one) => one['previous_checksum'])).toEqual([undefined, ...entries.slice(0, 3).map(({ checksum }) => checksum)]); // prettier-ignore
    expect((await host.get('/workflow-executions/wfx_019b0000-0000-7000-8000-000000000000/steps', options)).status).toBe(404); // prettier-ignore
    expect((await host.get(`${pathOf(made)}/steps`, { tenant: newTenant() })).status).toBe(404);
    expect((await host.get(`${pathOf(made)}/steps?cursor=x`, options)).status).toBe(400);
  });

  it('lets steps of two hosts land, all of them, once', async () => {
    const options = { tenant: newTenant() };
    const made = await started({}, options);
    const hosts = [host, httpHost(storage.ports)];
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        step(made, { step_id: `s${n}`, status: 'completed' }, options, hosts[n % 2]),
      ),
    );
    expect(replies.map(({ status }) => status)).toEqual(Array(20).fill(200));
    const read = await host.get(pathOf(made), options);
    expect(read.envelope.data['current_step']).toBe(20);
    expect(Object.keys(read.envelope.data['step_results'] as object)).toHaveLength(20);
  });

  it('answers a repeated key with the first answer, whatever came after it', async () => {
    const options = { tenant: newTenant() };
    const made = await started({}, options);
    const keyed = { ...options, key: 'k' };
    const first = await step(made, { step_id: 'a', status: 'running' }, keyed);
    await step(made, { step_id: 'a', status: 'completed' }, options);
    await step(made, { step_id: 'b', status: 'running' }, options);
    const again = await step(made, { step_id: 'a', status: 'running' }, keyed, httpHost(storage.ports));
    expect([again.text, again.etag, again.headers['idempotency-replayed']]).toEqual([first.text, first.etag, 'true']); // prettier-ignore
    expect((await step(made, { step_id: 'a', status: 'failed' }, keyed)).code).toBe('idempotency-key-reused');
    // A refusal leaves the key open.
    const open = { ...options, key: 'k2' };
    expect((await step(made, { step_id: 'a', status: 'running' }, open)).code).toBe('transition-not-allowed');
    expect((await step(made, { step_id: 'b', status: 'completed' }, open)).status).toBe(200);
  });

  it('adds a step once when the answer to its commit is lost', async () => {
    const options = { tenant: newTenant() };
    const made = await started({}, options);
    let lost = 0;
    const unlucky = httpHost(
      wrapPorts(storage.ports, async (call, run) => {
        const done = await run();
        if (call.method !== 'commit' || call.args[0] !== 'workflowsteps' || lost > 0) return done;
        lost += 1;
        throw new StorageFault('unavailable', 'no answer');
      }),
    );
    const reply = await step(made, { step_id: 'a', status: 'running' }, options, unlucky);
    expect([reply.status, lost]).toEqual([200, 1]);
    expect((await host.get(`${pathOf(made)}/steps`, options)).page.items).toHaveLength(1);
  });

  it('refuses what no run and no step can be, says where, and stores nothing', async () => {
    const options = { tenant: newTenant() };
    const time = '2026-01-01T00:00:00Z';
    const runs: readonly (readonly [object, string])[] = [
      [{ workflow_name: ' ' }, '/workflow_name'],
      [{ status: 'paused' }, '/status'],
      [{ total_steps: -1 }, '/total_steps'],
      [{ total_steps: 1.5 }, '/total_steps'],
      [{ execution_id: 'x' }, '/execution_id'],
      [{ step_results: {} }, '/step_results'],
      [{ started_at: '2026-02-30T00:00:00Z' }, '/started_at'],
    ];
    for (const [body, pointer] of runs) {
      const reply = await host.post('/workflow-executions', { ...RUN, ...body }, options);
      expect([reply.status, reply.pointers], reply.text).toEqual([422, [pointer]]);
    }
    expect((await walk(host, '/workflow-executions', options)).ids).toEqual([]);
    const made = await started({ total_steps: 1 }, options);
    const steps: readonly (readonly [object, string])[] = [
      [{ status: 'running' }, '/step_id'],
      [{ step_id: 'a', status: 'pending' }, '/status'],
      [{ step_id: 'a', status: 'running', surprise: 1 }, '/surprise'],
      [{ step_id: 'a', status: 'running', completed_at: time }, '/completed_at'],
      [{ step_id: 'a', status: 'completed', started_at: '2026-01-02T00:00:00Z', completed_at: time }, '/completed_at'], // prettier-ignore
    ];
    for (const [body, pointer] of steps) {
      const reply = await step(made, body, options);
      expect([reply.status, reply.pointers], reply.text).toEqual([422, [pointer]]);
    }
    expect((await step(made, {}, { ...options, ifMatch: '"stale"' })).code).toBe('version-conflict');
    const large = { step_id: 'a', status: 'running', output: { log: Array(8).fill('x'.repeat(60_000)) } };
    expect((await step(made, large, options)).code).toBe('payload-too-large');
    expect((await step(made, { step_id: 'a', status: 'completed' }, options)).status).toBe(200);
    expect((await step(made, { step_id: 'a', status: 'running' }, options)).code).toBe('transition-not-allowed'); // prettier-ignore
    // What the body says comes before what the state forbids.
    expect((await step(made, { step_id: 'a', status: 'running', completed_at: time }, options)).pointers).toEqual(['/completed_at']); // prettier-ignore
    expect((await step(made, { step_id: 'b', status: 'running' }, options)).pointers).toEqual(['/step_id']);
    expect((await host.get(`${pathOf(made)}/steps`, options)).page.items).toHaveLength(1);
    const patch = async (body: object): Promise<Reply> =>
      host.patch(pathOf(made), body, (await host.get(pathOf(made), options)).etag, options);
    for (const member of ['step_results', 'current_step', 'workflow_name', 'started_at', 'completed_at'])
      expect((await patch({ [member]: null })).code).toBe('record-immutable');
    expect((await patch({ status: 'completed' })).code).toBe('transition-not-allowed');
    const error = { code: 'timeout', message: 'No answer', step_id: 'a', retryable: true };
    expect((await patch({ status: 'running', error_info: error })).pointers).toEqual(['/error_info']);
    const failed = await patch({ status: 'failed', error_info: error });
    expect(failed.envelope.data['error_info']).toMatchObject(error);
    expect((await patch({ metadata: { a: 1 } })).status).toBe(200);
    expect((await patch({ total_steps: 5 })).code).toBe('record-immutable');
  });

  it('lists by workflow and status', async () => {
    const options = { tenant: newTenant() };
    const made: Reply[] = [];
    for (let n = 0; n < 6; n += 1)
      made.unshift(await started({ workflow_name: `w ${n % 2}`, status: n < 3 ? 'running' : 'pending', started_at: `2026-01-0${n + 1}T00:00:00Z` }, options)); // prettier-ignore
    const ids = (fits: (at: number) => boolean): string[] =>
      made.filter((_, at) => fits(5 - at)).map(({ envelope }) => envelope.id);
    expect((await walk(host, '/workflow-executions?limit=2', options)).ids).toEqual(ids(() => true));
    expect((await walk(host, '/workflow-executions?workflow_name=w%201&limit=2', options)).ids).toEqual(ids((n) => n % 2 === 1)); // prettier-ignore
    expect((await walk(host, '/workflow-executions?status=running', options)).ids).toEqual(ids((n) => n < 3));
    expect((await walk(host, '/workflow-executions?status=running&workflow_name=w%200', options)).ids).toEqual(ids((n) => n < 3 && n % 2 === 0)); // prettier-ignore
    const period = '/workflow-executions?from=2026-01-02T00:00:00Z&to=2026-01-04T00:00:00Z';
    expect((await walk(host, period, options)).ids).toEqual(ids((n) => n === 1 || n === 2));
  });

  it('costs the same per step at the end of a thousand as at the start', { timeout: 120_000 }, async () => {
    const options = { tenant: newTenant() };
    const counting = countingPorts(storage.ports);
    const writer = httpHost(counting.ports);
    const made = await started({}, options);
    const costs: Record<string, number>[] = [];
    const total = kind.realTime ? 120 : 1_000;
    for (let n = 0; n < total; n += 1) {
      counting.reset();
      const reply = await step(made, { step_id: `step ${n}`, status: 'completed', output: { n } }, options, writer); // prettier-ignore
      expect(reply.status).toBe(200);
      costs.push(counting.counts());
    }
    // The record, the head, the name; then the entries before, while all of them are shown.
    expect(costs.at(-1)).toEqual({ 'tables.find': 3, 'tables.commit': 1 });
    for (const { 'tables.range': ranges = 0, 'tables.find': finds = 0 } of costs.slice(1))
      expect([finds, ranges <= 1]).toEqual([3, true]);
    const read = await host.get(pathOf(made), options);
    expect(Object.keys(read.envelope.data['step_results'] as object)).toHaveLength(total);
  });

  it('cannot be said to have fewer steps than were begun', async () => {
    const options = { tenant: newTenant() };
    const made = await started({ total_steps: 5 }, options);
    for (const step_id of ['a', 'b']) await step(made, { step_id, status: 'running' }, options);
    const patch = async (total_steps: number) =>
      host.patch(pathOf(made), { total_steps }, (await host.get(pathOf(made), options)).etag, options);
    const refused = await patch(1);
    expect([refused.status, refused.pointers]).toEqual([422, ['/total_steps']]);
    expect((await patch(2)).envelope.data['total_steps']).toBe(2);
    expect((await step(made, { step_id: 'c', status: 'running' }, options)).pointers).toEqual(['/step_id']);
    expect((await patch(3)).status).toBe(200);
  });

  it('is told unchanged by a revision under its own tag', async () => {
    const options = { tenant: newTenant() };
    const made = await started({}, options);
    const first = await host.get(`${pathOf(made)}/revisions/1`, options);
    const again = await host.get(`${pathOf(made)}/revisions/1`, { ...options, headers: { 'if-none-match': first.etag } }); // prettier-ignore
    expect([first.status, again.status]).toEqual([200, 304]);
  });

  it('has a tag of its own for an answer that shows one step of many', async () => {
    const options = { tenant: newTenant() };
    const made = await started({}, options);
    let last = await step(made, { step_id: 'step 0', status: 'completed' }, options);
    for (let n = 1; n <= 50; n += 1)
      last = await step(made, { step_id: `step ${n}`, status: 'completed' }, options);
    expect(Object.keys(last.envelope.data['step_results'] as object)).toEqual(['step 50']);
    const read = await host.get(pathOf(made), { ...options, headers: { 'if-none-match': last.etag } });
    expect([read.status, Object.keys(read.envelope.data['step_results'] as object).length]).toEqual([
      200, 51,
    ]);
    expect(read.etag).not.toBe(last.etag);
    // As a condition either of them names the revision.
    expect((await host.patch(pathOf(made), { metadata: { a: 1 } }, last.etag, options)).status).toBe(200);
  });

  it('looks at its steps only for a change that they have a say in', async () => {
    const options = { tenant: newTenant() };
    const counting = countingPorts(storage.ports);
    const writer = httpHost(counting.ports);
    const made = await started({ total_steps: 5 }, options);
    const counted = async (body: object) => {
      const { etag } = await writer.get(pathOf(made), {
        ...options,
        headers: { 'cache-control': 'no-cache' },
      });
      counting.reset();
      expect((await writer.patch(pathOf(made), body, etag, options)).status).toBe(200);
      return counting.counts()['tables.find'];
    };
    await counted({ metadata: { warm: true } });
    const finds = Number(await counted({ metadata: { n: 1 } }));
    expect(await counted({ total_steps: 5, metadata: { n: 2 } })).toBe(finds);
    expect(await counted({ total_steps: 6 })).toBe(finds + 1);
  });
});
