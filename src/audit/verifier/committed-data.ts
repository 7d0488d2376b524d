import canonicalize from 'canonicalize';
import { concat, fromBase64Url, toHex, utf8, type Malformed } from '../log/encoding.js';
import { sha256 } from './platform-crypto.js';

/** The one member of a commitment (domain/commitment.ts). */
export const COMMITMENT = '$commitment';
const SALT_BYTES = 32;
const MAX_SALTS = 10_000;
type Members = Readonly<Record<string, unknown>>;
type Path = readonly (string | number)[];

/** The committed form of data in which some sensitive values are shown, and where these and the others stand. */
export interface CommittedData {
  readonly committed: Members;
  readonly disclosed: readonly string[];
  readonly withheld: readonly string[];
}

export function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** RFC 8785 canonical JSON. Throws for what has none. */
export function canonical(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError('value has no canonical JSON form');
  return text;
}

/** Puts the commitment, hex SHA-256 of `salt || canonical JSON of the value`, in the place of each disclosed value. */
export async function committedForm(data: Members, salts: Members): Promise<CommittedData | Malformed> {
  const withheld: string[] = [];
  const fault = collectCommitments(data, '', withheld);
  if (fault !== undefined) return { malformed: fault };
  const disclosed = Object.keys(salts).sort();
  if (disclosed.length > MAX_SALTS) return { malformed: 'discloses too many values' };
  const committed = structuredClone(data) as Record<string, unknown>;
  for (const pointer of disclosed) {
    const salt = typeof salts[pointer] === 'string' ? fromBase64Url(salts[pointer]) : undefined;
    if (salt?.length !== SALT_BYTES) return { malformed: `has a salt for ${pointer} that is none` };
    const path = pathOf(pointer);
    if (path === undefined || path.includes(COMMITMENT))
      return { malformed: `names ${pointer}, which is not a JSON pointer to a value` };
    // Looked up where earlier ones are replaced already: one value inside another leads into a commitment.
    const place = placeOf(committed, path);
    if (place === undefined || holdsCommitment(place.value))
      return { malformed: `has a salt for ${pointer}, where no value is disclosed` };
    place.put({ [COMMITMENT]: toHex(await sha256(concat(salt, utf8(canonical(place.value))))) });
  }
  return { committed, disclosed, withheld };
}

/** RFC 6901, of at least one token; undefined for a text that is none, or not the one spelling of its path. */
function pathOf(pointer: string): readonly string[] | undefined {
  if (!pointer.startsWith('/') || /~(?![01])/.test(pointer)) return undefined;
  return pointer
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

interface Place {
  readonly value: unknown;
  put(value: unknown): void;
}

function placeOf(root: unknown, path: Path): Place | undefined {
  const [token = '', ...rest] = path;
  const key = Array.isArray(root) ? indexOf(String(token), root.length) : String(token);
  if (typeof root !== 'object' || root === null || key === undefined || !Object.hasOwn(root, key))
    return undefined;
  const holder = root as Record<string | number, unknown>;
  if (rest.length > 0) return placeOf(holder[key], rest);
  const put = (value: unknown): void =>
    void Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true });
  return { value: holder[key], put };
}

function indexOf(token: string, length: number): number | undefined {
  return /^(0|[1-9][0-9]{0,9})$/.test(token) && Number(token) < length ? Number(token) : undefined;
}

function holdsCommitment(value: unknown): boolean {
  const found: string[] = [];
  return collectCommitments(value, '', found) !== undefined || found.length > 0;
}

/** Adds the pointer of each commitment below `value`; what is wrong with one, or undefined. */
function collectCommitments(value: unknown, pointer: string, found: string[]): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (Object.hasOwn(value, COMMITMENT)) {
    const { [COMMITMENT]: hash, ...others } = value as Record<string, unknown>;
    const sound = typeof hash === 'string' && /^[0-9a-f]{64}$/.test(hash) && Object.keys(others).length === 0;
    if (!sound) return `has a commitment at ${pointer} that is none`;
    found.push(pointer);
    return undefined;
  }
  for (const [member, inner] of Object.entries(value)) {
    const fault = collectCommitments(inner, `${pointer}/${member.replaceAll('~', '~0').replaceAll('/', '~1')}`, found); // prettier-ignore
    if (fault !== undefined) return fault;
  }
  return undefined;
}
