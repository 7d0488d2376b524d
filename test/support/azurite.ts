import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { inject } from 'vitest';
import type { PipelinePolicy } from '@azure/core-rest-pipeline';
import { openAzureStorage, type AzureStorage } from '../../src/azure/index.js';
import { ACCOUNT_PLACEHOLDER } from './global-setup.js';

export interface AzuriteAccount extends AzureStorage {
  readonly connectionString: string;
}

export interface UseAzuriteOptions {
  readonly additionalPolicies?: readonly PipelinePolicy[];
  readonly tryMs?: number;
  readonly listPage?: number;
}

/** Takes an account of the run's emulator that nobody else, in any worker, has taken. */
function claimAccount(accounts: readonly string[], claims: string): string {
  for (const account of accounts) {
    try {
      closeSync(openSync(join(claims, account), 'wx'));
      return account;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  throw new Error('all accounts are taken: raise ACCOUNTS in test/support/global-setup.ts');
}

/** A storage account of one's own on the emulator, empty: nothing is provisioned in it. */
export function useAzurite(options: UseAzuriteOptions = {}): AzuriteAccount {
  const { template, accounts, claims } = inject('azurite');
  const connectionString = template.replaceAll(ACCOUNT_PLACEHOLDER, claimAccount(accounts, claims));
  return { connectionString, ...openAzureStorage({ connectionString, ...options }) };
}
