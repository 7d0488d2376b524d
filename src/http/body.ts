import type { HttpRequest } from '@azure/functions';
import { AppError } from '../domain/errors.js';
import { parseJsonSource } from '../domain/json-source.js';

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
  return parseJsonSource(text, 'The body');
}

const UTF_8 = ['charset=utf-8', 'charset="utf-8"'];

function assertMediaType(request: HttpRequest, accepts: readonly string[]): void {
  const [type, ...parameters] = (request.headers.get('content-type') ?? '').split(';').map((part) => part.trim().toLowerCase()); // prettier-ignore
  const charsets = parameters.filter((parameter) => parameter.startsWith('charset='));
  const encoding = request.headers.get('content-encoding') ?? 'identity';
  if (!accepts.includes(type ?? '') || !charsets.every((charset) => UTF_8.includes(charset))) {
    throw new AppError('unsupported-media-type', `Send ${accepts.join(' or ')} in UTF-8.`);
  }
  if (encoding.toLowerCase() !== 'identity') {
    throw new AppError('unsupported-media-type', 'Send the body without content encoding.');
  }
}
