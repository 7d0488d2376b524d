import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { parseId } from '../../src/domain/ids.js';
import type { RecordType } from '../../src/domain/record-type.js';
import { buildDocument, type OpenApiDocument } from '../../src/http/openapi/document.js';
import { RECORD_TYPES } from '../../src/records/registry.js';

/** An answer to be held against the description of the API. */
export interface Answered {
  readonly method: string;
  /** Below the base of the API, without query. */
  readonly path: string;
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

type Node = Readonly<Record<string, unknown>>;
/** Members from the root of the document to what is meant. */
type Place = readonly string[];

const ID = 'api';
const METHODS = ['get', 'put', 'post', 'patch', 'delete'];

/** Holds answers against an OpenAPI document. Validators are compiled when they are first needed. */
export class ApiContract {
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true });
  readonly #compiled = new Map<string, ValidateFunction>();
  /** Templates of paths, those with literal segments first. */
  readonly #templates: readonly string[];

  constructor(private readonly document: OpenApiDocument) {
    addFormats.default(this.#ajv);
    this.#ajv.addFormat('record-id', (text) => parseId(text) !== undefined);
    this.#ajv.addSchema({ ...document, $id: ID }, ID, undefined, false);
    this.#templates = Object.keys(document.paths ?? {}).sort((a, b) =>
      literalFirst(a) < literalFirst(b) ? -1 : 1,
    );
  }

  /** Every operation there is, as `GET /decisions/{id}`. */
  operations(): readonly string[] {
    return Object.entries(this.document.paths ?? {}).flatMap(([path, item]) =>
      METHODS.filter((method) => Object.hasOwn(item, method)).map(
        (method) => `${method.toUpperCase()} ${path}`,
      ),
    );
  }

  /** Throws an error that says what of an answer the document does not promise. */
  check(answer: Answered): void {
    const faults = this.#faultsOf(answer);
    if (faults.length === 0) return;
    const { method, path, status, text } = answer;
    throw new Error(
      [
        `${method} ${path} answered ${status}; /openapi.json does not say so:`,
        ...faults,
        text.slice(0, 2000),
      ].join('\n  '),
    );
  }

  /** What the document says against a body of a request. */
  bodyFaults(path: string, method: string, body: unknown): readonly string[] {
    const content = ['paths', path, method.toLowerCase(), 'requestBody', 'content'];
    const type = Object.keys(this.#at(content) ?? {})[0] ?? 'none';
    return this.#validate([...content, type, 'schema'], body);
  }

  /** Every operation with an example of its body, and what its own schema says against it. */
  examples(): readonly (readonly [operation: string, faults: readonly string[]])[] {
    return this.operations().flatMap((operation) => {
      const [method = '', path = ''] = operation.toLowerCase().split(' ');
      const content = this.#at(['paths', path, method, 'requestBody', 'content', 'application/json']);
      return content?.['example'] === undefined
        ? []
        : [[operation, this.bodyFaults(path, method, content['example'])] as const];
    });
  }

  #faultsOf(answer: Answered): readonly string[] {
    const template = this.#templates.find((one) => matches(one, answer.path)) ?? '';
    const operation = ['paths', template, answer.method.toLowerCase()];
    if (this.#at(operation) === undefined) return this.#faultsOfStranger(answer);
    const response = [...operation, 'responses', String(answer.status)];
    if (this.#at(response) === undefined) return ['the operation does not have this status'];
    const place = this.#resolve(response);
    return [...this.#faultsOfHeaders(place, answer), ...this.#faultsOfBody(place, answer)];
  }

  /** What is not described can only be refused. */
  #faultsOfStranger({ status, headers, text }: Answered): readonly string[] {
    if (status < 400) return ['there is no such operation'];
    if (mediaType(headers) !== 'application/problem+json') return ['a refusal is a problem document'];
    return this.#faultsOfJson(['components', 'schemas', 'Problem'], text);
  }

  #faultsOfHeaders(response: Place, { headers }: Answered): readonly string[] {
    return Object.keys(this.#at([...response, 'headers']) ?? {}).flatMap((name) => {
      const place = this.#resolve([...response, 'headers', name]);
      const value = headers[name.toLowerCase()];
      if (value === undefined)
        return this.#at(place)?.['required'] === true ? [`the header ${name} is missing`] : [];
      const isNumber = this.#at([...place, 'schema'])?.['type'] === 'integer';
      const faults = this.#validate([...place, 'schema'], isNumber ? Number(value) : value);
      return faults.map((fault) => `header ${name}${fault}`);
    });
  }

  #faultsOfBody(response: Place, { headers, text }: Answered): readonly string[] {
    const content = this.#at([...response, 'content']);
    if (content === undefined) return text === '' ? [] : ['there should be no body'];
    const type = mediaType(headers);
    if (content[type] === undefined) return [`${type} is not one of ${Object.keys(content).join(', ')}`];
    return type.endsWith('json') ? this.#faultsOfJson([...response, 'content', type, 'schema'], text) : [];
  }

  #faultsOfJson(schema: Place, text: string): readonly string[] {
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch {
      return ['the body is not JSON'];
    }
    return this.#validate(schema, body);
  }

  #validate(schema: Place, value: unknown): readonly string[] {
    const $ref = `${ID}#${schema.map((member) => `/${encodeURIComponent(pointerToken(member))}`).join('')}`;
    const validate = this.#compiled.get($ref) ?? this.#ajv.compile({ $ref });
    this.#compiled.set($ref, validate);
    if (validate(value)) return [];
    return (validate.errors ?? []).map(
      ({ instancePath, message = '', params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
    );
  }

  /** The place of what a reference refers to. */
  #resolve(place: Place): Place {
    const reference = this.#at(place)?.['$ref'];
    return typeof reference === 'string' ? reference.slice('#/'.length).split('/') : place;
  }

  #at(place: Place): Node | undefined {
    return place.reduce<Node | undefined>(
      (node, member) => node?.[member] as Node | undefined,
      this.document as unknown as Node,
    );
  }
}

const pointerToken = (member: string): string => member.replaceAll('~', '~0').replaceAll('/', '~1');

const literalFirst = (template: string): string => template.replace(/\{[^}]+\}/g, '~');

/** Whether a path is one of a template, as routing has it: decoded, and a slash at its end does not count. */
function matches(template: string, path: string): boolean {
  const parts = path.replace(/\/$/, '').split('/').map(decoded);
  const segments = template.split('/');
  return (
    parts.length === segments.length &&
    segments.every((segment, at) => (segment.startsWith('{') ? parts[at] !== '' : segment === parts[at]))
  );
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function mediaType(headers: Readonly<Record<string, string>>): string {
  return (headers['content-type'] ?? '').split(';')[0] ?? '';
}

const contracts = new WeakMap<readonly RecordType[], ApiContract>();

/** The contract of the API with these record types, made once for each list of them. */
export function contractOf(types: readonly RecordType[] = RECORD_TYPES): ApiContract {
  const contract = contracts.get(types) ?? new ApiContract(buildDocument(types));
  contracts.set(types, contract);
  return contract;
}
