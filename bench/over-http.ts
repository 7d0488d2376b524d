import { startChild, type Started } from './child.js';
import { FloorHttpSide } from './floor-http-side.js';
import { HostSide } from './host-side.js';
import type { Sides } from './rounds.js';
import { tenantOf } from './side.js';
import type { BenchTools } from './tools.js';

/** The local host in a process of its own, as `npm start` runs it. */
function startHost({ folder, temporary }: BenchTools, account: string): Promise<Started> {
  const main = JSON.stringify(`${folder}/src/local/main.js`);
  return startChild(`import { main } from ${main}; await main(${JSON.stringify(folder)});`, {
    PORT: '0',
    DATA_DIR: temporary,
    AzureWebJobsStorage: account,
    // The sweep is for hosts that died.
    SWEEP_SCHEDULE: '0 0 0 1 1 *',
    LOG_LEVEL: 'error',
    // The floor audits no reads.
    AUDIT_READS: process.env['AUDIT_READS'] ?? 'off',
  });
}

/** The floor's minimal server in a process of its own. */
function startFloor({ folder }: BenchTools, account: string): Promise<Started> {
  const server = JSON.stringify(`${folder}/bench/floor-server.js`);
  const tenant = JSON.stringify(tenantOf('ours', 0));
  return startChild(`import { serve } from ${server}; await serve(process.env.STORAGE, ${tenant});`, {
    STORAGE: account,
  });
}

/** Both sides behind HTTP, on an account of their own that holds some records. */
export async function openOverHttp(tools: BenchTools, records: number): Promise<Sides> {
  const account = await tools.storage.account();
  const [host, server] = await Promise.all([startHost(tools, account), startFloor(tools, account)]);
  const ours = new HostSide(host.baseUrl, account);
  const floor = new FloorHttpSide(server.baseUrl, (client) => ours.idOf(client));
  const close = async (): Promise<void> => {
    ours.close();
    floor.close();
    await Promise.all([host.stop(), server.stop()]);
  };
  if (records > 0) await ours.fill(records);
  return { ours, floor, close };
}
