import { createDocument, type CreateDocumentOptions } from 'zod-openapi';
import type { RecordType } from '../../domain/record-type.js';
import { API_BASE } from '../resource.js';
import { HEADERS, problemResponses } from './answers.js';
import { withCommitments } from './commitments.js';
import { erasurePaths } from './erasure-paths.js';
import { holdPaths } from './hold-paths.js';
import type { Paths } from './operation.js';
import { PARAMETERS } from './parameters.js';
import { platformPaths } from './platform-paths.js';
import { recordPaths } from './record-paths.js';
import { entryName, recordSchemas } from './record-schemas.js';

/** That of the package. */
export const API_VERSION = '0.1.0';

/** What `createDocument` returns. */
export type OpenApiDocument = ReturnType<typeof createDocument>;

const DESCRIPTION = `Every path, schema and example of a record type is made from its declaration.

Failures are problem documents (RFC 9457); the last part of \`type\` is a code. Of several that apply the first of 401, 429,
403, 415, 413, 400, 404, 428, 412, 422, 409 is the answer. A 4xx has stored nothing; after a 5xx repeat with the same
\`Idempotency-Key\`. A method that a path does not have is 405, a path that is not here 404.`;

const SECURITY_SCHEMES = {
  bearer: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: 'An access token of Microsoft Entra ID; not in development mode.',
  },
  developmentTenant: {
    type: 'apiKey',
    in: 'header',
    name: 'x-dev-tenant',
    description: 'Development mode only: the tenant; absent means `default`.',
  },
  developmentActor: {
    type: 'apiKey',
    in: 'header',
    name: 'x-dev-actor',
    description: 'Development mode only: who calls; absent means `developer`.',
  },
  developmentRoles: {
    type: 'apiKey',
    in: 'header',
    name: 'x-dev-roles',
    description: 'Development mode only: comma-separated roles; absent means all.',
  },
} as const;

const OPTIONS: CreateDocumentOptions = {
  // A declaration may transform what it takes in ways that no schema tells: then any JSON may come of it.
  allowEmptySchema: { pipe: true, transform: true, custom: true, union: true },
  override: ({ zodSchema, jsonSchema }) => {
    const { def } = zodSchema._zod;
    // The conversion leaves out the default of a value that is transformed.
    if (def.type === 'default') jsonSchema.default = def.defaultValue;
    // Any JSON or something else is any JSON.
    if (jsonSchema.anyOf?.some((option) => Object.keys(option).length === 0) === true)
      delete jsonSchema.anyOf;
  },
};

/** The OpenAPI 3.1 description of the API with these record types. Pure; 50 to 250 ms of work. */
export function buildDocument(types: readonly RecordType[]): OpenApiDocument {
  const described = types.map((type) => ({ type, schemas: recordSchemas(type) }));
  const records = described.flatMap(({ type, schemas }) => Object.entries(recordPaths(type, schemas)));
  const paths: Paths = {
    ...Object.fromEntries(records),
    ...platformPaths(),
    ...holdPaths(),
    ...erasurePaths(),
  };
  const document = createDocument(
    {
      openapi: '3.1.1',
      info: {
        title: 'Business records',
        version: API_VERSION,
        description: DESCRIPTION,
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: API_BASE }],
      tags: [
        ...types.map((type) => ({ name: type.collection, description: `Records of the type \`${type.recordType}\`.` })),
        { name: 'audit-events', description: 'The audit trail.' },
        { name: 'audit-log', description: 'The verifiable log of the audit trail (C2SP tlog-tiles).' },
        { name: 'operations', description: 'Writes that were promised.' },
        { name: 'erasures', description: 'Erasure of data subjects, and its certificates.' },
        { name: 'holds', description: 'Legal holds: what is neither deleted nor erased.' },
        { name: 'configuration', description: 'What a tenant sets for itself.' },
        { name: 'jobs', description: 'Work in the background.' },
        { name: 'platform', description: 'The platform itself.' },
      ], // prettier-ignore
      paths,
      components: {
        responses: problemResponses(),
        parameters: PARAMETERS,
        headers: HEADERS,
        securitySchemes: SECURITY_SCHEMES,
      },
    },
    OPTIONS,
  );
  for (const { type, schemas } of described) {
    const { sensitive = {}, shownAt } = type.parts ?? {};
    const ofEntries = Object.keys(sensitive);
    if (ofEntries.length > 0) showCommitments(document, entryName(schemas.name), ofEntries);
    const shown = shownAt === undefined ? [] : ofEntries.map((pattern) => `${shownAt}${pattern}`);
    const all = new Set([...Object.keys(type.sensitive), ...shown]);
    showCommitments(document, `${schemas.name}Data`, [...all]);
  }
  return document;
}

/** What is sensitive in the data of a type is shown as a commitment to those who may not see it. */
function showCommitments(document: OpenApiDocument, name: string, patterns: readonly string[]): void {
  const all = document.components?.schemas as Record<string, Record<string, unknown>> | undefined;
  const schema = all?.[name];
  if (all === undefined || schema === undefined) throw new TypeError(`the document has no ${name}`);
  all[name] = { ...withCommitments(schema, patterns) };
}
