import { z } from 'zod';
import { BLOB_CONTAINERS, SYSTEM_TENANT } from '../../storage/keys.js';
import { isFault, type BlobStore } from '../../storage/ports.js';
import { ledgerBroken } from '../ledger-state.js';
import { parseCheckpoint, type Checkpoint } from '../log/checkpoint.js';
import { isMalformed } from '../log/encoding.js';
import { parseNote, type Note } from '../log/note-format.js';

/** What anchoring remembers, as blobs of the container `ledger`, each replaced under its ETag. */
const VERSION = '1.0';
const CONTAINER = BLOB_CONTAINERS.ledger;

const count = z.number().int().nonnegative();

/** An entry of the platform log that is sealed. */
const sealedEntry = z.strictObject({
  /** Leaves of the tenant's log that the entry's checkpoint is of. */
  tree_size: count,
  /** The exact bytes of the entry, as text. */
  event: z.string().min(2),
  /** Its position in the platform log. */
  leaf_index: count,
});

/** `<tenant>/anchor`: the checkpoint of the tenant that was given to the platform log last, and the one before it. */
const tenantAnchor = z.strictObject({
  schema_version: z.literal(VERSION),
  /** Whose event this is to become, or became: written before the event is, so that it enters once. */
  latest: z.strictObject({
    event_id: z.string().min(1),
    timestamp_ms: count,
    /** The signed note. */
    checkpoint: z.string().min(1),
    sealed: sealedEntry.optional(),
  }),
  /** The last entry that the published checkpoint of the platform log covered. */
  covered: sealedEntry.optional(),
});

/** `_system/published`: the checkpoint of the platform log that anchors are proven under. */
const published = z.strictObject({
  schema_version: z.literal(VERSION),
  /** The how manieth it is. */
  number: z.number().int().positive(),
  /** The signed note, with the cosignatures of the witness. */
  checkpoint: z.string().min(1),
  /** The number of the one that was copied last, 0 for none. */
  copied: count,
});

export type SealedEntry = z.infer<typeof sealedEntry>;
export type TenantAnchor = Omit<z.infer<typeof tenantAnchor>, 'schema_version'>;
export type Published = Omit<z.infer<typeof published>, 'schema_version'>;

/** A state and the version of the blob that holds it. */
export interface Stored<T> {
  readonly state: T;
  readonly etag: string;
}

/** A checkpoint in its note. Who signed it is not looked at. */
export interface OpenCheckpoint extends Checkpoint {
  readonly note: string;
  readonly opened: Note;
}

/** Takes a stored checkpoint apart. Throws `integrity-failure` for what is none. */
export function openCheckpoint(tenant: string, note: string): OpenCheckpoint {
  const opened = parseNote(note);
  const checkpoint = isMalformed(opened) ? opened : parseCheckpoint(opened.text);
  if (isMalformed(opened) || isMalformed(checkpoint)) throw ledgerBroken(tenant, 'an anchor has no checkpoint'); // prettier-ignore
  return { ...checkpoint, note, opened };
}

/** Reads and writes what anchoring remembers. Never retries. Faults: `unavailable`; throws `integrity-failure`. */
export class AnchorStore {
  constructor(private readonly blobs: BlobStore) {}

  findTenant(tenant: string): Promise<Stored<TenantAnchor> | undefined> {
    return this.#find(tenant, `${tenant}/anchor`, tenantAnchor);
  }

  /** False when somebody else was faster. */
  replaceTenant(tenant: string, state: TenantAnchor, etag: string | undefined): Promise<boolean> {
    return this.#swap(`${tenant}/anchor`, { schema_version: VERSION, ...state }, etag);
  }

  findPublished(): Promise<Stored<Published> | undefined> {
    return this.#find(SYSTEM_TENANT, `${SYSTEM_TENANT}/published`, published);
  }

  /** False when somebody else was faster. */
  replacePublished(state: Published, etag: string | undefined): Promise<boolean> {
    return this.#swap(`${SYSTEM_TENANT}/published`, { schema_version: VERSION, ...state }, etag);
  }

  async #find<T>(tenant: string, name: string, schema: z.ZodType<T>): Promise<Stored<T> | undefined> {
    const found = await this.blobs.find(CONTAINER, name);
    if (found === undefined) return undefined;
    let json: unknown;
    try {
      json = JSON.parse(Buffer.from(found.bytes).toString('utf8'));
    } catch (cause) {
      throw ledgerBroken(tenant, 'an anchor is not JSON', cause);
    }
    const parsed = schema.safeParse(json);
    if (!parsed.success) throw ledgerBroken(tenant, 'an anchor has another shape', parsed.error);
    return { state: parsed.data, etag: found.etag };
  }

  async #swap(name: string, state: object, etag: string | undefined): Promise<boolean> {
    try {
      await this.blobs.swap(CONTAINER, name, Buffer.from(JSON.stringify(state)), etag);
      return true;
    } catch (error) {
      if (isFault(error, 'exists', 'conflict', 'missing')) return false;
      throw error;
    }
  }
}
