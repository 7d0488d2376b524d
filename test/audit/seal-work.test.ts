import { describe, expect, it } from 'vitest';
import { sealWorkSchema, sealWorkText } from '../../src/audit/seal-work.js';

describe('a request to seal', () => {
  it('names a tenant, or the reserved one', () => {
    for (const tenant of ['acme', 'a-0', '_system', 'x'.repeat(63)]) {
      const work = JSON.parse(sealWorkText(tenant)) as unknown;
      expect(sealWorkSchema.parse(work)).toEqual({ schema_version: '1.0', tenant });
    }
  });

  it.each(['', 'Acme', 'acme:2026-01', 'acme/head', '_systems', '_other', 'x'.repeat(64), 'acme\n'])(
    'does not name %j',
    (tenant) => {
      expect(sealWorkSchema.safeParse({ schema_version: '1.0', tenant }).success).toBe(false);
    },
  );

  it('is of this version, and says nothing else', () => {
    expect(sealWorkSchema.safeParse({ schema_version: '2.0', tenant: 'acme' }).success).toBe(false);
    expect(sealWorkSchema.safeParse({ schema_version: '1.0', tenant: 'acme', more: 1 }).success).toBe(false);
  });
});
