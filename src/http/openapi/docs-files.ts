import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { API_BASE } from '../resource.js';
import { served, type Served } from './served.js';

/** What `/docs` consists of: a page of ours and files of swagger-ui-dist, none of which asks for anything elsewhere. */

const PAGE = `<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>Business records API</title>
    <link rel="icon" type="image/png" href="${API_BASE}/docs/favicon-32x32.png">
    <link rel="stylesheet" href="${API_BASE}/docs/swagger-ui.css">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="${API_BASE}/docs/swagger-ui-bundle.js"></script>
    <script src="${API_BASE}/docs/start.js"></script>
  </body>
</html>
`;

/** `validatorUrl`: left out, the page would ask a service on the internet for its opinion of the document. */
const START = `SwaggerUIBundle({
  url: '${API_BASE}/openapi.json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  docExpansion: 'none',
  validatorUrl: null,
});
`;

/** The only files there are, with their media types. */
const FILES: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
};

const known = new Map<string, Promise<Served>>([
  ['', Promise.resolve(served('text/html; charset=utf-8', Buffer.from(PAGE)))],
  ['start.js', Promise.resolve(served('text/javascript; charset=utf-8', Buffer.from(START)))],
]);

/** A file of the page by its name, the page itself by none; undefined for a name that is none of its files. */
export async function docsFile(name: string): Promise<Served | undefined> {
  const type = Object.hasOwn(FILES, name) ? FILES[name] : undefined;
  if (type === undefined) return known.get(name);
  const found = known.get(name) ?? readFile(join(folder(), name)).then((bytes) => served(type, bytes));
  known.set(name, found);
  // A file that could not be read is tried again by who asks next.
  found.catch(() => known.delete(name));
  return found;
}

/** Where the files are: beside the chunks of a bundled app (scripts/package.mjs), else in their own package. */
function folder(): string {
  const bundled = fileURLToPath(new URL('../swagger-ui/', import.meta.url));
  if (existsSync(bundled)) return bundled;
  return dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
}
