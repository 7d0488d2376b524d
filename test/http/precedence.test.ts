import { beforeAll, describe, expect, it } from 'vitest';
import { LIMITS } from '../../src/domain/limits.js';
import { created, MINIMAL, vote } from '../support/decisions.js';
import { httpHost, type HttpHost, type RequestOptions } from '../support/http-harness.js';
import { memoryPorts } from '../support/memory-ports.js';
import { realClock } from '../support/virtual-clock.js';

const ORDER = [401, 403, 415, 413, 400, 404, 428, 412, 422, 409] as const;
type Refusal = (typeof ORDER)[number];

const UNKNOWN = 'dec_01980000-0000-7000-8000-000000000000';
/** Not JSON, and larger than a body may be. */
const LARGE = ' '.repeat(LIMITS.bodyBytes + 1);

/** A request under construction: what is wrong with it is added piece by piece. */
interface Draft {
  method: string;
  path: string;
  raw: string;
  options: RequestOptions & { headers: Record<string, string> };
}

/** How to make a request deserve a refusal, and which faults cannot be had at once. */
const spoil: Record<Refusal, (draft: Draft, subject: Subject) => void> = {
  401: (draft) => (draft.options.headers['x-dev-tenant'] = 'NOBODY'),
  403: (draft) => (draft.options.headers['x-dev-roles'] = 'records.auditor'),
  415: (draft) => (draft.options.headers['content-type'] = 'text/plain'),
  413: (draft) => (draft.raw = LARGE),
  400: (draft) => (draft.path += '?surprise=1'),
  404: (draft, { id }) => (draft.path = draft.path.replace(id, UNKNOWN)),
  428: (draft) => delete draft.options.headers['if-match'],
  412: (draft) => {
    if (draft.options.headers['if-match'] !== undefined) draft.options.headers['if-match'] = '"stale"';
  },
  422: (draft) => {
    if (draft.raw !== LARGE)
      draft.raw = JSON.stringify({ ...(JSON.parse(draft.raw) as object), surprise: 1 });
  },
  409: (draft, { conflicting }) => (draft.raw = JSON.stringify(conflicting)),
};
/** Written in this order, so that one fault does not undo another. */
const APPLIED: readonly Refusal[] = [409, 422, 413, 415, 403, 401, 428, 412, 404, 400];

interface Subject {
  readonly id: string;
  readonly draft: () => Draft;
  /** A body that the state of the record forbids. */
  readonly conflicting: object;
  readonly faults: readonly Refusal[];
}

let host: HttpHost;
const subjects: Record<string, Subject> = {};

beforeAll(async () => {
  host = httpHost(memoryPorts({ clock: realClock }));
  const record = await created(host, { status: 'completed' });
  const { id } = record.envelope;
  const draft =
    (method: string, path: string, body: object, headers: Record<string, string>) => (): Draft => ({
      method,
      path,
      raw: JSON.stringify(body),
      options: { headers: { 'content-type': 'application/json', ...headers } },
    });
  subjects['PATCH'] = {
    id,
    draft: draft('PATCH', `/decisions/${id}`, { metadata: { a: 1 } }, { 'if-match': record.etag }),
    conflicting: { title: 'final' },
    faults: ORDER,
  };
  subjects['vote'] = {
    id,
    draft: draft('POST', `/decisions/${id}/votes`, vote('cfo'), { 'if-match': record.etag }),
    conflicting: vote('cfo'),
    faults: ORDER.filter((status) => status !== 428),
  };
  subjects['create'] = {
    id,
    draft: draft('POST', '/decisions', MINIMAL, {}),
    conflicting: {},
    faults: [401, 403, 415, 413, 400, 422],
  };
  subjects['batch'] = {
    id,
    draft: draft('POST', '/decisions/batch', { items: [MINIMAL] }, {}),
    conflicting: {},
    faults: [401, 403, 415, 400, 422],
  };
  subjects['inbox'] = {
    id,
    draft: draft('POST', '/inbox/decisions', MINIMAL, {}),
    conflicting: {},
    faults: [401, 403, 415, 413, 400, 422],
  };
});

/** Every combination of faults: up to 1,024 of them. */
function* combinations(faults: readonly Refusal[]): Generator<Refusal[]> {
  for (let bits = 1; bits < 2 ** faults.length; bits += 1)
    yield faults.filter((_, at) => (bits & (2 ** at)) !== 0);
}

describe('when several refusals apply, the first of the contract is the answer', () => {
  it.each(['PATCH', 'vote', 'create', 'batch', 'inbox'])('to %s, in every combination', async (name) => {
    const subject = subjects[name] as Subject;
    let tried = 0;
    for (const faults of combinations(subject.faults)) {
      // Without If-Match there is none that could be stale.
      if (faults.includes(428) && faults.includes(412)) continue;
      const draft = subject.draft();
      for (const fault of APPLIED) if (faults.includes(fault)) spoil[fault](draft, subject);
      const reply = await host.request(draft.method, draft.path, { ...draft.options, raw: draft.raw });
      // A vote on a final decision is a conflict in any case.
      const applying = name === 'vote' ? [...faults, 409 as const] : faults;
      const first = ORDER.find((status) => applying.includes(status));
      expect(reply.status, `${faults.join(' ')}: ${reply.text}`).toBe(first);
      tried += 1;
    }
    expect(tried).toBeGreaterThan(30 - 1);
  });

  it('also when the body cannot be understood at all', async () => {
    const bad = { raw: '{', headers: { 'content-type': 'application/json' } };
    expect((await host.request('PATCH', `/decisions/${UNKNOWN}`, bad)).status).toBe(400);
    expect((await host.request('POST', `/decisions/${UNKNOWN}/votes`, bad)).status).toBe(400);
    expect((await host.request('POST', '/nothing-like-this', bad)).status).toBe(400);
  });

  it.each([
    `/decisions/${UNKNOWN}?as_of=never`,
    '/nothing-like-this/x?as_of=never',
    `/decisions/${UNKNOWN}/revisions?limit=0`,
    `/decisions/${UNKNOWN}/revisions?cursor=x`,
    '/decisions/nonsense/revisions?cursor=x',
    '/nothing-like-this/x/revisions?limit=0',
    '/nothing-like-this?limit=0',
    '/nothing-like-this?from=never',
    `/decisions/${UNKNOWN}/revisions/0?x=1`,
  ])('of a bad query and a missing record: 400 for %s', async (path) => {
    expect((await host.get(path)).status).toBe(400);
  });

  it('a broken Idempotency-Key is 400 before a missing record is 404', async () => {
    const reply = await host.post(`/decisions/${UNKNOWN}/votes`, vote('a'), { key: 'a b' });
    expect(reply.status).toBe(400);
  });
});
