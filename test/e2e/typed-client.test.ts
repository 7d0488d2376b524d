import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import openapiTS, { astToString } from 'openapi-typescript';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { folderWith } from '../local/support.js';
import { killAll, removeFolders, start, stop, temporaryFolder, type Started } from './support.js';

/** What somebody writes who has nothing but the description of the API. */
const PROGRAM = `
import createClient from 'openapi-fetch';
import type { components, paths } from './api.js';

export type Decision = components['schemas']['Decision'];

export async function run(baseUrl: string) {
  const client = createClient<paths>({ baseUrl, headers: { 'x-dev-tenant': 'typed' } });

  const made = await client.POST('/decisions', {
    params: { header: { 'Idempotency-Key': 'typed-1' } },
    body: { decision_type: 'technical', title: 'Generate the client' },
  });
  if (made.data === undefined) throw new Error(made.error.detail);
  const id: string = made.data.id;

  const voted = await client.POST('/decisions/{id}/votes', {
    params: { path: { id } },
    body: { agent: 'cto', vote: 'approve', confidence: 0.9 },
  });
  if (voted.data === undefined) throw new Error(voted.error.detail);
  const confidence: number | undefined = voted.data.data.agent_votes[0]?.confidence;

  const listed = await client.GET('/decisions', {
    params: { query: { decision_type: 'technical', status: 'queued', limit: 10 } },
  });
  // Whoever asks for fields gets those alone, so that a title may be missing.
  const titles: (string | undefined)[] = listed.data?.items.map((item) => item.title) ?? [];

  const read = await client.GET('/decisions/{id}', { params: { path: { id } } });
  const decision: Decision | undefined = read.data;

  const patched = await client.PATCH('/decisions/{id}', {
    params: { path: { id }, header: { 'If-Match': read.response.headers.get('etag') ?? '' } },
    body: { status: 'in_progress', metadata: { by: 'typed' } },
  });
  const status: 'queued' | 'in_progress' | 'completed' | 'failed' | undefined = patched.data?.data.status;

  const refused = await client.GET('/decisions/{id}', { params: { path: { id: 'dec_none' } } });
  const code: string | undefined = refused.error?.type;

  const agent = await client.PUT('/agents/{role}/{agent_id}', {
    params: { path: { role: 'cfo', agent_id: 'cfo-1' } },
    body: { status: 'idle' },
  });
  return { id, confidence, titles, decision, status, code, load: agent.data?.data.current_load };
}
`;

/** Calls that nobody can make: each of these lines must fail to compile, or the directive itself does. */
const WRONG = `
import createClient from 'openapi-fetch';
import type { paths } from './api.js';

const client = createClient<paths>({ baseUrl: '' });
// @ts-expect-error there is no such type of decisions
await client.POST('/decisions', { body: { decision_type: 'whimsical', title: 'x' } });
// @ts-expect-error a decision needs a title
await client.POST('/decisions', { body: { decision_type: 'technical' } });
// @ts-expect-error its id is set by the server
await client.POST('/decisions', { body: { decision_type: 'technical', title: 'x', decision_id: 'dec_1' } });
// @ts-expect-error a vote has a confidence
await client.POST('/decisions/{id}/votes', { params: { path: { id: '1' } }, body: { agent: 'a', vote: 'approve' } });
// @ts-expect-error nothing can be filtered by its title
await client.GET('/decisions', { params: { query: { title: 'x' } } });
// @ts-expect-error decisions are not deleted
await client.DELETE('/decisions/{id}', { params: { path: { id: '1' } } });
// @ts-expect-error there is no such collection
await client.GET('/opinions');
// @ts-expect-error a patch names the revision that it changes
await client.PATCH('/decisions/{id}', { params: { path: { id: '1' } }, body: { status: 'failed' } });
const { data } = await client.GET('/decisions/{id}', { params: { path: { id: '1' } } });
// @ts-expect-error a revision is a number
export const text: string | undefined = data?.revision;
`;

const OPTIONS: ts.CompilerOptions = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noEmitOnError: false,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  target: ts.ScriptTarget.ES2023,
  lib: ['lib.es2023.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts'],
  types: [],
  skipLibCheck: true,
};

/** What the compiler says of a file, with what it imports; its JavaScript is put beside it. */
function compile(file: string): readonly string[] {
  const program = ts.createProgram([file], OPTIONS);
  const { diagnostics } = program.emit();
  return [...ts.getPreEmitDiagnostics(program), ...diagnostics].map(
    ({ file: where, start: at = 0, messageText }) => {
      const line = where === undefined ? 0 : where.getLineAndCharacterOfPosition(at).line + 1;
      return `${line}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
    },
  );
}

describe('a client that is generated from /openapi.json', () => {
  let platform: Started;
  let folder: string;

  beforeAll(async () => {
    platform = await start({ DATA_DIR: temporaryFolder() }, 'node');
    const document = (await (await fetch(`${platform.baseUrl}/openapi.json`)).json()) as object;
    // A default makes a member of an answer certain, and one of a request unnecessary: `required` says it all.
    const types = await openapiTS(JSON.stringify(document), { defaultNonNullable: false });
    folder = folderWith({
      'package.json': '{ "type": "module" }',
      'api.ts': astToString(types),
      'program.ts': PROGRAM,
      'wrong.ts': WRONG,
    });
  }, 180_000);

  afterAll(async () => {
    if (platform !== undefined) await stop(platform);
    killAll();
    removeFolders();
  }, 60_000);

  it('compiles, and speaks to the platform it was generated from', async () => {
    expect(compile(join(folder, 'program.ts'))).toEqual([]);
    const module = (await import(pathToFileURL(join(folder, 'program.js')).href)) as {
      run(baseUrl: string): Promise<Record<string, unknown>>;
    };
    const done = await module.run(platform.baseUrl);
    expect(done).toMatchObject({
      confidence: 0.9,
      titles: ['Generate the client'],
      decision: { id: done['id'], revision: 2, data: { status: 'queued', created_by: 'developer' } },
      status: 'in_progress',
      code: 'urn:business-records:errors#record-not-found',
      load: 0,
    });
  }, 60_000);

  it('does not compile where it is used in a way that the API does not have', () => {
    expect(compile(join(folder, 'wrong.ts'))).toEqual([]);
    const unmarked = WRONG.replaceAll(/^\/\/ @ts-expect-error.*$/gm, '');
    writeFileSync(join(folder, 'unmarked.ts'), unmarked);
    const faults = compile(join(folder, 'unmarked.ts')).map((fault) => fault.split(':')[0]);
    expect(new Set(faults).size).toBe(WRONG.match(/@ts-expect-error/g)?.length);
  }, 60_000);

  it('finds the page of documentation beside it, byte for byte', async () => {
    const page = await fetch(`${platform.baseUrl}/docs`);
    expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    const assets = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
    for (const name of ['swagger-ui-bundle.js', 'swagger-ui.css', 'favicon-32x32.png']) {
      const file = await fetch(`${platform.baseUrl}/docs/${name}`);
      expect(Buffer.from(await file.arrayBuffer()).equals(readFileSync(join(assets, name))), name).toBe(true);
    }
  });
});
