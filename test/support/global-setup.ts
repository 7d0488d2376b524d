import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { startAzurite } from '../../src/local/azurite.js';

const ACCOUNTS = 400;
/** Stands for the account's name in the connection string that tests get. */
export const ACCOUNT_PLACEHOLDER = 'accountnamehere';

declare module 'vitest' {
  interface ProvidedContext {
    azurite: {
      /** Connection string of any account, with `ACCOUNT_PLACEHOLDER` for its name. */
      readonly template: string;
      readonly accounts: readonly string[];
      /** Folder where a file named like an account says that it is taken. */
      readonly claims: string;
    };
  }
}

/** Runs once for the whole run: one emulator in memory, with an account for every suite that asks. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await build();
  const key = randomBytes(64).toString('base64');
  const accounts = Array.from({ length: ACCOUNTS }, (_, index) => `test${String(index).padStart(4, '0')}`);
  const claims = await mkdtemp(join(tmpdir(), 'business-records-accounts-'));
  const azurite = await startAzurite({ accounts: accounts.map((name) => ({ name, key })) });
  const template = azurite.connectionStringFor({ name: ACCOUNT_PLACEHOLDER, key });
  project.provide('azurite', { template, accounts, claims });
  return async () => {
    await azurite.stop();
    await rm(claims, { recursive: true, force: true });
  };
}

/** What tests need built before they run. Nothing yet: add steps here, they run before any test does. */
async function build(): Promise<void> {}
