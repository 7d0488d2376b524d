import { Budget } from '../../storage/backoff.js';
import { BLOB_CONTAINERS } from '../../storage/keys.js';
import type { FsckTools } from './tools.js';

const PAGE = 1000;

/** Every tenant that the directory lists or that has a key, ascending: one that was dropped from the one is in the other. */
export async function tenantsOf({ directory, keyedTenantsAfter, clock, entropy }: FsckTools): Promise<readonly string[]> {
  const all = new Set(await new Budget(clock, entropy).retry(() => directory.tenants()));
  let page: readonly string[] = [];
  do {
    const after = page.at(-1);
    page = await new Budget(clock, entropy).retry(() => keyedTenantsAfter(after, PAGE));
    for (const tenant of page) all.add(tenant);
  } while (page.length === PAGE);
  return [...all].sort();
} // prettier-ignore

/** Whether there is anything of a tenant: it is listed, or has a blob. */
export async function isKnown(tools: FsckTools, tenant: string): Promise<boolean> {
  if ((await tenantsOf(tools)).includes(tenant)) return true;
  for (const container of Object.values(BLOB_CONTAINERS)) {
    const budget = new Budget(tools.clock, tools.entropy);
    const page = await budget.retry(() => tools.ports.blobs.list(container, `${tenant}/`));
    if (page.names.length > 0) return true;
  }
  return false;
}
