import { parseTilePath, TILE_WIDTH, tilePath } from '../../src/audit/log/tiles.js';
import type { StoragePorts } from '../../src/storage/ports.js';
import { readableFaults, seenIn, treeFaults, type Seen } from './published-log.js';
import { wrapPorts, type PortCall } from './wrap-ports.js';

/** Looks at logs whenever something of them is put or deleted, as a client would that is always there. */
export interface LogWatch {
  /** The storage under watch: what is beside it is not seen. */
  readonly ports: StoragePorts;
  /** Every checkpoint that was ever served, by tenant, in that order. */
  readonly seen: ReadonlyMap<string, readonly Seen[]>;
  /** What did not hold at that moment, in words. */
  readonly faults: readonly string[];
}

/** Watches the logs in a storage that answers at once, so that what is looked at is what the call left. */
export function watchLogs(storage: StoragePorts): LogWatch {
  const seen = new Map<string, Seen[]>();
  const faults: string[] = [];
  const { blobs } = storage;

  const look = async (tenant: string, note: string): Promise<void> => {
    const checkpoint = seenIn(tenant, note);
    if (typeof checkpoint === 'string') return void faults.push(checkpoint);
    const before = seen.get(tenant) ?? [];
    const last = before.at(-1);
    if (last !== undefined && last.size >= checkpoint.size)
      faults.push(`${tenant}: a checkpoint of ${checkpoint.size} follows one of ${last.size}`);
    seen.set(tenant, [...before, checkpoint]);
    const names = new Set(await namesOf(blobs, 'ledger', `${tenant}/tile/`));
    faults.push(
      ...readableFaults(tenant, checkpoint.size, (name) => names.has(name)),
      ...treeFaults(tenant, checkpoint, await leavesOf(blobs, tenant)),
    );
  };

  const dropped = async (tenant: string, path: string): Promise<void> => {
    const tile = parseTilePath(path);
    const full = tile === undefined ? '' : `${tenant}/${tilePath({ ...tile, width: TILE_WIDTH })}`;
    if (tile?.width === TILE_WIDTH || (await blobs.find('ledger', full)) === undefined)
      faults.push(`${tenant}: ${path} goes before there is more of it`);
  };

  const after = async ({ method, args }: PortCall): Promise<void> => {
    const [container, name, bytes] = args as [string, string, Uint8Array];
    if (container !== 'ledger') return;
    const [, tenant = '', path = ''] = /^([^/]+)\/(.*)$/.exec(name) ?? [];
    if (method === 'swap' && path === 'checkpoint') await look(tenant, Buffer.from(bytes).toString('utf8'));
    if (method === 'delete' && path.startsWith('tile/')) await dropped(tenant, path);
  };

  const ports = wrapPorts(storage, async (call, run) => {
    const answer = await run();
    if (call.port === 'blobs') await after(call);
    return answer;
  });
  return { ports, seen, faults };
}

/** Every checkpoint that was ever served must be of the log as it is now: then any two of them are consistent. */
export function servedFaults(
  { seen, faults }: LogWatch,
  leavesOf: (tenant: string) => readonly string[],
): string[] {
  const later = [...seen].flatMap(([tenant, all]) =>
    all.flatMap((one) => treeFaults(tenant, one, leavesOf(tenant))),
  );
  return [...faults, ...later];
}

async function namesOf(blobs: StoragePorts['blobs'], container: string, prefix: string): Promise<string[]> {
  const names: string[] = [];
  let next: string | undefined;
  do {
    const page = await blobs.list(container, prefix, next);
    names.push(...page.names);
    next = page.next;
  } while (next !== undefined);
  return names;
}

/** The whole lines of a tenant's streams, in order. */
async function leavesOf(blobs: StoragePorts['blobs'], tenant: string): Promise<string[]> {
  const lines: string[] = [];
  for (const name of await namesOf(blobs, 'audit', `${tenant}/`)) {
    const text = Buffer.from((await blobs.find('audit', name))?.bytes ?? []).toString('utf8');
    lines.push(...text.split('\n').slice(0, -1));
  }
  return lines;
}
