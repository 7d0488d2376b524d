import { z } from 'zod';
import { sha256Hex } from '../domain/canonical-json.js';
import { AppError } from '../domain/errors.js';
import { sha256 } from '../domain/schema-parts.js';
import { isCompactRange, rootOf } from './merkle.js';

/** What the sealer keeps in the container `ledger`, parsed before the write and after the read. Pure. */
export const LEDGER_SCHEMA_VERSION = '1.0';

const count = z.number().int().nonnegative();

const pendingRowRef = z.strictObject({
  table: z.string().min(1),
  partition_key: z.string().min(1),
  row_key: z.string().min(1),
});

const headSchema = z
  .strictObject({
    schema_version: z.literal(LEDGER_SCHEMA_VERSION),
    tenant: z.string().min(1),
    /** Leaves in the log, those of the stage included. */
    tree_size: z.number().int().positive(),
    root: sha256(),
    edge: z.array(sha256()),
    /** Blob name of the stage that this head came from. */
    stage: z.string().min(1),
    /** Where the stream stands once that stage is appended. */
    stream: z.strictObject({ name: z.string().min(1), offset: count, blocks: count }),
    /** The `o:` row that finishing the stage deletes last: while it is there, the stage is not finished. */
    last_pending: pendingRowRef,
  })
  .refine(
    (head) => isCompactRange({ size: head.tree_size, edge: head.edge }),
    'the edge does not fit the size',
  )
  .refine(
    (head) => rootOf({ size: head.tree_size, edge: head.edge }) === head.root,
    'the root is not the edge’s',
  );

const stagedEventSchema = pendingRowRef.extend({
  leaf_index: count,
  /** The exact bytes of the event, as text. */
  event: z.string().min(2),
  /** JSON text of its sealed values, where it has any. */
  sealed: z.string().optional(),
  /** Blind hashes of whom it names, for the index of subjects. */
  subjects: z.string().min(1).optional(),
});

const stageSchema = z.strictObject({
  schema_version: z.literal(LEDGER_SCHEMA_VERSION),
  tenant: z.string().min(1),
  /** Leaves in the log before this stage. */
  follows: count,
  stream: z.strictObject({
    name: z.string().min(1),
    /** Bytes in the stream before this stage. */
    offset: count,
    lines: z.number().int().positive(),
    create: z.boolean(),
    /** The stream that came before, to be made read-only; present when this stage begins another. */
    seals: z.string().min(1).optional(),
  }),
  events: z.array(stagedEventSchema).min(1),
});

export type Head = z.infer<typeof headSchema>;
export type Stage = z.infer<typeof stageSchema>;
export type StagedEvent = z.infer<typeof stagedEventSchema>;
export type PendingRowRef = z.infer<typeof pendingRowRef>;

/** A stage as it is stored: its name is bound to its content. */
export interface StoredStage {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const SIZE_DIGITS = 12;

export const headName = (tenant: string): string => `${tenant}/head`;
export const leaseName = (tenant: string): string => `${tenant}/lease`;
export const stagePrefix = (tenant: string): string => `${tenant}/stages/`;

/** The tree size that a stage follows, from its name; undefined for a name that is not a stage's. */
export function followsOf(stageName: string): number | undefined {
  const match = /\/stages\/(\d{12,})-[0-9a-f]{64}\.json$/.exec(stageName);
  return match === null ? undefined : Number(match[1]);
}

/** Leaves of rounds that are finished, by a head and whether its own round is: everything that follows from them is there. */
export function settledLeaves({ tree_size, stage }: Head, finished: boolean): number {
  return finished ? tree_size : (followsOf(stage) ?? 0);
}

/** `integrity-failure` of a ledger; `what` and the rest are facts for logs and audit. */
export function ledgerBroken(tenant: string, what: string, cause?: unknown): AppError {
  return new AppError('integrity-failure', 'The audit ledger does not hold together.', {
    evidence: { tenant, what },
    cause,
  });
}

function parse<T extends { readonly tenant: string }>(
  schema: z.ZodType<T>,
  tenant: string,
  bytes: Uint8Array,
  what: string,
): T {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw ledgerBroken(tenant, `${what} is not JSON`, cause);
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) throw ledgerBroken(tenant, `${what} has another shape`, parsed.error);
  if (parsed.data.tenant !== tenant) throw ledgerBroken(tenant, `${what} is another tenant’s`);
  return parsed.data;
}

/** Throws `integrity-failure` unless this is a head of the tenant whose root follows from its edge. */
export function parseHead(tenant: string, bytes: Uint8Array): Head {
  return parse(headSchema, tenant, bytes, 'head');
}

/** Throws `integrity-failure` rather than write a head that could not be read back. */
export function headBytes(head: Head): Uint8Array {
  const bytes = Buffer.from(JSON.stringify(head));
  parseHead(head.tenant, bytes);
  return bytes;
}

/**
 * The stored form of a stage. Its members are put in a fixed order by the schema, so that two sealers that plan the
 * same stage make the same blob.
 */
export function storeStage(stage: Stage): StoredStage {
  const bytes = Buffer.from(JSON.stringify(stageSchema.parse(stage)));
  const size = String(stage.follows).padStart(SIZE_DIGITS, '0');
  return { name: `${stagePrefix(stage.tenant)}${size}-${sha256Hex(bytes)}.json`, bytes };
}

/** Throws `integrity-failure` unless the bytes are what the name says and a stage of the tenant. */
export function parseStage(tenant: string, stored: StoredStage): Stage {
  if (!stored.name.endsWith(`-${sha256Hex(stored.bytes)}.json`))
    throw ledgerBroken(tenant, 'stage differs from its name');
  return parse(stageSchema, tenant, stored.bytes, 'stage');
}

/** The stage's lines of the stream: the bytes of each event and a newline. */
export function linesOf(stage: Stage): Uint8Array {
  return Buffer.from(stage.events.map(({ event }) => `${event}\n`).join(''));
}
