import {
  createDefaultHttpClient,
  createHttpHeaders,
  createPipelineRequest,
  type Pipeline,
  type PipelineResponse,
} from '@azure/core-rest-pipeline';
import { faultOfAnswer } from './faults.js';

/**
 * Requests that we write and read ourselves and send through the SDK's own pipelines, which sign them and do all else
 * that a policy does. Transactions go this way because the SDK cannot say all that they need to (`table-batch.ts`);
 * point and range reads and whole blobs because its clients, serializers and wrappers take as long as everything else
 * about such a call together (`docs/performance.md`).
 */
export interface WireRequest {
  readonly method: 'GET' | 'POST' | 'PUT';
  /** Below the endpoint, encoded. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** Statuses whose body is bytes and comes as a stream; any other is read as text. */
  readonly streamed?: readonly number[];
}

/** The service's URL without what a SAS adds to it. */
export function rootOf(endpoint: string): string {
  return (endpoint.split('?')[0] as string).replace(/\/$/, '');
}

/** One of the account's services. */
export class Wire {
  readonly #http = createDefaultHttpClient();

  /** `endpoint` is the service's URL, perhaps with a SAS. */
  constructor(
    private readonly pipeline: Pipeline,
    private readonly endpoint: string,
  ) {}

  /** `what` names the thing that is called. Throws the fault that another status than the expected ones stands for. */
  async send(
    request: WireRequest,
    expected: readonly number[],
    what: string,
    abortSignal: AbortSignal,
  ): Promise<PipelineResponse> {
    const { method, path, query, headers, body, streamed } = request;
    const root = rootOf(this.endpoint);
    const asked = Object.entries(query ?? {}).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
    const search = [...asked, ...this.endpoint.split('?').slice(1)].join('&');
    const sent = createPipelineRequest({
      url: `${root}/${path}${search === '' ? '' : `?${search}`}`,
      method,
      headers: createHttpHeaders(headers),
      ...(body === undefined ? {} : { body }),
      ...(streamed === undefined ? {} : { streamResponseStatusCodes: new Set(streamed) }),
      abortSignal,
      allowInsecureConnection: root.startsWith('http:'),
    });
    const response = await this.pipeline.sendRequest(this.#http, sent);
    if (expected.includes(response.status)) return response;
    const code = response.headers.get('x-ms-error-code') ?? errorCode(response.bodyAsText ?? '');
    throw faultOfAnswer({ status: response.status, code }, what);
  }
}

/** The code in an error: of OData in JSON, with or without a multipart around it, or of the blob service in XML. */
export function errorCode(text: string): string | undefined {
  return (
    /"odata\.error"\s*:\s*\{\s*"code"\s*:\s*"([^"]+)"/.exec(text)?.[1] ??
    /^\s*(?:<\?xml[^>]*>)?\s*<Error>\s*<Code>(\w+)<\/Code>/.exec(text)?.[1]
  );
}
