import type { HttpRequest } from '@azure/functions';
import { AppError } from '../domain/errors.js';

/**
 * Reads a JSON body. Throws, in this order: `unsupported-media-type`, `payload-too-large`, `request-malformed`
 * (http-api.md: 415 before 413 before 400). The body is read to its end by the host, so that the answer arrives.
 */
export async function readJson(
  request: HttpRequest,
  accepts: readonly string[],
  limit: number,
): Promise<unknown> {
  assertMediaType(request, accepts);
  const bytes = new Uint8Array(await request.arrayBuffer());
  if (bytes.length > limit) {
    throw new AppError('payload-too-large', `The body is larger than ${String(limit)} bytes.`);
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new AppError('request-malformed', 'The body is not UTF-8.', { cause });
  }
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // The parser's message quotes the body, so it is not passed on, not even as a cause.
    throw new AppError('request-malformed', 'The body is not JSON.');
  }
}

function assertMediaType(request: HttpRequest, accepts: readonly string[]): void {
  const [type, ...parameters] = (request.headers.get('content-type') ?? '').split(';').map((part) => part.trim().toLowerCase()); // prettier-ignore
  const charset = parameters.find((parameter) => parameter.startsWith('charset='))?.slice('charset='.length);
  const encoding = request.headers.get('content-encoding') ?? 'identity';
  if (!accepts.includes(type ?? '') || !['utf-8', '"utf-8"', undefined].includes(charset)) {
    throw new AppError('unsupported-media-type', `Send ${accepts.join(' or ')} in UTF-8.`);
  }
  if (encoding.toLowerCase() !== 'identity') {
    throw new AppError('unsupported-media-type', 'Send the body without content encoding.');
  }
}
