import { AppError } from '../../domain/errors.js';
import { unchanging } from '../openapi/served.js';
import type { Answer, Input, Resource } from '../resource.js';

/** The page loads nothing from elsewhere and asks nobody but this platform, also when a script of it has been tampered with. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** `/docs`: the description of the API as a page. */
export const docsResource: Resource = { GET: { permission: 'docs', run: (input) => show(input, '') } };

/** `/docs/{file}`: what the page is made of. */
export const docsFileResource: Resource = {
  GET: { permission: 'docs', run: (input) => show(input, input.params['file'] ?? '') },
};

async function show(input: Input, name: string): Promise<Answer> {
  const { docsFile } = await import('../openapi/docs-files.js');
  const file = await docsFile(name);
  if (file === undefined) throw new AppError('record-not-found', 'There is no such file.');
  const caching = name === '' ? {} : { 'cache-control': 'public, max-age=86400' };
  return unchanging(input, file, {
    ...caching,
    'content-security-policy': POLICY,
    'referrer-policy': 'no-referrer',
  });
}
