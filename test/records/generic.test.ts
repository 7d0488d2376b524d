import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { canonicalJson, type Json } from '../../src/domain/canonical-json.js';
import { defineRecord } from '../../src/domain/define-record.js';
import type { Migration, RecordData, RecordType } from '../../src/domain/record-type.js';
import type { Platform } from '../../src/platform.js';
import { RECORD_TYPES } from '../../src/records/registry.js';
import { placeOf } from '../../src/storage/record-location.js';
import { partitionKey, revisionKey } from '../../src/storage/keys.js';
import type { StorageUnderTest } from '../support/storages.js';
import { caller, openStorage, STORAGES, testPlatform } from '../support/platform.js';
import { describeTypes } from './generic-suite.js';

const dossierFrom09: Migration = {
  from: '0.9',
  to: '1.0',
  schema: z.looseObject({ name: z.string() }),
  migrate: ({ name, ...rest }) => ({ ...rest, subject: name }),
  example: {
    dossier_id: 'dos_1',
    created_at: '2026-01-01T00:00:00.000Z',
    name: 'Ada',
    notes: [],
    content: {},
  },
};

/** A type nobody ships: with sensitive members, an older schema version and free content, to hold generic code to. */
const dossier = (schemaVersion: '0.9' | '1.0'): RecordType =>
  defineRecord<RecordData, RecordData>({
    recordType: 'dossier',
    collection: 'dossiers',
    table: 'dossiers',
    idPrefix: 'dos',
    idField: 'dossier_id',
    schemaVersion,
    migrations: schemaVersion === '1.0' ? [dossierFrom09] : [],
    schema: z.strictObject({
      dossier_id: z.string(),
      created_at: z.string(),
      label: z.string().optional(),
      [schemaVersion === '1.0' ? 'subject' : 'name']: z.string(),
      notes: z.array(z.strictObject({ text: z.string() })),
      content: z.record(z.string(), z.unknown()),
    }),
    createSchema: z.strictObject({
      created_at: z.string().optional(),
      label: z.string().optional(),
      [schemaVersion === '1.0' ? 'subject' : 'name']: z.string(),
      notes: z.array(z.strictObject({ text: z.string() })).default([]),
      content: z.record(z.string(), z.unknown()).default({}),
    }),
    create: (input, context) => ({ ...input, dossier_id: context.id }),
    orderedBy: 'created_at',
    partition: { kind: 'month-of-creation' },
    summary: ['label'],
    indexes: [{ name: 'label', fields: ['label'] }],
    immutable: ['dossier_id', 'created_at'],
    sensitive: { [schemaVersion === '1.0' ? '/subject' : '/name']: 'pii', '/notes/*/text': 'phi' },
    tiers: {},
    retention: 'forever',
    actions: {},
    example: { [schemaVersion === '1.0' ? 'subject' : 'name']: 'Ada', notes: [{ text: 'secret note' }] },
  });

const TYPES = [...RECORD_TYPES, dossier('1.0')];

describeTypes(TYPES);

describe.each(STORAGES)('records with sensitive members and older versions $name', (kind) => {
  let storage: StorageUnderTest;
  let platform: Platform;
  const call = caller();

  beforeAll(async () => {
    storage = await openStorage(kind, TYPES);
    platform = testPlatform(storage.ports, { types: TYPES });
  });
  afterAll(() => {
    storage.close();
  });

  it('keeps hostile values byte for byte and finds them by them', async () => {
    const type = TYPES.at(-1) as RecordType;
    const tenants = fc.stringMatching(/^[a-z0-9-]{1,63}$/);
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc.constantFrom('', "'", '"', '\\', '/', '#', '?', '%', '\u0000', '\u007f', "' or 1 eq 1", '\ufeff', 'a'.repeat(300), '\u2028'), // prettier-ignore
    );
    const name = fc.string({ unit: 'binary', maxLength: 80 });
    await fc.assert(
      fc.asyncProperty(
        tenants,
        text,
        fc.dictionary(name, fc.jsonValue({ maxDepth: 3 }), { maxKeys: 5 }),
        async (tenant, label, content) => {
          // prettier-ignore
          fc.pre(!JSON.stringify(content).includes('__proto__'));
          const theirs = caller({ tenant });
          const body = { subject: label, label, content: JSON.parse(JSON.stringify(content)) as unknown };
          const { envelope } = await platform.manager.create(type, body, theirs);
          const read = (await platform.manager.get(type, envelope.id, theirs)).envelope;
          expect(canonicalJson(read.data['content'] as Json)).toBe(canonicalJson(body.content as Json));
          expect([read.data['label'], read.data['subject']]).toEqual([label, label]);
          const page = await platform.manager.list(type, { filters: { label }, limit: 1000 }, theirs);
          expect(page.items.map((item) => item['id'])).toContain(envelope.id);
          expect(page.items.every((item) => item['label'] === label)).toBe(true);
          await expect(platform.manager.get(type, envelope.id, caller({ tenant: `${tenant.slice(0, 60)}-x` }))).rejects.toMatchObject({ code: 'record-not-found' }); // prettier-ignore
        },
      ),
      { numRuns: kind.realTime ? 15 : 150 },
    );
  });

  it('upgrades a record of an older schema version on read and says so, with the checksum of what is stored', async () => {
    const then = testPlatform(storage.ports, { types: [dossier('0.9')] });
    const old = await then.manager.create(dossier('0.9'), { name: 'Grace', label: 'old' }, call);
    const now = dossier('1.0');
    const { envelope } = await platform.manager.get(now, old.envelope.id, call);
    expect(envelope).toMatchObject({
      schema_version: '1.0',
      stored_schema_version: '0.9',
      checksum: old.envelope.checksum,
      data: { subject: 'Grace', label: 'old' },
    });
    expect(envelope.data).not.toHaveProperty('name');
    const { etag } = await platform.manager.get(now, old.envelope.id, call);
    const changed = await platform.manager.patch(now, old.envelope.id, { label: 'new' }, etag, call);
    expect(changed.envelope).toMatchObject({
      revision: 2,
      schema_version: '1.0',
      data: { subject: 'Grace', label: 'new' },
    });
    expect(changed.envelope).not.toHaveProperty('stored_schema_version');
    const first = await platform.manager.getRevision(now, old.envelope.id, 1, call);
    expect(first.envelope).toMatchObject({ stored_schema_version: '0.9', checksum: old.envelope.checksum });
  });

  it('answers integrity-failure when sealed values were removed, or are none, and harms no other record', async () => {
    const type = TYPES.at(-1) as RecordType;
    const spoilt: readonly ((sealed: Record<string, string>) => unknown)[] = [
      () => undefined,
      () => ({}),
      () => [],
      () => null,
      () => 'sealed',
      ({ '/subject': subject }) => ({ '/subject': subject }),
      (sealed) => ({ ...sealed, '/subject': 7 }),
      ({ '/subject': one, '/notes/0/text': other }) => ({ '/subject': other, '/notes/0/text': one }),
    ];
    for (const spoil of spoilt) {
      const { envelope } = await platform.manager.create(type, type.example, call);
      const stored = await storedBlob(type, envelope.id, 1);
      const { table, key } = keyOf(type, envelope.id);
      const row = await storage.ports.tables.find(table, key, revisionKey(envelope.id, 1));
      const name = String(row?.properties['blob']);
      const changed = { ...stored, sealed: spoil(stored['sealed'] as Record<string, string>) };
      const bytes = Buffer.from(JSON.stringify(changed).padEnd(Number(row?.properties['length'])));
      await storage.ports.blobs.delete('records', name);
      await storage.ports.blobs.putOnce('records', name, bytes, 'application/json');
      await expect(testPlatform(storage.ports, { types: TYPES }).manager.get(type, envelope.id, call)).rejects.toMatchObject({ code: 'integrity-failure', evidence: { what: 'sealed' } }); // prettier-ignore
    }
  });

  it('gives values and salts from which anybody can recompute the checksum', async () => {
    const type = TYPES.at(-1) as RecordType;
    const { envelope } = await platform.manager.create(type, type.example, call);
    expect(Object.keys(envelope.salts ?? {}).sort()).toEqual(['/notes/0/text', '/subject']);
    expect(envelope.data).toMatchObject({ subject: 'Ada', notes: [{ text: 'secret note' }] });
  });

  function keyOf(type: RecordType, id: string): { table: string; key: string } {
    const ref = placeOf(type, 'default', id, type.example as RecordData);
    return { table: ref.table, key: partitionKey('default', ref.partition) };
  }

  async function storedBlob(
    type: RecordType,
    id: string,
    revision: number,
  ): Promise<Record<string, unknown>> {
    const { table, key } = keyOf(type, id);
    const row = await storage.ports.tables.find(table, key, revisionKey(id, revision));
    const blob = await storage.ports.blobs.find('records', String(row?.properties['blob']));
    return JSON.parse(Buffer.from(blob?.bytes ?? []).toString('utf8')) as Record<string, unknown>;
  }
});
