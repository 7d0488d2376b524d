import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { storageNames } from '../../src/platform.js';
import { decisionType } from '../../src/records/decision.js';
import { killAll, run } from '../local/processes.js';
import { useAzurite, type AzuriteAccount } from '../support/azurite.js';
import { signingKeyPem, TEST_ORIGIN } from '../support/log-keys.js';
import { caller, testPlatform } from '../support/platform.js';
import { bundled } from './bundle.js';

describe('business-records fsck as a process, on Azurite', () => {
  const folder = mkdtempSync(join(tmpdir(), 'business-records-fsck-'));
  let azurite: AzuriteAccount;
  let bin: string;

  beforeAll(async () => {
    azurite = useAzurite();
    await azurite.provision(storageNames());
    const { manager, sealer } = testPlatform(azurite.ports);
    for (const tenant of ['default', 'other']) {
      const call = caller({ tenant });
      await manager.create(decisionType, { decision_type: 'strategic', title: 'First' }, call);
      await sealer.sealTenant(tenant);
    }
    bin = await bundled('src/cli/bin.ts', folder);
  });
  afterAll(() => {
    killAll();
    azurite.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function fsck(args: string[], env: NodeJS.ProcessEnv = {}) {
    const ended = run(folder, process.execPath, [bin, 'fsck', ...args], {
      AzureWebJobsStorage: azurite.connectionString,
      AUTH_MODE: 'development',
      CURSOR_KEY: Buffer.alloc(32, 1).toString('base64'),
      WRAPPING_KEY: Buffer.alloc(32, 2).toString('base64'),
      AUDIT_SIGNING_KEY: signingKeyPem(7),
      AUDIT_ORIGIN: TEST_ORIGIN,
      ...env,
    });
    return { code: await ended.exited, out: ended.out(), err: ended.err() };
  }
  const linesOf = (out: string): unknown[] =>
    out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);

  it('says that everything holds, of every tenant', async () => {
    const { code, out, err } = await fsck(['--json']);
    expect([code, err]).toEqual([0, 'default: begins\nother: begins\n']);
    const counted = { tenants: 2, findings: 0, repaired: 0, info: 0, untold: 0 };
    expect(linesOf(out)).toEqual([expect.objectContaining(counted)]);
  });

  // All that is held against it was written a moment ago: it does not wait for what is no finding.
  it('finds that a checkpoint is gone and nothing else, has it made again, and ends', async () => {
    await azurite.ports.blobs.delete('ledger', 'default/checkpoint');
    const where = 'ledger/default/checkpoint';
    const found = await fsck(['--json']);
    expect([found.code, found.err]).toEqual([1, 'default: begins\nother: begins\n']);
    expect(linesOf(found.out)).toEqual([
      { code: 'checkpoint.missing', tenant: 'default', where, detail: 'the head counts 1', repairable: true, level: 'error', repaired: false }, // prettier-ignore
      expect.objectContaining({ findings: 1, repaired: 0 }),
    ]);
    const repaired = await fsck(['--repair', '--tenant', 'default']);
    expect([repaired.code, repaired.err]).toEqual([0, 'default: begins\n']);
    expect(repaired.out).toBe(`mended checkpoint.missing   default: ${where}: the head counts 1\neverything holds; tenants: 1; 1 mended\n`); // prettier-ignore
    expect((await azurite.ports.blobs.find('ledger', 'default/checkpoint'))?.bytes.length).toBeGreaterThan(0);
    expect((await fsck([])).code).toBe(0);
  });

  it('cannot tell of a tenant who is not there, nor without what it needs', async () => {
    const unknown = await fsck(['--tenant', 'nobody']);
    expect([unknown.code, unknown.out]).toEqual([2, '']);
    expect(unknown.err).toBe('business-records: there is nothing of a tenant nobody in this storage\n');
    const unset = await fsck([], { CURSOR_KEY: '' });
    expect([unset.code, unset.out]).toEqual([2, '']);
    expect(unset.err).toContain('CURSOR_KEY');
  });

  it('repairs nothing with other keys than the storage was first used with', async () => {
    const CURSOR_KEY = Buffer.alloc(32, 9).toString('base64');
    expect((await fsck(['--repair'])).code).toBe(0);
    const refused = await fsck(['--repair'], { CURSOR_KEY });
    expect([refused.code, refused.out]).toEqual([2, '']);
    expect(refused.err).toContain('CURSOR_KEY');
  });
});
