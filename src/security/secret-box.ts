import { createHmac } from 'node:crypto';
import type { Entropy } from '../domain/clock.js';
import type {
  SealedSecrets,
  SealingContext,
  Secret,
  SecretBox,
  Secrets,
  Subjects,
} from '../domain/commitment.js';
import { AppError, isAppError } from '../domain/errors.js';
import { NOBODY, type DataKey, type DataKeys } from './keys/data-keys.js';
import { openPayload, sealedPlace, sealPayload } from './sealed-payload.js';
import type { SealedV1 } from './sealed-v1.js';

const VERSION = 'v2';
const SEALED = /^v2\.([0-9a-f]{32}(?:\+[0-9a-f]{32})*)\.([A-Za-z0-9_-]+)$/;
/** Salt of the derivation: keys that are made from data keys for another purpose are others. */
const SALT = 'business-records/sealed/v2';

type Keys = Pick<DataKeys, 'ofSubjects' | 'byIds'>;

/**
 * Encrypts secrets with AES-256-GCM under the data keys of whom they are about (security.md, Sensitive fields). A sealed
 * value is `v2.<ids of the data keys, ascending, joined by +>.<base64url of nonce, ciphertext and tag>`. Each value has a
 * key of its own: HKDF-SHA-256 (RFC 5869) over all the data keys in the order of their ids, with tenant, type, id,
 * revision and pointer as info. So it takes all of them to open it, and no key ever sees more than a few nonces. The same
 * place is also the associated data.
 */
export class AesSecretBox implements SecretBox {
  /** `v1` opens what was sealed before there were data keys. */
  constructor(
    private readonly keys: Keys,
    private readonly v1: SealedV1,
    private readonly entropy: Entropy,
  ) {}

  /** Throws `storage-unavailable`, and `integrity-failure` when a key does not hold together. */
  async seal(context: SealingContext, secrets: Secrets, subjects: Subjects): Promise<SealedSecrets> {
    const about = new Map(Object.keys(secrets).map((pointer) => [pointer, named(subjects[pointer])]));
    const bySubject = await this.keys.ofSubjects(context.tenant, [...about.values()].flat());
    const ring = new Ring();
    const entries = Object.entries(secrets).map(([pointer, secret]) => {
      const place = sealedPlace(context, pointer);
      const keys = (about.get(pointer) ?? []).map((subject) => bySubject.get(subject) as DataKey);
      const ids = [...new Set(keys.map(({ id }) => id))].sort();
      const key = ring.contentKey(ids, keys, place);
      if (key === undefined) throw unreadable(context);
      return [pointer, `${VERSION}.${ids.join('+')}.${sealPayload(key, secret, place, this.entropy)}`];
    });
    return Object.fromEntries(entries) as SealedSecrets;
  }

  /** Reads the keys it needs all at once, each once. Throws as `SecretBox` says. */
  async open(context: SealingContext, sealed: SealedSecrets): Promise<Secrets> {
    const parsed = Object.entries(sealed).map(([pointer, text]) => ({ pointer, text, ...parse(text) }));
    const byId = await this.#keysOf(
      context,
      parsed.flatMap(({ ids }) => ids),
    );
    const ring = new Ring();
    const secrets: Record<string, Secret> = {};
    for (const { pointer, text, ids, payload } of parsed) {
      const keys = ids.map((id) => byId.get(id) as DataKey);
      if (keys.some(({ key }) => key === undefined)) continue;
      const place = sealedPlace(context, pointer);
      const key = ring.contentKey(ids, keys, place);
      const secret =
        key === undefined ? this.v1.open(context, pointer, text) : openPayload(key, payload, place);
      if (secret !== undefined) secrets[pointer] = secret;
      else if (!(await this.#destroyed(context, ids))) throw unreadable(context);
    }
    return secrets;
  }

  /**
   * Whether one of the keys has been destroyed since this process read it. What another process knew to be erased it has
   * carried on to other places, where it opens with no key (`domain/erased.ts`).
   */
  async #destroyed(context: SealingContext, ids: readonly string[]): Promise<boolean> {
    const keys = await this.#keysOf(context, ids, true);
    return [...keys.values()].some(({ key }) => key === undefined);
  }

  async #keysOf(
    context: SealingContext,
    ids: readonly string[],
    fresh = false,
  ): Promise<ReadonlyMap<string, DataKey>> {
    try {
      return await this.keys.byIds(context.tenant, ids, fresh);
    } catch (error) {
      // Whoever asked for the record is to be told which record it is.
      throw isAppError(error, 'integrity-failure') ? unreadable(context, error) : error;
    }
  }
}

/** What follows from one data key alone. It is forgotten with the key, and no later. */
const extractedOf = new WeakMap<DataKey, Buffer>();

/** Content keys of one call: what follows from the data keys alone is derived once. */
class Ring {
  readonly #extracted = new Map<string, Buffer>();

  /** HKDF-SHA-256, 32 bytes: one block of it. Undefined without keys, or where one of them was destroyed. */
  contentKey(ids: readonly string[], keys: readonly DataKey[], info: Buffer): Buffer | undefined {
    if (ids.length === 0 || keys.some(({ key }) => key === undefined)) return undefined;
    // Not `hkdfSync`: it takes twice as long, and no more than 1,024 bytes of info.
    return createHmac('sha256', this.#extract(ids, keys)).update(info).update(FIRST_BLOCK).digest();
  }

  #extract(ids: readonly string[], keys: readonly DataKey[]): Buffer {
    const name = ids.join('+');
    const inOrder = ids.map((id) => keys.find((one) => one.id === id) as DataKey);
    const first = inOrder[0] as DataKey;
    const known = inOrder.length === 1 ? extractedOf.get(first) : this.#extracted.get(name);
    if (known !== undefined) return known;
    const material = Buffer.concat(inOrder.map(({ key }) => key as Uint8Array));
    const extracted = createHmac('sha256', SALT).update(material).digest();
    if (inOrder.length === 1) extractedOf.set(first, extracted);
    else this.#extracted.set(name, extracted);
    return extracted;
  }
}

const FIRST_BLOCK = Buffer.from([1]);

function named(subjects: readonly string[] = []): readonly string[] {
  const names = subjects.filter((subject) => subject !== NOBODY);
  return names.length === 0 ? [NOBODY] : names;
}

/** No ids for what is of another version, or of none. */
function parse(text: string): { readonly ids: readonly string[]; readonly payload: string } {
  const [, ids = '', payload = ''] = SEALED.exec(text) ?? [];
  const list = ids === '' ? [] : ids.split('+');
  const ascending = list.every((id, at) => at === 0 || (list[at - 1] as string) < id);
  return ascending ? { ids: list, payload } : { ids: [], payload: '' };
}

function unreadable({ tenant, type, id, revision }: SealingContext, cause?: unknown): AppError {
  const key = isAppError(cause) ? cause.evidence['row'] : undefined;
  return new AppError('integrity-failure', 'A sealed value cannot be opened.', {
    evidence: { tenant, type, id, revision, what: 'sealed', ...(key === undefined ? {} : { key }) },
    cause,
  });
}
