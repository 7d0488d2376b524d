import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  createHttpHeaders,
  RestError,
  type PipelinePolicy,
  type PipelineRequest,
  type PipelineResponse,
} from '@azure/core-rest-pipeline';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { answerOf, faultOfAnswer, toFault } from '../../src/azure/faults.js';
import { openAzureStorage } from '../../src/azure/index.js';
import type { StorageFaultKind, StoragePorts } from '../../src/storage/ports.js';
import { useAzurite, type AzuriteAccount } from '../support/azurite.js';
import { expectFault } from '../support/expect-fault.js';

const TABLE = 'decisions';
const RECORDS = 'records';
const QUEUE = 'seal-work';
const bytes = new Uint8Array([1]);

type Interference = (
  request: PipelineRequest,
  next: () => Promise<PipelineResponse>,
) => Promise<PipelineResponse>;

const reset = (): RestError => new RestError('socket hang up', { code: 'ECONNRESET' });
const answer =
  (status: number, code?: string, body?: string): Interference =>
  async (request) => ({
    request,
    status,
    headers: createHttpHeaders(code === undefined ? {} : { 'x-ms-error-code': code }),
    bodyAsText: body ?? '',
  });

/** Every write of every port, by name; each has a name of its own to write. */
function writes(ports: StoragePorts): Record<string, () => Promise<unknown>> {
  const insert = (rowKey: string) => ({ kind: 'insert', rowKey, properties: {} }) as const;
  return {
    'a commit of one row': () => ports.tables.commit(TABLE, 'p', [insert('single')]),
    'a transaction': () => ports.tables.commit(TABLE, 'p', [insert('a'), insert('b')]),
    putOnce: () => ports.blobs.putOnce(RECORDS, 'once', bytes, 'text/plain'),
    swap: () => ports.blobs.swap(RECORDS, 'swapped', bytes, undefined),
    append: () => ports.blobs.append(RECORDS, 'stream', bytes, 0),
    send: () => ports.queues.send(QUEUE, 'text'),
  };
}

function reads(ports: StoragePorts): Record<string, () => Promise<unknown>> {
  return {
    'a point read': () => ports.tables.find(TABLE, 'p', 'r'),
    'a range read': () => ports.tables.range(TABLE, 'p', { from: 'a', to: 'b', limit: 1 }),
    'a blob read': () => ports.blobs.find(RECORDS, 'b'),
    'an append state': () => ports.blobs.appendState(RECORDS, 'b'),
    'a blob list': () => ports.blobs.list(RECORDS, ''),
    receive: () => ports.queues.receive(QUEUE, { limit: 1, hiddenS: 1 }),
  };
}

describe('faults of Azure', () => {
  let interfere: Interference | undefined;
  let sent = 0;
  const policy: PipelinePolicy = {
    name: 'interference',
    sendRequest(request, next) {
      sent++;
      return interfere === undefined ? next(request) : interfere(request, () => next(request));
    },
  };
  let storage: AzuriteAccount;

  beforeAll(async () => {
    storage = useAzurite({ additionalPolicies: [policy] });
    await storage.provision({ tables: [TABLE], containers: [RECORDS], queues: [QUEUE] });
    await storage.ports.blobs.createAppend(RECORDS, 'stream');
  });
  afterEach(() => {
    interfere = undefined;
  });
  afterAll(() => storage.close());

  const each = async (
    calls: (ports: StoragePorts) => Record<string, () => Promise<unknown>>,
    kind: StorageFaultKind,
    what: Interference,
  ): Promise<void> => {
    for (const [name, call] of Object.entries(calls(storage.ports))) {
      interfere = what;
      sent = 0;
      const fault = await expectFault(kind, call());
      expect(sent, `${name} is sent once: nothing retries`).toBe(1);
      expect(fault.message).toMatch(/^the (table|container|queue) \S+ /);
    }
  };

  it('calls a connection reset before the call happened unavailable, and sends once', async () => {
    await each(writes, 'unavailable', () => Promise.reject(reset()));
    await each(reads, 'unavailable', () => Promise.reject(reset()));
  });

  it.each([500, 502, 503, 504, 408, 429])(
    'calls an answer of %i unavailable, and sends once',
    async (status) => {
      await each(writes, 'unavailable', answer(status, 'ServerBusy'));
      await each(reads, 'unavailable', answer(status));
    },
  );

  it('calls an answer of 403 or 401 refused, never a missing row', async () => {
    for (const interference of [answer(403, 'AuthorizationFailure'), answer(403), answer(401)]) {
      await each(writes, 'refused', interference);
      await each(reads, 'refused', interference);
    }
    await each(reads, 'refused', answer(403, 'ResourceNotFound'));
  });

  it('calls a 404 that names nothing refused: it may come from a proxy', async () => {
    await each(reads, 'refused', answer(404));
  });

  it('calls an answer that cannot be read unavailable', async () => {
    interfere = answer(200, undefined, '{"odata');
    await expectFault('unavailable', storage.ports.tables.find(TABLE, 'p', 'r'));
    interfere = answer(
      202,
      undefined,
      '--batchresponse_1\r\n--changesetresponse_1\r\n\r\nHTTP/1.1 204 No Content',
    );
    await expectFault('unavailable', writes(storage.ports)['a transaction']?.() ?? Promise.resolve());
    interfere = answer(
      202,
      undefined,
      '--batchresponse_1\r\n--changesetresponse_1\r\n\r\nHTTP/1.1 409 Conflict\r\n\r\n{"odata.error":{"co',
    );
    await expectFault('unavailable', writes(storage.ports)['a transaction']?.() ?? Promise.resolve());
  });

  it('calls a connection reset after the write happened unavailable; the write is there', async () => {
    await each(writes, 'unavailable', async (_, next) => {
      await next();
      throw reset();
    });
    interfere = undefined;
    const { tables, blobs, queues } = storage.ports;
    for (const key of ['single', 'a', 'b']) expect(await tables.find(TABLE, 'p', key)).toBeDefined();
    for (const name of ['once', 'swapped']) expect(await blobs.find(RECORDS, name)).toBeDefined();
    expect(await blobs.appendState(RECORDS, 'stream')).toEqual({ length: 1, sealed: false });
    expect(await queues.receive(QUEUE, { limit: 1, hiddenS: 30 })).toHaveLength(1);
    await expectFault('exists', writes(storage.ports)['a transaction']?.() ?? Promise.resolve());
    await expectFault('position', writes(storage.ports)['append']?.() ?? Promise.resolve());
  });

  it('says which table, container or queue is not there', async () => {
    const { tables, blobs, queues } = storage.ports;
    const table = await expectFault('refused', tables.find('nosuchtable', 'p', 'r'));
    expect(table.message).toBe('the table nosuchtable does not exist');
    const container = await expectFault('refused', blobs.find('no-such-container', 'b'));
    expect(container.message).toBe('the container no-such-container does not exist');
    const queue = await expectFault('refused', queues.send('no-such-queue', 'text'));
    expect(queue.message).toBe('the queue no-such-queue does not exist');
  });

  it('refuses a wrong key, whatever is called', async () => {
    const wrong = storage.connectionString.replace(
      /AccountKey=[^;]+/,
      `AccountKey=${Buffer.alloc(64).toString('base64')}`,
    );
    const { ports, close } = openAzureStorage({ connectionString: wrong });
    for (const call of Object.values({ ...writes(ports), ...reads(ports) }))
      await expectFault('refused', call());
    close();
  });

  it('provisions again, and from several processes at once, without harm', async () => {
    const names = { tables: ['again'], containers: ['again'], queues: ['again'] };
    await Promise.all(Array.from({ length: 5 }, () => storage.provision(names)));
    await storage.provision(names);
    expect(await storage.ports.tables.find('again', 'p', 'r')).toBeUndefined();
  });
});

describe('a service that misbehaves', () => {
  let server: Server;
  let behave: RequestListener;
  let ports: StoragePorts;
  let close: () => void;

  beforeAll(async () => {
    server = createServer((request, response) => behave(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/account`;
    const connectionString = `DefaultEndpointsProtocol=http;AccountName=account;AccountKey=${Buffer.alloc(64).toString('base64')};BlobEndpoint=${url};QueueEndpoint=${url};TableEndpoint=${url};`;
    ({ ports, close } = openAzureStorage({ connectionString, tryMs: 300 }));
  });
  afterAll(() => {
    close();
    server.closeAllConnections();
    server.close();
  });

  const all = async (kind: StorageFaultKind): Promise<void> => {
    for (const call of Object.values({ ...writes(ports), ...reads(ports) })) await expectFault(kind, call());
  };

  it('is unavailable when it never answers, after the time of one try', async () => {
    behave = () => undefined;
    const started = performance.now();
    await expectFault('unavailable', ports.tables.find(TABLE, 'p', 'r'));
    expect(performance.now() - started).toBeLessThan(2_000);
    await all('unavailable');
  });

  it('is unavailable when it closes the connection', async () => {
    behave = (request) => request.socket.destroy();
    await all('unavailable');
  });

  it('is unavailable when a blob breaks off in the middle', async () => {
    behave = (_, response) => {
      response.writeHead(200, { 'content-length': '1000', etag: '"1"' });
      response.write('only this');
      setTimeout(() => response.destroy(), 20);
    };
    await expectFault('unavailable', ports.blobs.find(RECORDS, 'b'));
  });

  it('is unavailable when a blob stops coming', async () => {
    behave = (_, response) => {
      response.writeHead(200, { 'content-length': '1000', etag: '"1"' });
      response.write('only this');
    };
    await expectFault('unavailable', ports.blobs.find(RECORDS, 'b'));
  });

  it('gives the page after empty ones that only say to go on', async () => {
    let requests = 0;
    behave = (_, response) => {
      const row = {
        PartitionKey: 'p',
        RowKey: 'r',
        'odata.etag': 'W/"1"',
        Timestamp: '2026-01-01T00:00:00.1234567Z',
      };
      const goOn = { 'x-ms-continuation-nextpartitionkey': 'p', 'x-ms-continuation-nextrowkey': 'r' };
      const last = ++requests > 2;
      response.writeHead(200, { 'content-type': 'application/json', ...(last ? {} : goOn) });
      response.end(JSON.stringify({ value: last ? [row] : [] }));
    };
    const page = await ports.tables.range(TABLE, 'p', { from: 'a', to: 'z', limit: 5 });
    expect(page).toMatchObject({
      rows: [{ rowKey: 'r', timestampMs: Date.UTC(2026, 0, 1, 0, 0, 0, 123) }],
      more: false,
    });
    expect(requests).toBe(3);
  });
});

describe('an account spoken to as an identity', () => {
  it('sends a bearer token over HTTPS to each service of the account, and loads nothing before a call', async () => {
    const seen: { url: string; authorization: string | undefined }[] = [];
    const policy: PipelinePolicy = {
      name: 'record',
      sendRequest(request) {
        seen.push({ url: request.url, authorization: request.headers.get('authorization') });
        return Promise.reject(reset());
      },
    };
    let tokens = 0;
    const credential = {
      getToken: () => Promise.resolve({ token: `t${++tokens}`, expiresOnTimestamp: Date.now() + 3_600_000 }),
    };
    const { ports, close } = openAzureStorage({
      accountName: 'account',
      credential,
      additionalPolicies: [policy],
    });
    expect(tokens).toBe(0);
    for (const call of Object.values(writes(ports))) await expectFault('unavailable', call());
    const services = ['table', 'table', 'blob', 'blob', 'blob', 'queue'];
    expect(seen).toHaveLength(services.length);
    for (const [index, service] of services.entries()) {
      expect(seen[index]?.url).toContain(`https://account.${service}.core.windows.net/`);
      expect(seen[index]?.authorization).toMatch(/^Bearer t\d$/);
    }
    close();
  });
});

describe('the translation of answers', () => {
  it.each<[number, string | undefined, StorageFaultKind]>([
    [409, 'EntityAlreadyExists', 'exists'],
    [409, 'BlobAlreadyExists', 'exists'],
    [412, 'UpdateConditionNotSatisfied', 'conflict'],
    [412, 'ConditionNotMet', 'conflict'],
    [412, undefined, 'conflict'],
    [412, 'AppendPositionConditionNotMet', 'position'],
    [409, 'BlobIsSealed', 'sealed'],
    [409, 'BlobArchived', 'archived'],
    [409, 'BlobBeingRehydrated', 'archived'],
    [404, 'ResourceNotFound', 'missing'],
    [404, 'BlobNotFound', 'missing'],
    [404, 'TableNotFound', 'refused'],
    [404, 'ContainerNotFound', 'refused'],
    [404, 'QueueNotFound', 'refused'],
    [404, undefined, 'refused'],
    [403, 'AuthorizationPermissionMismatch', 'refused'],
    [403, 'BlobNotFound', 'refused'],
    [409, 'TableBeingDeleted', 'unavailable'],
    [409, 'SomethingNew', 'refused'],
    [400, 'InvalidInput', 'refused'],
    [400, 'EntityTooLarge', 'too-large'],
    [413, 'RequestBodyTooLarge', 'too-large'],
    [413, undefined, 'too-large'],
    [412, 'LeaseIdMissing', 'refused'],
    [500, 'OperationTimedOut', 'unavailable'],
    [500, undefined, 'unavailable'],
    [501, 'NotImplemented', 'refused'],
    [503, 'ServerBusy', 'unavailable'],
    [429, undefined, 'unavailable'],
    [416, 'InvalidRange', 'range'],
  ])('calls %i %s %s', (status, code, kind) => {
    expect(faultOfAnswer({ status, code }, 'table t').kind).toBe(kind);
  });

  it('calls what never got an answer unavailable, and our own mistake refused', () => {
    expect(toFault(reset(), 'table t').kind).toBe('unavailable');
    expect(toFault(new DOMException('late', 'TimeoutError'), 'table t').kind).toBe('unavailable');
    expect(toFault('a string', 'table t').kind).toBe('unavailable');
    expect(toFault(new TypeError('not a function'), 'table t').kind).toBe('refused');
    expect(toFault(new URIError('URI malformed'), 'table t').kind).toBe('refused');
    expect(toFault(new RestError('garbled', { code: 'PARSE_ERROR', statusCode: 200 }), 'table t').kind).toBe(
      'unavailable',
    );
    // Half of a 409 does not tell whether the row exists or has another version.
    expect(toFault(new RestError('garbled', { code: 'PARSE_ERROR', statusCode: 409 }), 'table t').kind).toBe(
      'unavailable',
    );
  });

  it('keeps the cause for logs, and a fault as it is', () => {
    const cause = new RestError('no', { statusCode: 404, code: 'BlobNotFound' });
    const fault = toFault(cause, 'container c');
    expect(fault).toMatchObject({ kind: 'missing', cause });
    expect(toFault(fault, 'container c')).toBe(fault);
    expect(answerOf(reset())).toBeUndefined();
  });
});
