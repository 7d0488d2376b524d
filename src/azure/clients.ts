import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Pipeline, PipelinePolicy } from '@azure/core-rest-pipeline';
import { TableClient, TableServiceClient } from '@azure/data-tables';
import type { TokenCredential } from '@azure/identity';
import { BlobServiceClient } from '@azure/storage-blob';
import { QueueServiceClient } from '@azure/storage-queue';
import { LIMITS } from '../domain/limits.js';
import { Wire } from './wire.js';

/** Where the storage is, and as whom to speak to it: by a key, or as the identity the process runs under. */
export type AzureAccount =
  | { readonly connectionString: string }
  | {
      readonly accountName: string;
      /** Endpoints other than the public cloud's. */
      readonly urls?: { readonly blob: string; readonly queue: string; readonly table: string };
      /** Client id of a user-assigned identity. */
      readonly clientId?: string;
      /** Instead of the identity the process runs under. */
      readonly credential?: TokenCredential;
    };

export type AzureStorageOptions = AzureAccount & {
  /** See every request as it goes out; tests inject faults here. */
  readonly additionalPolicies?: readonly PipelinePolicy[];
  /** Time for one call; `LIMITS.storageTryMs` unless told. */
  readonly tryMs?: number;
  /** Names in one page of a blob list; 5,000 unless told. */
  readonly listPage?: number;
};

export interface AzureClients {
  /** One client per table, made once. */
  table(name: string): TableClient;
  readonly tables: TableServiceClient;
  readonly blobs: BlobServiceClient;
  readonly queues: QueueServiceClient;
  /** For requests that we write ourselves. */
  readonly wires: { readonly tables: Wire; readonly blobs: Wire };
  readonly tryMs: number;
  readonly listPage: number;
  /** Closes idle connections. */
  close(): void;
}

/** Makes the SDK's clients. They never retry: the budget is spent in one place, `storage/backoff.ts`. */
export function makeClients(options: AzureStorageOptions): AzureClients {
  const agents = keepAliveAgents();
  const policies = [agents.policy, ...(options.additionalPolicies ?? [])];
  const tableOptions = {
    allowInsecureConnection: true,
    retryOptions: { maxRetries: 0 },
    additionalPolicies: policies.map((policy) => ({ policy, position: 'perRetry' as const })),
  };
  const { blobs, queues, tables, table } = connect(options, tableOptions);
  const pipelines = { blobs: pipelineOf(blobs), queues: pipelineOf(queues) };
  for (const pipeline of Object.values(pipelines)) {
    for (const policy of policies) pipeline.addPolicy(policy, { afterPhase: 'Sign' });
  }
  const byName = new Map<string, TableClient>();
  return {
    table(name) {
      const client = byName.get(name) ?? table(name);
      byName.set(name, client);
      return client;
    },
    tables,
    blobs,
    queues,
    wires: { tables: new Wire(tables.pipeline, tables.url), blobs: new Wire(pipelines.blobs, blobs.url) },
    tryMs: options.tryMs ?? LIMITS.storageTryMs,
    listPage: options.listPage ?? 5000,
    close: agents.close,
  };
}

type TableOptions = NonNullable<Parameters<typeof TableServiceClient.fromConnectionString>[1]>;
type Connected = Pick<AzureClients, 'blobs' | 'queues' | 'tables' | 'table'>;

function connect(options: AzureAccount, tableOptions: TableOptions): Connected {
  const once = { retryOptions: { maxTries: 1 } };
  if ('connectionString' in options) {
    const { connectionString } = options;
    return {
      blobs: BlobServiceClient.fromConnectionString(connectionString, once),
      queues: QueueServiceClient.fromConnectionString(connectionString, once),
      tables: TableServiceClient.fromConnectionString(connectionString, tableOptions),
      table: (name) => TableClient.fromConnectionString(connectionString, name, tableOptions),
    };
  }
  const credential = options.credential ?? lazyCredential(options.clientId);
  const url = (service: 'blob' | 'queue' | 'table'): string =>
    options.urls?.[service] ?? `https://${options.accountName}.${service}.core.windows.net`;
  // A token must never travel over plain HTTP.
  const secure = { ...tableOptions, allowInsecureConnection: false };
  return {
    blobs: new BlobServiceClient(url('blob'), credential, once),
    queues: new QueueServiceClient(url('queue'), credential, once),
    tables: new TableServiceClient(url('table'), credential, secure),
    table: (name) => new TableClient(url('table'), name, credential, secure),
  };
}

/** The identity library is large and slow to load: only when a token is asked for, and once. */
export function lazyCredential(clientId: string | undefined): TokenCredential {
  let made: Promise<TokenCredential> | undefined;
  const make = async (): Promise<TokenCredential> => {
    const { DefaultAzureCredential } = await import('@azure/identity');
    return new DefaultAzureCredential(clientId === undefined ? {} : { managedIdentityClientId: clientId });
  };
  return {
    async getToken(scopes, options) {
      made ??= make();
      return (await made).getToken(scopes, options);
    },
  };
}

function keepAliveAgents(): { policy: PipelinePolicy; close: () => void } {
  // Idle connections go before the service drops them, so that no request meets one just being closed.
  const settings = { keepAlive: true, maxSockets: 256, timeout: 30_000 };
  const http = new HttpAgent(settings);
  const https = new HttpsAgent(settings);
  return {
    policy: {
      name: 'keepAliveAgents',
      sendRequest(request, next) {
        // A proxy, where one is configured, has put its own agent here.
        request.agent ??= request.url.startsWith('https:') ? https : http;
        return next(request);
      },
    },
    close() {
      http.destroy();
      https.destroy();
    },
  };
}

/**
 * Blob and queue clients have no public way to add a policy once for a client and all clients made from it, or to send
 * a request of one's own; their shared pipeline is reached for here, and its absence noticed.
 */
function pipelineOf(client: object): Pipeline {
  const context = Reflect.get(client, 'storageClientContext') as { pipeline?: Pipeline } | undefined;
  if (typeof context?.pipeline?.addPolicy !== 'function')
    throw new Error('this version of the Azure SDK keeps its pipeline elsewhere');
  return context.pipeline;
}
