import type { BlobClient } from '@azure/storage-blob';
import { StorageFault, type BlobContent } from '../storage/ports.js';

/** Reads a blob, or a range of it, in one request; a body that breaks off is `unavailable`, never a short blob. */
export async function download(
  blob: BlobClient,
  range: { readonly offset: number; readonly length: number } | undefined,
  abortSignal: AbortSignal,
): Promise<BlobContent> {
  const options = { abortSignal, maxRetryRequests: 0 };
  const { readableStreamBody, contentLength, etag } = await blob.download(
    range?.offset,
    range?.length,
    options,
  );
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of readableStreamBody ?? []) chunks.push(chunk as unknown as Uint8Array);
  } catch (error) {
    throw new StorageFault('unavailable', 'the blob broke off', { cause: error });
  }
  const bytes = new Uint8Array(Buffer.concat(chunks));
  if (etag === undefined || (contentLength !== undefined && bytes.length !== contentLength))
    throw new StorageFault('unavailable', 'the blob did not come whole');
  // Azure refuses a range that begins beyond the end (416); the emulator answers with nothing.
  if (range !== undefined && bytes.length === 0)
    throw new StorageFault('range', 'the range begins beyond the end of the blob');
  return { bytes, etag };
}
