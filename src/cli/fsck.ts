import { fsckTenant, NOTHING, sum, type FsckResult } from '../audit/fsck/fsck.js';
import { isKnown, tenantsOf } from '../audit/fsck/tenants.js';
import type { Finding } from '../audit/fsck/findings.js';
import { isTenant, SYSTEM_TENANT } from '../storage/keys.js';
import { CannotTell, EXIT, printable, type CliIo, type ExitCode } from './io.js';

export interface FsckArguments {
  readonly tenant?: string;
  readonly repair?: boolean;
  readonly json?: boolean;
  readonly open?: boolean;
}

type Reported = Finding & { readonly repaired: boolean };

/**
 * `fsck`: walks the storage of one tenant or of all and holds everything in it against everything that follows from it
 * (audit-ledger.md, Checking). Prints findings as they become sure, as lines or as lines of JSON. Throws CannotTell,
 * `storage-unavailable`.
 */
export async function fsck(args: FsckArguments, io: CliIo): Promise<ExitCode> {
  const { tenant, repair = false, json = false, open = false } = args;
  if (tenant !== undefined && tenant !== SYSTEM_TENANT && !isTenant(tenant))
    throw new CannotTell('--tenant is not the name of a tenant');
  const storage = await io.openFsck({ open, repair });
  try {
    if (tenant !== undefined && !(await isKnown(storage.tools, tenant)))
      throw new CannotTell(`there is nothing of a tenant ${tenant} in this storage`);
    const tenants = tenant === undefined ? await tenantsOf(storage.tools) : [tenant];
    let all = NOTHING;
    for (const one of tenants) {
      io.complain(`${one}: begins\n`);
      const result = await fsckTenant(storage.tools, one, {
        repair,
        report: (finding) => io.out(json ? `${JSON.stringify(finding)}\n` : lineOf(finding)),
        progress: (said) => io.complain(`${printable(said)}\n`),
      });
      all = sum(all, result);
    }
    io.out(
      json ? `${JSON.stringify({ tenants: tenants.length, ...all })}\n` : summaryOf(tenants.length, all),
    );
    return all.findings === 0 ? EXIT.yes : EXIT.no;
  } finally {
    await storage.close();
  }
}

function lineOf({ code, tenant, where, detail, repairable, level, repaired }: Reported): string {
  const what = repaired ? 'mended' : level === 'info' ? 'info' : 'FOUND';
  const can = repairable && !repaired ? ' (--repair mends it)' : '';
  return `${what.padEnd(7)}${code.padEnd(20)} ${printable(tenant)}: ${printable(where)}: ${printable(detail)}${can}\n`;
}

function summaryOf(tenants: number, { findings, repaired, info, untold }: FsckResult): string {
  const verdict = findings === 0 ? 'everything holds' : `${String(findings)} findings`;
  const rest = [
    ...(repaired === 0 ? [] : [`${String(repaired)} mended`]),
    ...(info === 0 ? [] : [`${String(info)} for information`]),
    ...(untold === 0 ? [] : [`${String(untold)} of them not printed`]),
  ];
  return `${[verdict, `tenants: ${String(tenants)}`, ...rest].join('; ')}\n`;
}
