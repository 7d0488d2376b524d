import type { PipelineResponse } from '@azure/core-rest-pipeline';
import { StorageFault, type BlobContent } from '../storage/ports.js';
import type { Wire } from './wire.js';

const VERSION = '2024-11-04';
const BASE = { accept: 'application/xml', 'x-ms-version': VERSION };

/** Condition under which a blob is written: that there is none, or that it is this version. */
export type BlobCondition = { readonly ifNoneMatch: '*' } | { readonly ifMatch: string };

/** Writes a whole blob in one request; resolves to its version. */
export async function upload(
  wire: Wire,
  container: string,
  name: string,
  blob: { readonly bytes: Uint8Array; readonly contentType: string },
  condition: BlobCondition,
  abortSignal: AbortSignal,
): Promise<string> {
  const { buffer, byteOffset, byteLength } = blob.bytes;
  const headers = {
    ...BASE,
    'content-type': 'application/octet-stream',
    'x-ms-blob-type': 'BlockBlob',
    'x-ms-blob-content-type': blob.contentType,
    ...('ifMatch' in condition
      ? { 'if-match': condition.ifMatch }
      : { 'if-none-match': condition.ifNoneMatch }),
  };
  const body = Buffer.from(buffer, byteOffset, byteLength);
  const request = { method: 'PUT', path: pathOf(container, name), headers, body } as const;
  const response = await wire.send(request, [201], `container ${container}`, abortSignal);
  const etag = response.headers.get('etag');
  if (etag === undefined) throw new StorageFault('unavailable', 'the blob did not tell its version');
  return etag;
}

/** Reads a blob, or a range of it, in one request; a body that breaks off is `unavailable`, never a short blob. */
export async function download(
  wire: Wire,
  container: string,
  name: string,
  range: { readonly offset: number; readonly length: number } | undefined,
  abortSignal: AbortSignal,
): Promise<BlobContent> {
  const asked = range && { 'x-ms-range': `bytes=${range.offset}-${range.offset + range.length - 1}` };
  const request = {
    method: 'GET',
    path: pathOf(container, name),
    headers: { ...BASE, ...asked },
    streamed: [200, 206],
  } as const;
  const response = await wire.send(request, request.streamed, `container ${container}`, abortSignal);
  const bytes = await bytesOf(response);
  const etag = response.headers.get('etag');
  const length = response.headers.get('content-length');
  if (etag === undefined || (length !== undefined && bytes.length !== Number(length)))
    throw new StorageFault('unavailable', 'the blob did not come whole');
  // Azure refuses a range that begins beyond the end (416); the emulator answers with nothing.
  if (range !== undefined && bytes.length === 0)
    throw new StorageFault('range', 'the range begins beyond the end of the blob');
  return { bytes, etag };
}

async function bytesOf({ readableStreamBody }: PipelineResponse): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of readableStreamBody ?? []) chunks.push(chunk as unknown as Uint8Array);
  } catch (error) {
    throw new StorageFault('unavailable', 'the blob broke off', { cause: error });
  }
  return new Uint8Array(Buffer.concat(chunks));
}

function pathOf(container: string, name: string): string {
  return `${container}/${name.split('/').map(encodeURIComponent).join('/')}`;
}
