/**
 * Writes `docs/record-types/` from the record declarations; with `--check`, only says whether it is up to date. The
 * declarations are compiled on the fly, so that neither a stale build nor a broken file elsewhere changes the result.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import prettier from 'prettier';
import ts from 'typescript';
import { z } from 'zod';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const target = join(root, 'docs', 'record-types');
/** Inside the package, where its dependencies are found. */
const scratch = join(root, 'node_modules', '.cache', 'business-records', `generate-${process.pid}`);

/** The registered record types; `src/records` and `src/domain` import nothing else of this repository. */
async function loadTypes() {
  try {
    for (const folder of ['domain', 'records']) {
      mkdirSync(join(scratch, folder), { recursive: true });
      for (const name of readdirSync(join(root, 'src', folder)).filter((file) => file.endsWith('.ts'))) {
        const { outputText } = ts.transpileModule(readFileSync(join(root, 'src', folder, name), 'utf8'), {
          compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 },
        });
        writeFileSync(join(scratch, folder, name.replace(/\.ts$/, '.js')), outputText);
      }
    }
    writeFileSync(join(scratch, 'package.json'), '{ "type": "module" }');
    return (await import(pathToFileURL(join(scratch, 'records', 'registry.js')).href)).RECORD_TYPES;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

const code = (value) => `\`${value}\``;
const list = (values) => (values.length === 0 ? 'none' : values.map(code).join(', '));
const sorted = (object) => Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1));

const TIME = '2026-01-31T12:00:00.000Z';
const ID = 'dec_019b0000-0000-7000-8000-000000000000';

/**
 * What the conversion to JSON Schema leaves out: the default of a value that is transformed, and our refinements of
 * strings, which are found by trying.
 */
function refine({ zodSchema, jsonSchema }) {
  const { type, defaultValue } = zodSchema._zod.def;
  if (type === 'default') jsonSchema.default = defaultValue;
  if (jsonSchema.type !== 'string' || jsonSchema.enum !== undefined || jsonSchema.pattern !== undefined)
    return;
  const takes = (text) => zodSchema.safeParse(text).success;
  if (takes('x')) return;
  if (takes(TIME)) jsonSchema.format = 'date-time';
  if (takes(ID)) jsonSchema.format = 'record-id';
}

function jsonSchema(schema) {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', override: refine });
}

function typeOf(schema) {
  if (schema.enum !== undefined) return schema.enum.map(code).join(', ');
  if (schema.const !== undefined) return code(schema.const);
  if (schema.anyOf !== undefined) return schema.anyOf.map(typeOf).join(' or ');
  if (schema.type === 'array') return `list of ${typeOf(schema.items ?? {})}`;
  if (schema.type === 'object') return schema.properties === undefined ? 'free object' : 'object';
  if (schema.format === 'date-time') return 'time (RFC 3339)';
  if (schema.format === 'record-id') return 'record id';
  return schema.type ?? 'any JSON';
}

/** Bounds of a field, of a list first its length and then those of its items. */
function limitsOf(schema) {
  const limits = [];
  const number = (value) => value.toLocaleString('en-US');
  const range = (least, most, unit) => {
    if (least !== undefined && most !== undefined) limits.push(`${number(least)} to ${number(most)}${unit}`);
    else if (most !== undefined) limits.push(`at most ${number(most)}${unit}`);
    else if (least !== undefined) limits.push(`at least ${number(least)}${unit}`);
  };
  range(schema.minLength, schema.maxLength, ' characters');
  range(schema.minItems, schema.maxItems, ' items');
  range(schema.minimum, schema.maximum, '');
  if (schema.pattern !== undefined) limits.push(`matches ${code(schema.pattern)}`);
  if (schema.type === 'array' && schema.items?.type !== 'object')
    limits.push(...limitsOf(schema.items ?? {}).map((limit) => `each ${limit}`));
  return limits;
}

/** One row per field, those inside objects and lists by their path. */
function fieldRows(schema, prefix = '') {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const path = `${prefix}${name}`;
    const required = (schema.required ?? []).includes(name);
    const need = required
      ? 'yes'
      : field.default === undefined
        ? 'no'
        : `no, ${code(JSON.stringify(field.default))}`;
    const row = `| ${code(path)} | ${typeOf(field)} | ${need} | ${limitsOf(field).join('; ')} |`;
    const inner =
      field.type === 'array' ? fieldRows(field.items ?? {}, `${path}[].`) : fieldRows(field, `${path}.`);
    return [row, ...inner];
  });
}

function fieldTable(schema) {
  return [
    '| field | type | required, default | limits |',
    '| --- | --- | --- | --- |',
    ...fieldRows(jsonSchema(schema)),
  ];
}

const PARTITIONS = {
  'month-of-creation': (type) => `${code('YYYY-MM')} of ${code(type.orderedBy)}, UTC`,
  member: (type) => `${code(type.partition.member)}; ${code('lookups')} tells it by id`,
};
const orderOf = (type) =>
  type.orderedBy === undefined ? 'the time of the first write, which the id carries' : code(type.orderedBy);

function factsOf(type) {
  const ours = Object.keys(type.schema.shape).filter(
    (name) => !Object.keys(type.createSchema.shape).includes(name),
  );
  return [
    ['Collection', code(`/api/${type.collection}`)],
    ['Table', code(type.table)],
    [
      'Id',
      `${type.idField === undefined ? '' : `${code(type.idField)}: `}${code(`${type.idPrefix}_<UUIDv7>`)}`,
    ],
    ...(type.named === undefined
      ? []
      : [
          [
            'Name',
            `${code(type.named.member)}, unique in its partition: ${code(`PUT, GET /api/${type.collection}/{${type.partition.member}}/{${type.named.member}}`)}`,
          ],
        ]),
    ['Partition', PARTITIONS[type.partition.kind](type)],
    ['Lists are ordered by', `${orderOf(type)}, newest first`],
    ['Schema version', code(type.schemaVersion)],
    ['Upgraded from', list(type.migrations.map(({ from }) => from))],
    ['Set by the platform alone', list(ours)],
    ['Immutable', list(type.immutable)],
    [
      'Sensitive',
      sorted(type.sensitive)
        .map(([pointer, kind]) => `${code(pointer)} (${kind})`)
        .join(', ') || 'none',
    ],
  ].map(([name, value]) => `| ${name} | ${value} |`);
}

function transitionLines({ transitions }) {
  if (transitions === undefined) return [];
  const moves = Object.entries(transitions.moves).map(
    ([from, to]) => `| ${code(from)} | ${to.length === 0 ? 'final' : list(to)} |`,
  );
  return [
    `## Moves of ${code(transitions.field)}`,
    '',
    `| from | to |`,
    '| --- | --- |',
    ...moves,
    '',
    `Once it is final, only ${list(transitions.mutableWhenFinal)} may change.`,
    '',
  ];
}

function actionLines(type) {
  return Object.entries(type.actions).flatMap(([path, action]) => [
    `### ${code(`POST /api/${type.collection}/{id}/${path}`)}`,
    '',
    `In the audit trail: ${code(action.verb)}.`,
    '',
    ...fieldTable(action.input),
    '',
  ]);
}

function partLines({ collection, parts }) {
  if (parts === undefined) return [];
  return [
    '## Parts',
    '',
    `### ${code(`POST /api/${collection}/{id}/${parts.path}`)}`,
    '',
    `Adds an entry, never a revision; in the audit trail: ${code(parts.verb)}. A later entry of the same ${code(parts.nameMember)} stands for the earlier. ${code(`GET /api/${collection}/{id}/${parts.path}`)} pages through all of them, in order. Rows are in ${code(parts.table)}.`,
    '',
    ...fieldTable(parts.input),
    '',
    'For example:',
    '',
    '```json',
    JSON.stringify(parts.example, null, 2),
    '```',
    '',
  ];
}

function cacheLines({ cache }) {
  if (cache === undefined) return [];
  const minutes = cache.ttlMs / 60_000;
  const which = cache.when === undefined ? '' : ', of those that the declaration picks,';
  const time = `${minutes} minute${minutes === 1 ? '' : 's'}`;
  return [
    '## Read',
    '',
    `A read of the current record${which} may not yet show what another process wrote in the last ${time}, unless it is asked for with ${code('Cache-Control: no-cache')} ([what is kept in memory](../operating.md#what-is-kept-in-memory)).`,
    '',
  ];
}

function lifecycleLines({ tiers, retention }) {
  const steps = [
    ...(tiers.coolAfterDays === undefined ? [] : [`cool after ${tiers.coolAfterDays} days`]),
    ...(tiers.archiveAfterDays === undefined ? [] : [`archived after ${tiers.archiveAfterDays} days`]),
  ];
  const kept =
    retention === 'forever' ? 'kept for ever' : `kept ${retention.years} years from ${code(retention.from)}`;
  return ['## Lifecycle', '', `Declared: ${[...steps, kept].join('; ')}. No job carries this out yet.`, ''];
}

function pageOf(type) {
  const pairs = type.indexes
    .filter(({ fields }) => fields.length > 1)
    .map(({ fields }) => fields.map(code).join(' with '));
  const members = [
    'record_type',
    'id',
    'revision',
    'schema_version',
    'tier',
    'checksum',
    'created_at',
    'updated_at',
  ];
  return [
    `# ${type.recordType}`,
    '',
    `<!-- Generated by npm run generate. Change the declaration in src/records/, not this page. -->`,
    '',
    `| | |`,
    '| --- | --- |',
    ...factsOf(type),
    '',
    '## Create',
    '',
    ...fieldTable(type.createSchema),
    '',
    'For example:',
    '',
    '```json',
    JSON.stringify(type.example, null, 2),
    '```',
    '',
    ...cacheLines(type),
    '## List',
    '',
    `- Filters: ${list(type.filters)}, and ${code('from')}, ${code('to')} on ${orderOf(type)}.`,
    `- Answered by an index: each filter alone that has one, and ${pairs.length === 0 ? 'no pairs' : pairs.join('; ')}. Any other combination is filtered while reading, so its pages may be short.`,
    `- Indexes: ${list(type.allIndexes.map(({ name }) => name))}.`,
    `- A summary has ${list([...members, ...type.summary])}.`,
    '',
    ...transitionLines(type),
    ...(Object.keys(type.actions).length === 0 ? [] : ['## Actions', '', ...actionLines(type)]),
    ...partLines(type),
    ...lifecycleLines(type),
  ].join('\n');
}

function indexOf(types) {
  return [
    '# Record types',
    '',
    '<!-- Generated by npm run generate. -->',
    '',
    'Made from the declarations in `src/records/`; `npm run check:generated` holds them to it.',
    '',
    '| record type | collection | table | id |',
    '| --- | --- | --- | --- |',
    ...types.map(
      (type) =>
        `| [${type.recordType}](${type.recordType}.md) | ${code(type.collection)} | ${code(type.table)} | ${code(`${type.idPrefix}_…`)} |`,
    ),
    '',
  ].join('\n');
}

/** File name to content, formatted as everything else is. */
async function pages() {
  const types = [...(await loadTypes())].sort((a, b) => (a.recordType < b.recordType ? -1 : 1));
  const drafts = [
    ['README.md', indexOf(types)],
    ...types.map((type) => [`${type.recordType}.md`, pageOf(type)]),
  ];
  const style = await prettier.resolveConfig(join(target, 'README.md'));
  return Promise.all(
    drafts.map(async ([name, text]) => [name, await prettier.format(text, { ...style, parser: 'markdown' })]),
  );
}

function stored(name) {
  try {
    return readFileSync(join(target, name), 'utf8');
  } catch {
    return undefined;
  }
}

/** The first line that differs, both ways. */
function hint(before, after) {
  if (before === undefined) return 'is missing';
  const [old, fresh] = [before.split('\n'), after.split('\n')];
  const at = fresh.findIndex((line, number) => line !== old[number]);
  const line = at < 0 ? fresh.length : at;
  return `line ${line + 1}\n  - ${old[line] ?? ''}\n  + ${fresh[line] ?? ''}`;
}

const wanted = await pages();
mkdirSync(target, { recursive: true });
const stale = wanted.filter(([name, text]) => stored(name) !== text);
const extra = readdirSync(target).filter((name) => !wanted.some(([known]) => known === name));
const show = (name) => relative(root, join(target, name));

if (process.argv.includes('--check')) {
  for (const [name, text] of stale) console.error(`${show(name)}: ${hint(stored(name), text)}`);
  for (const name of extra) console.error(`${show(name)}: belongs to no record type`);
  if (stale.length + extra.length > 0) {
    console.error('Generated documentation is stale: run npm run generate.');
    process.exitCode = 1;
  }
} else {
  for (const [name, text] of stale) writeFileSync(join(target, name), text);
  for (const name of extra) rmSync(join(target, name));
  for (const name of [...stale.map(([first]) => first), ...extra]) console.log(show(name));
}
