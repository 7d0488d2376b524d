import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { describe, expect, it } from 'vitest';
import { checksumOf, type Json } from '../../src/domain/canonical-json.js';
import type { CovenantAmendment, CovenantLedger } from '../../src/records/covenant.js';
import { partitionKey, recordKey, revisionKey } from '../../src/storage/keys.js';
import type { Row } from '../../src/storage/ports.js';
import { withRowChecksum } from '../../src/storage/row-checksum.js';
import { aCovenant, act, AMENDMENT, COVENANT, covenantOf } from '../support/covenants.js';
import { newTenant, walk } from '../support/decisions.js';
import { httpHost, type HttpHost, type RequestOptions } from '../support/http-harness.js';
import { STORAGES } from '../support/platform.js';
import { realClock } from '../support/virtual-clock.js';
import { useHttpHost } from '../support/use-http-host.js';

/** REQ-DATA-005: covenants, their versions, the ledger of their amendments, and who recognizes them. */
describe.each(STORAGES)('/covenants $name', (kind) => {
  const { storage, host } = useHttpHost(kind);

  const newVersion = (version: string, more: object = {}): object => ({ ...COVENANT, version, ...more });
  const ledgerOf = async (id: string, options: RequestOptions): Promise<CovenantLedger> =>
    (await host.get(`/covenants/${id}/ledger`, options)).json as unknown as CovenantLedger;
  const rowsOf = async ({ tenant = '' }: RequestOptions, id: string): Promise<readonly Row[]> =>
    (await storage.ports.tables.range('covenants', partitionKey(tenant, id), { from: '!', to: '~', limit: 1000 })).rows; // prettier-ignore

  it('is made a draft of version 1.0, in a partition of its own, and listed by a summary', async () => {
    const options = { tenant: newTenant() };
    const made = await aCovenant(host, {}, options);
    const { id, data } = made.envelope;
    expect(id).toMatch(/^cov_/);
    expect(made.headers['location']).toBe(`/api/covenants/${id}`);
    const { created_at, updated_at, ...rest } = data;
    expect(rest).toEqual({
      ...COVENANT,
      covenant_id: id,
      version: '1.0',
      schema_version: '1.0',
      organization: { name: 'Meridian Cooperative', metadata: {} },
      principles: [{ name: 'Transparency', commitments: [], indicators: [], metadata: {} }],
      governance: { model: 'elected board', roles: [], bodies: [], metadata: {} },
      verification: { status: 'unverified', evidence: [], metadata: {} },
      peer_recognitions: [],
      amendments: [],
      ledger_head: '0'.repeat(64),
      status: 'draft',
      version_history: [{ version: '1.0', status: 'draft', revision: 1, created_at }],
    });
    expect(String(updated_at) >= String(created_at)).toBe(true);
    const keys = (await rowsOf(options, id)).map(({ rowKey }) => rowKey.slice(0, 2));
    expect(keys).toEqual(['o:', 'r:', 'v:']);
    const [item] = (await host.get('/covenants', options)).page.items;
    expect(item).toEqual({
      record_type: 'covenant',
      id,
      revision: 1,
      schema_version: '1.0',
      tier: 'hot',
      checksum: made.envelope.checksum,
      created_at,
      updated_at: made.envelope.stored_at,
      organization_name: 'Meridian Cooperative',
      compliance_standard: 'BIC-1.0',
      version: '1.0',
      status: 'draft',
    });
    const read = await httpHost(storage.ports).get(`/covenants/${id}`, options);
    expect([read.status, read.json, read.etag]).toEqual([200, made.json, made.etag]);
    expect((await host.get(`/covenants/${id}`, { tenant: newTenant() })).status).toBe(404);
  });

  it('takes all that a practitioner would say, and keeps whom to ask as a secret', async () => {
    const options = { tenant: newTenant() };
    const body = {
      version: '3.1',
      schema_version: '2.0',
      status: 'active',
      created_at: '2020-05-01T10:00:00+02:00',
      organization: { name: 'Oe', legal_name: 'Oe B.V.', registration_id: 'KvK 1', jurisdiction: 'NL', employee_count: 12, domain: 'oe.example', contact: { name: 'Grace H.', role: 'secretary', email: 'g@oe.example', phone: '+31 1' } }, // prettier-ignore
      principles: [
        { principle_id: 'a', title: 'Openness', category: 'transparency', commitments: ['Minutes are public'], indicators: ['Minutes within a week'], mandatory: true, weight: 0.5 }, // prettier-ignore
        { statement: 'No decision without a reason.' },
        { description: 'Whoever decides answers for it.' },
      ],
      governance: { type: 'assembly', quorum: 'a third', approval_threshold: 0.5, amendment_threshold: 0.66, roles: ['chair', { role: 'clerk', holder: 'x' }], bodies: ['assembly'], review_cadence: 'yearly', last_reviewed_at: '2026-01-01T00:00:00Z', next_review_at: '2027-01-01T00:00:00Z' }, // prettier-ignore
      verification: { status: 'verified', method: 'audit', verified_by: 'Notary', verified_at: '2026-01-01T00:00:00Z', expires_at: '2027-01-01T00:00:00Z', evidence: ['report 7'], proof: 'sig' }, // prettier-ignore
    };
    const made = await aCovenant(host, body, options);
    const covenant = covenantOf(made);
    expect(covenant.governance.roles).toEqual([
      { role: 'chair', responsibilities: [] },
      { role: 'clerk', holder: 'x', responsibilities: [] },
    ]);
    expect([covenant.created_at, covenant.in_force_version, covenant.version]).toEqual(['2020-05-01T08:00:00.000Z', '3.1', '3.1']); // prettier-ignore
    expect(covenant.organization.contact?.email).toBe('g@oe.example');
    expect(Object.keys(made.envelope.salts ?? {}).sort()).toEqual(['email', 'name', 'phone'].map((member) => `/organization/contact/${member}`)); // prettier-ignore
    const [, record] = await rowsOf(options, covenant.covenant_id);
    const blob = await storage.ports.blobs.find('records', String(record?.properties['blob']));
    expect(Buffer.from(blob?.bytes ?? []).toString()).not.toMatch(/Grace|g@oe|\+31/);
    expect(String(record?.properties['blob'])).toMatch(new RegExp(`^${options.tenant}/covenant/${covenant.covenant_id}/${covenant.covenant_id}/1-evt_`)); // prettier-ignore
    expect((await host.get(`/covenants/${covenant.covenant_id}`, options)).json).toEqual(made.json);
  });

  it('makes higher versions and touches no byte and no row of the ones before', async () => {
    const options = { tenant: newTenant() };
    const first = await aCovenant(host, { status: 'active', verification: { status: 'verified' } }, options);
    const { id } = first.envelope;
    const path = `/covenants/${id}`;
    await act(host, id, 'amendments', AMENDMENT, options);
    const before = await contents(options, id);
    const principles = [{ name: 'Candour' }];
    const second = await act(host, id, 'versions', newVersion('1.10', { principles }), options);
    expect(second.headers['location']).toBe(`/api${path}/revisions/3`);
    expect((await host.get(`${path}/revisions/3`, options)).json).toEqual(second.json);
    expect(covenantOf(second)).toMatchObject({ version: '1.10', status: 'active', in_force_version: '1.10', verification: { status: 'unverified' }, principles, schema_version: '1.0', created_at: covenantOf(first).created_at }); // prettier-ignore
    expect(covenantOf(second).amendments).toHaveLength(1);
    expect(covenantOf(second).organization.name).toBe('Meridian Cooperative');
    const after = await contents(options, id);
    for (const [name, content] of before)
      if (!name.startsWith('r:') && !name.startsWith('o:')) expect(after.get(name), name).toBe(content);
    expect((await host.get(`${path}/revisions/1`, options)).json).toEqual(first.json);
    const then = await host.get(`${path}?as_of=${first.envelope.stored_at}`, options);
    expect(then.json).toEqual(first.json);
    const history = await host.get(`${path}/versions`, options);
    const { created_at: madeAt } = covenantOf(first);
    const { updated_at: replacedAt } = covenantOf(second);
    expect(history.json).toEqual({
      covenant_id: id,
      version: '1.10',
      in_force_version: '1.10',
      items: [
        { version: '1.0', status: 'superseded', revision: 1, created_at: madeAt, ended_at: replacedAt },
        { version: '1.10', status: 'active', revision: 3, created_at: replacedAt },
      ],
    });
    for (const version of ['1.10', '1.9', '1.10.0', '0', '1.10.0.0']) {
      const refused = await host.post(`${path}/versions`, newVersion(version), options);
      expect([refused.status, refused.pointers], version).toEqual([422, ['/version']]);
    }
    expect((await host.get(path, options)).envelope.revision).toBe(3);
  });

  /** Blobs and rows of a covenant as they are stored, by name. */
  async function contents(options: RequestOptions, id: string): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    for (const row of await rowsOf(options, id)) {
      found.set(row.rowKey, JSON.stringify([row.etag, row.timestampMs, row.properties]));
      if (!row.rowKey.startsWith('v:')) continue;
      const name = String(row.properties['blob']);
      const blob = await storage.ports.blobs.find('records', name);
      found.set(name, `${blob?.etag ?? ''} ${Buffer.from(blob?.bytes ?? []).toString()}`);
    }
    return found;
  }

  it('keeps the version in force beside the draft of the next, until that is activated', async () => {
    const options = { tenant: newTenant() };
    const { id } = (await aCovenant(host, { status: 'active' }, options)).envelope;
    const statuses = async (): Promise<unknown> => {
      const { items } = (await host.get(`/covenants/${id}/versions`, options)).json as { items: { version: string; status: string }[] }; // prettier-ignore
      return items.map(({ version, status }) => `${version} ${status}`);
    };
    const draft = await act(host, id, 'versions', newVersion('2', { status: 'draft' }), options);
    expect(covenantOf(draft)).toMatchObject({ version: '2', status: 'draft', in_force_version: '1.0' });
    expect(await statuses()).toEqual(['1.0 active', '2 draft']);
    const other = await act(host, id, 'versions', newVersion('2.1', { status: 'draft' }), options);
    expect(covenantOf(other).in_force_version).toBe('1.0');
    expect(await statuses()).toEqual(['1.0 active', '2 superseded', '2.1 draft']);
    const patched = await host.patch(`/covenants/${id}`, { compliance_standard: 'BIC-2.0' }, other.etag, options); // prettier-ignore
    expect(patched.status, patched.text).toBe(200);
    const active = await act(host, id, 'activation', {}, options);
    expect(covenantOf(active)).toMatchObject({ status: 'active', in_force_version: '2.1', compliance_standard: 'BIC-2.0' }); // prettier-ignore
    expect(await statuses()).toEqual(['1.0 superseded', '2 superseded', '2.1 active']);
    const again = await host.post(`/covenants/${id}/activation`, {}, options);
    expect([again.status, again.code]).toEqual([409, 'transition-not-allowed']);
  });

  it('is patched while it is a draft, and then changed by actions alone', async () => {
    const options = { tenant: newTenant() };
    const made = await aCovenant(host, {}, options);
    const path = `/covenants/${made.envelope.id}`;
    const patch = { organization: { legal_name: 'M. Coop. U.A.' }, governance: { quorum: 3 } };
    const patched = await host.patch(path, patch, made.etag, options);
    expect(covenantOf(patched)).toMatchObject({ organization: { name: 'Meridian Cooperative', legal_name: 'M. Coop. U.A.' }, governance: { quorum: 3 }, version: '1.0' }); // prettier-ignore
    for (const [member, value] of Object.entries({ version: '2', amendments: [], peer_recognitions: [], ledger_head: '0', version_history: [], in_force_version: '1.0', covenant_id: 'x', updated_at: null, ending: {} })) // prettier-ignore
      expect((await host.patch(path, { [member]: value }, patched.etag, options)).code).toBe('record-immutable'); // prettier-ignore
    for (const status of ['amended', 'superseded', 'revoked'])
      expect((await host.patch(path, { status }, patched.etag, options)).code).toBe('transition-not-allowed');
    expect((await host.patch(path, { principles: [] }, patched.etag, options)).pointers).toEqual(['/principles']); // prettier-ignore
    const active = await host.patch(path, { status: 'active' }, patched.etag, options);
    expect(covenantOf(active)).toMatchObject({ status: 'active', in_force_version: '1.0', version_history: [{ status: 'active' }] }); // prettier-ignore
    let current = active;
    for (const status of ['active', 'amended']) {
      if (status === 'amended') current = await act(host, made.envelope.id, 'amendments', AMENDMENT, options);
      expect(covenantOf(current).status).toBe(status);
      const refused = await host.patch(path, { governance: { quorum: 4 } }, current.etag, options);
      expect([refused.status, refused.code]).toEqual([409, 'record-immutable']);
      const back = await host.patch(path, { status: 'draft' }, current.etag, options);
      expect([back.status, back.code]).toEqual([409, 'transition-not-allowed']);
    }
  });

  it('keeps amendments as a ledger that anybody can verify', async () => {
    const options = { tenant: newTenant() };
    const { id } = (await aCovenant(host, {}, options)).envelope;
    expect(await ledgerOf(id, options)).toEqual({ covenant_id: id, entries: [], head: '0'.repeat(64), verified: true }); // prettier-ignore
    const draft = await act(host, id, 'amendments', AMENDMENT, options);
    expect(covenantOf(draft).status).toBe('draft');
    await act(host, id, 'activation', {}, options);
    const changes = [{ path: '/governance/quorum', from: 0.5, to: 0.6 }, 'and a footnote'];
    const effective = '2027-01-01T00:00:00Z';
    const amended = await act(host, id, 'amendments', { ...AMENDMENT, title: 'Quorum', changes, effective_at: effective }, options); // prettier-ignore
    expect(covenantOf(amended)).toMatchObject({ status: 'amended', in_force_version: '1.0', version_history: [{ status: 'amended' }] }); // prettier-ignore
    await act(host, id, 'versions', newVersion('2.0'), options);
    await act(host, id, 'amendments', { ...AMENDMENT, changes: { quorum: 0.7 } }, options);
    const { entries, head, verified } = await ledgerOf(id, options);
    expect([verified, head]).toEqual([true, entries.at(-1)?.hash]);
    expect(entries.map(({ sequence, covenant_version: version }) => [sequence, version])).toEqual([[1, '1.0'], [2, '1.0'], [3, '2.0']]); // prettier-ignore
    expect(entries[1]).toMatchObject({ title: 'Quorum', changes, effective_at: '2027-01-01T00:00:00.000Z', proposed_by: 'The board' }); // prettier-ignore
    expect(entries[0]?.effective_at).toBe(entries[0]?.recorded_at);
    let previous = '0'.repeat(64);
    for (const { hash, ...entry } of entries) {
      expect(entry.previous_hash).toBe(previous);
      expect(createHash('sha256').update(canonicalize(entry) ?? '').digest('hex')).toBe(hash); // prettier-ignore
      previous = hash;
    }
    const fresh = await host.get(`/covenants/${id}/ledger`, options);
    const path = `/covenants/${id}/ledger`;
    const unchanged = await host.get(path, { ...options, headers: { 'if-none-match': fresh.etag } });
    expect([fresh.status, unchanged.status]).toEqual([200, 304]);
    expect(fresh.etag).toBe((await host.get(`/covenants/${id}`, options)).etag);
  });

  it('says where a ledger does not verify, and adds nothing to it', async () => {
    const options = { tenant: newTenant() };
    const forgeries: readonly (readonly [(all: CovenantAmendment[]) => CovenantAmendment[], number])[] = [
      [([first, ...rest]) => [{ ...first, title: 'Another title' } as CovenantAmendment, ...rest], 1],
      [([, ...rest]) => rest, 1],
      [([first, second, third]) => [first, third, second] as CovenantAmendment[], 2],
      [(all) => all.slice(0, 2), 3],
      [() => [], 1],
    ];
    for (const [forge, brokenAt] of forgeries) {
      const { id } = (await aCovenant(host, { status: 'active' }, options)).envelope;
      for (const title of ['a', 'b', 'c'])
        await act(host, id, 'amendments', { ...AMENDMENT, title }, options);
      await rewrite(options, id, 4, (data) => ({ ...data, amendments: forge(data['amendments'] as CovenantAmendment[]) })); // prettier-ignore
      const other = httpHost(storage.ports);
      const ledger = (await other.get(`/covenants/${id}/ledger`, options)).json;
      expect(ledger).toMatchObject({ verified: false, broken_at: brokenAt });
      for (const [action, body] of [
        ['amendments', AMENDMENT],
        ['recognitions', { peer: 'x' }],
        ['versions', newVersion('9')],
        ['revocation', { reason: 'x' }],
      ] as const) {
        // prettier-ignore
        const refused = await other.post(`/covenants/${id}/${action}`, body, options);
        expect([refused.status, refused.code], action).toEqual([500, 'integrity-failure']);
      }
      expect((await other.get(`/covenants/${id}`, options)).envelope.revision).toBe(4);
    }
  });

  /** Somebody who can write to storage forges a revision so well that every checksum fits. */
  async function rewrite(
    { tenant = '' }: RequestOptions,
    id: string,
    revision: number,
    change: (data: Record<string, unknown>) => Record<string, unknown>,
  ): Promise<void> {
    const { tables, blobs } = storage.ports;
    const key = partitionKey(tenant, id);
    const row = await tables.find('covenants', key, revisionKey(id, revision));
    const name = String(row?.properties['blob']);
    const stored = JSON.parse(Buffer.from((await blobs.find('records', name))?.bytes ?? []).toString()) as Record<string, unknown>; // prettier-ignore
    const data = change(stored['data'] as Record<string, unknown>);
    const checksum = checksumOf(data as Json);
    const bytes = Buffer.from(JSON.stringify({ ...stored, data, checksum }));
    await blobs.delete('records', name);
    await blobs.putOnce('records', name, bytes, 'application/json');
    for (const rowKey of [revisionKey(id, revision), recordKey(id)]) {
      const { row_checksum: _, ...columns } = (await tables.find('covenants', key, rowKey))?.properties ?? {};
      const properties = withRowChecksum(key, rowKey, { ...columns, checksum, length: bytes.length });
      await tables.commit('covenants', key, [{ kind: 'upsert', rowKey, properties }]);
    }
  }

  it('loses no amendment, however many hosts amend at once, and the ledger verifies', async () => {
    const options = { tenant: newTenant() };
    const { id } = (await aCovenant(host, { status: 'active' }, options)).envelope;
    const hosts = [host, httpHost(storage.ports), httpHost(storage.ports)];
    await Promise.all(Array.from({ length: 9 }, (_, n) => act(hosts[n % 3] as HttpHost, id, 'amendments', { ...AMENDMENT, title: `${n}` }, options))); // prettier-ignore
    const { entries, verified } = await ledgerOf(id, options);
    expect([verified, entries.length]).toEqual([true, 9]);
    expect(entries.map(({ title }) => title).sort()).toEqual([...'012345678']);
    const [item] = (await host.get('/covenants?status=amended', options)).page.items;
    expect([item?.['id'], item?.['revision']]).toEqual([id, 10]);
    expect((await walk(host, '/covenants', options)).ids).toEqual([id]);
  });

  it('records who recognizes which version, one standing recognition for each', async () => {
    const options = { tenant: newTenant() };
    const { id } = (await aCovenant(host, {}, options)).envelope;
    const first = await act(host, id, 'recognitions', { peer: 'Oe', scope: 'all of it', signature: 's', recognized_at: '2026-01-02T00:00:00Z' }, options); // prettier-ignore
    expect(covenantOf(first).peer_recognitions).toEqual([{ peer: 'Oe', scope: 'all of it', signature: 's', recognized_at: '2026-01-02T00:00:00.000Z', covenant_version: '1.0' }]); // prettier-ignore
    await act(host, id, 'recognitions', { peer: 'Ae' }, options);
    await act(host, id, 'recognitions', { peer: 'Oe', scope: 'but for P2' }, options);
    await act(host, id, 'versions', newVersion('2'), options);
    const last = await act(host, id, 'recognitions', { peer: 'Oe' }, options);
    const standing = covenantOf(last).peer_recognitions;
    expect(standing.map(({ peer, scope, covenant_version: version }) => [peer, scope, version])).toEqual([['Ae', undefined, '1.0'], ['Oe', 'but for P2', '1.0'], ['Oe', undefined, '2']]); // prettier-ignore
    expect(covenantOf(last).status).toBe('active');
    const late = await host.post(`/covenants/${id}/recognitions`, { peer: 'x', recognized_at: '2199-01-01T00:00:00Z' }, options); // prettier-ignore
    expect([late.status, late.pointers]).toEqual([422, ['/recognized_at']]);
  });

  it('ends for good: superseded by another, or revoked, with the reason', async () => {
    const options = { tenant: newTenant() };
    const successor = (await aCovenant(host, {}, options)).envelope.id;
    const { id } = (await aCovenant(host, { status: 'active' }, options)).envelope;
    const early = await host.post(`/covenants/${successor}/supersession`, { reason: 'x' }, options);
    expect([early.status, early.code]).toEqual([409, 'transition-not-allowed']);
    const self = await host.post(`/covenants/${id}/supersession`, { reason: 'x', by: id }, options);
    expect(self.pointers).toEqual(['/by']);
    const over = await act(host, id, 'supersession', { reason: 'A merger', by: successor }, options);
    expect(covenantOf(over)).toMatchObject({ status: 'superseded', ending: { reason: 'A merger', superseded_by: successor }, version_history: [{ status: 'superseded' }] }); // prettier-ignore
    expect(covenantOf(over)).not.toHaveProperty('in_force_version');
    await act(host, successor, 'activation', {}, options);
    await act(host, successor, 'versions', newVersion('2', { status: 'draft' }), options);
    const revoked = await act(host, successor, 'revocation', { reason: 'A vote' }, options);
    expect(covenantOf(revoked).version_history.map(({ status }) => status)).toEqual(['revoked', 'revoked']);
    expect(covenantOf(revoked).version_history.every(({ ended_at: at }) => at !== undefined)).toBe(true);
    for (const ended of [over, revoked]) {
      // What the body says comes before what the state forbids.
      const lower = await host.post(`/covenants/${ended.envelope.id}/versions`, newVersion('0.1'), options);
      expect([lower.status, lower.pointers]).toEqual([422, ['/version']]);
      const path = `/covenants/${ended.envelope.id}`;
      for (const [action, body] of Object.entries({
        versions: newVersion('9'),
        amendments: AMENDMENT,
        recognitions: { peer: 'x' },
        activation: {},
        supersession: { reason: 'x' },
        revocation: { reason: 'x' },
      })) {
        // prettier-ignore
        const refused = await host.post(`${path}/${action}`, body, options);
        expect([refused.status, refused.code], action).toEqual([409, 'transition-not-allowed']);
      }
      expect((await host.patch(path, { governance: { quorum: 1 } }, ended.etag, options)).code).toBe('record-immutable'); // prettier-ignore
      expect((await host.get(path, options)).json).toEqual(ended.json);
      expect((await ledgerOf(ended.envelope.id, options)).verified).toBe(true);
    }
    expect((await walk(host, '/covenants?status=revoked', options)).ids).toEqual([successor]);
  });

  it('refuses what no covenant can be, says where, and stores nothing', async () => {
    const options = { tenant: newTenant() };
    const { organization, governance } = COVENANT;
    const many = Array.from({ length: 1001 }, (_, n) => ({ name: `${n}` }));
    const bad: readonly (readonly [object, readonly string[]])[] = [
      [{ organization: undefined, compliance_standard: undefined, principles: undefined, governance: undefined }, ['/compliance_standard', '/governance', '/organization', '/principles']], // prettier-ignore
      [{ covenant_id: 'cov_x' }, ['/covenant_id']],
      [{ amendments: [], peer_recognitions: [], ledger_head: '', updated_at: '2026-01-01T00:00:00Z' }, ['/amendments', '/ledger_head', '/peer_recognitions', '/updated_at']], // prettier-ignore
      [{ organization: { ...organization, nmae: 'x' } }, ['/organization/nmae']],
      [{ organization: {} }, ['/organization/name']],
      [{ organization: 'Meridian' }, ['/organization']],
      [{ organization: { ...organization, employee_count: -1 } }, ['/organization/employee_count']],
      [{ organization: { ...organization, contact: { mail: 'x' } } }, ['/organization/contact/mail']],
      [{ compliance_standard: ' ' }, ['/compliance_standard']],
      [{ principles: [] }, ['/principles']],
      [{ principles: ['Transparency'] }, ['/principles/0']],
      [{ principles: [{ category: 'x' }] }, ['/principles/0/name']],
      [{ principles: many }, ['/principles']],
      [{ principles: [{ name: 'a', weight: 1.5 }, { name: 'b', weight: -0.1 }] }, ['/principles/0/weight', '/principles/1/weight']], // prettier-ignore
      [{ principles: [{ name: 'a', principle_id: 'P1' }, { name: 'b', principle_id: 'P1' }, { name: 'a' }] }, ['/principles/1/principle_id', '/principles/2/name']], // prettier-ignore
      [{ governance: { ...governance, quorum: -1 } }, ['/governance/quorum']],
      [{ governance: { ...governance, last_reviewed_at: '2026-02-01T00:00:00Z', next_review_at: '2026-01-01T00:00:00Z' } }, ['/governance/next_review_at']], // prettier-ignore
      [{ governance: { ...governance, roles: [{ holder: 'x' }] } }, ['/governance/roles/0']],
      [{ governance: { ...governance, next_review_at: 'soon' } }, ['/governance/next_review_at']],
      [{ verification: { status: 'sure' } }, ['/verification/status']],
      [{ verification: { status: 'verified', verified_at: '2026-02-01T00:00:00Z', expires_at: '2026-01-31T23:59:59Z' } }, ['/verification/expires_at']], // prettier-ignore
      [{ version: '1.0-beta' }, ['/version']],
      [{ version: 1 }, ['/version']],
      [{ status: 'recognized' }, ['/status']],
      [{ created_at: '2199-01-01T00:00:00Z' }, ['/created_at']],
    ];
    for (const [body, pointers] of bad) {
      const reply = await host.post('/covenants', { ...COVENANT, ...body }, options);
      expect([reply.status, reply.code, [...reply.pointers].sort()], JSON.stringify(body).slice(0, 200)).toEqual([422, 'record-invalid', pointers]); // prettier-ignore
    }
    expect((await walk(host, '/covenants', options)).ids).toEqual([]);
    const made = await aCovenant(host, { status: 'active' }, options);
    const { id } = made.envelope;
    const badActions: readonly (readonly [string, object, readonly string[]])[] = [
      ['versions', { ...COVENANT }, ['/version']],
      ['versions', { version: '2' }, ['/compliance_standard', '/governance', '/organization', '/principles']],
      ['versions', newVersion('2', { status: 'revoked' }), ['/status']],
      ['versions', newVersion('2', { created_at: '2026-01-01T00:00:00Z' }), ['/created_at']],
      ['versions', newVersion('2', { principles: [{ name: 'a' }, { name: 'a' }] }), ['/principles/1/name']],
      ['amendments', {}, ['/description', '/proposed_by', '/title']],
      ['amendments', { ...AMENDMENT, description: ' \n' }, ['/description']],
      ['amendments', { ...AMENDMENT, hash: '0'.repeat(64), sequence: 7 }, ['/hash', '/sequence']],
      ['amendments', { ...AMENDMENT, changes: 'all' }, ['/changes']],
      ['amendments', { ...AMENDMENT, effective_at: '30 February' }, ['/effective_at']],
      ['recognitions', {}, ['/peer']],
      ['recognitions', { peer: ' ', covenant_version: '1.0' }, ['/covenant_version', '/peer']],
      ['activation', { now: true }, ['/now']],
      ['supersession', { by: 'dec_019b0000-0000-7000-8000-000000000000' }, ['/by', '/reason']],
      ['revocation', { reason: '  ' }, ['/reason']],
    ];
    for (const [action, body, pointers] of badActions) {
      const reply = await host.post(`/covenants/${id}/${action}`, body, options);
      expect([reply.status, [...reply.pointers].sort()], `${action} ${reply.text}`).toEqual([422, pointers]);
    }
    expect((await host.get(`/covenants/${id}`, options)).json).toEqual(made.json);
  });

  it('says that a ledger is full before it grows beyond what one record may hold', async () => {
    const options = { tenant: newTenant() };
    const { id } = (await aCovenant(host, { status: 'active' }, options)).envelope;
    const large = { ...AMENDMENT, changes: { minutes: 'x'.repeat(900_000) } };
    for (let n = 0; n < 9; n += 1) await act(host, id, 'amendments', large, options);
    const refused = await host.post(`/covenants/${id}/amendments`, large, options);
    expect([refused.status, refused.code]).toEqual([413, 'payload-too-large']);
    expect((await ledgerOf(id, options)).entries).toHaveLength(9);
  });

  it('answers at the addresses of its views and at no other', async () => {
    const options = { tenant: newTenant() };
    const { id } = (await aCovenant(host, {}, options)).envelope;
    expect((await host.post(`/covenants/${id}/ledger`, {}, options)).headers['allow']).toBe('GET');
    expect((await host.request('PUT', `/covenants/${id}/ledger`, { body: {}, ...options })).headers['allow']).toBe('GET'); // prettier-ignore
    expect((await host.get(`/covenants/${id}/amendments`, options)).headers['allow']).toBe('POST');
    expect((await host.get(`/covenants/${id}/ledger?limit=1`, options)).code).toBe('request-malformed');
    expect((await host.get('/covenants/x/ledger', options)).code).toBe('record-not-found');
    expect((await host.get(`/covenants/${id}/ledger`, { tenant: newTenant() })).code).toBe(
      'record-not-found',
    );
    expect((await host.get(`/covenants/${id}/ledger`, { ...options, roles: 'records.writer' })).status).toBe((await host.get(`/covenants/${id}`, { ...options, roles: 'records.writer' })).status); // prettier-ignore
    expect((await host.get(`/decisions/${id}/ledger`, options)).code).toBe('record-not-found');
    expect((await host.get(`/covenants?version=1.0`, options)).code).toBe('request-malformed');
  });

  it('lists the newest first by status and standard, in pages of any size, and not what others have', async () => {
    const options = { tenant: newTenant() };
    await aCovenant(host, {}, { tenant: newTenant() });
    let now = Date.UTC(2026, 5, 1);
    const writer = httpHost(storage.ports, { clock: { ...realClock, now: () => now } });
    const made: { id: string; status: string; standard: string }[] = [];
    for (let n = 0; n < 12; n += 1) {
      now += 1000;
      const [status, standard] = [n % 3 === 0 ? 'draft' : 'active', `BIC ${n % 2}`];
      const { id } = (await aCovenant(writer, { status, compliance_standard: standard }, options)).envelope;
      made.unshift({ id, status, standard });
    }
    const moved = made[0] as (typeof made)[number];
    await act(writer, moved.id, 'revocation', { reason: 'x' }, options);
    moved.status = 'revoked';
    for (const limit of [1, 5, 100])
      for (const status of [undefined, 'draft', 'active', 'revoked', 'amended'])
        for (const standard of [undefined, 'BIC 0', 'BIC 1']) {
          const query = new URLSearchParams({ limit: `${limit}`, ...(status === undefined ? {} : { status }), ...(standard === undefined ? {} : { compliance_standard: standard }) }); // prettier-ignore
          const { ids } = await walk(host, `/covenants?${query.toString()}`, options);
          const fits = made.filter((one) => (status ?? one.status) === one.status && (standard ?? one.standard) === one.standard); // prettier-ignore
          expect(ids, query.toString()).toEqual(fits.map(({ id }) => id));
        }
    const from = new Date(Date.UTC(2026, 5, 1) + 10_000).toISOString();
    expect((await walk(host, `/covenants?from=${from}&limit=2`, options)).ids).toEqual(made.slice(0, 3).map(({ id }) => id)); // prettier-ignore
  });

  it('is taken in batches, by the inbox and under keys, as any record is', async () => {
    const options = { tenant: newTenant() };
    const items = Array.from({ length: 25 }, (_, n) => ({ ...COVENANT, compliance_standard: `S${n % 2}` }));
    const batch = await host.post('/covenants/batch', { items }, { ...options, key: 'b' });
    expect(batch.status, batch.text).toBe(201);
    const listed = (await walk(host, '/covenants?limit=10', options)).ids;
    expect(listed.sort()).toEqual(batch.heads.map(({ id }) => id).sort());
    const again = await httpHost(storage.ports).post('/covenants/batch', { items }, { ...options, key: 'b' });
    expect([again.status, again.text]).toEqual([201, batch.text]);
    const mixed = { items: [COVENANT, { ...COVENANT, principles: [] }] };
    expect((await host.post('/covenants/batch', mixed, options)).pointers).toEqual(['/items/1/principles']);
    const [{ id } = { id: '' }] = batch.heads;
    const keyed = { ...options, key: 'v' };
    const version = await host.post(`/covenants/${id}/versions`, newVersion('2'), keyed);
    const replayed = await httpHost(storage.ports).post(`/covenants/${id}/versions`, newVersion('2'), keyed);
    expect([replayed.status, replayed.text, replayed.headers['location'], replayed.headers['idempotency-replayed']]).toEqual([201, version.text, version.headers['location'], 'true']); // prettier-ignore
    expect((await host.get(`/covenants/${id}`, options)).envelope.revision).toBe(2);
    const promised = await host.post('/inbox/covenants', COVENANT, options);
    expect(promised.status, promised.text).toBe(202);
  });

  it('shows the record row in a list where an index row was damaged, and says so', async () => {
    const options = { tenant: newTenant() };
    const { id } = (await aCovenant(host, {}, options)).envelope;
    const key = partitionKey(options.tenant, 'index');
    const { rows } = await storage.ports.tables.range('covenants', key, { from: 'i:', to: 'i;', limit: 9 });
    expect(rows).toHaveLength(4);
    for (const { rowKey } of rows)
      await storage.ports.tables.commit('covenants', key, [{ kind: 'merge', rowKey, properties: { version: '7', status: 'x' }, etag: '*' }]); // prettier-ignore
    for (const query of ['', '?status=draft', '?status=draft&compliance_standard=BIC-1.0']) {
      const { items } = (await httpHost(storage.ports).get(`/covenants${query}`, options)).page;
      expect(items.map((item) => [item['id'], item['version'], item['status']])).toEqual([[id, '1.0', 'draft']]); // prettier-ignore
    }
    const auditor = httpHost(storage.ports);
    await auditor.platform.sealer.sealTenant(options.tenant);
    const events = await auditor.get(`/audit-events?event_type=integrity.failed&resource_id=${id}`, options);
    expect(events.page.items.length).toBeGreaterThan(0);
  });
});
