import type { z } from 'zod';
import { formatTime, parseTime } from './clock.js';
import { RESERVED_PATHS } from './define-record.js';
import { overErased } from './erased.js';
import { AppError, invalid, isAppError, type Issue } from './errors.js';
import { jsonIssues, pointerOf } from './json-input.js';
import { LIMITS } from './limits.js';
import { subjectIssues } from './subjects.js';
import { linkIssues } from './links.js';
import { isObject, mergePatch } from './merge-patch.js';
import type { AddingDeclaration, Addition, PartsDeclaration } from './parts.js';
import type { ActionDeclaration, DomainContext, RecordData, RecordType } from './record-type.js';
import { inTermsOf, migrationsOf, versionedBody, type WritableMigration } from './versions.js';

/**
 * Pure changes of a record: `(current, input, context) -> next`. All throw AppError and never touch storage:
 * `record-invalid` with pointers first, then `record-immutable` and `transition-not-allowed`.
 */

/** Pointers into `value` for everything a schema complains about. Messages never repeat the submitted value. */
function schemaIssues(error: z.ZodError): readonly Issue[] {
  return error.issues.flatMap((issue) => {
    const path = issue.path.filter((part): part is string | number => typeof part !== 'symbol');
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({
        pointer: pointerOf([...path, key]),
        detail: 'is not a known member',
      }));
    }
    return [{ pointer: pointerOf(path), detail: issue.message }];
  });
}

/** Parses submitted JSON with a schema. Throws `record-invalid`. */
function parseBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const early = jsonIssues(body);
  if (early.length > 0) throw invalid(early);
  return parseShape(schema, body);
}

/** Parses with a schema alone: for wrappers whose free content is checked by whoever takes it. */
export function parseShape<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw invalid(schemaIssues(parsed.error));
  return parsed.data;
}

/** What a create fixes before anything is stored: the parsed body and the time its id will carry. */
export interface AcceptedCreate {
  /** Of the current schema version, whatever it was written in. */
  readonly input: unknown;
  readonly createdMs: number;
  /** What an older body went through; what is still found wrong with it is told of the body that was sent. */
  readonly migrations?: readonly WritableMigration[];
}

/**
 * Parses the body of a create, which may name an older `schema_version`: it is held to that version first, so that
 * pointers are into the body that was sent, then migrated and held to the current one (REQ-STO-018). `created_at` (or
 * what the type orders by) defaults to now and is bounded.
 */
export function acceptCreate(type: RecordType, body: unknown, nowMs: number): AcceptedCreate {
  const written = versionedBody(type, body);
  const migrations = migrationsOf(type, written.version);
  const input = parseWritten(type, migrations, written.body);
  const accepted = { input, ...(migrations.length === 0 ? {} : { migrations }) };
  assertFreeWord(type, input as RecordData);
  if (type.orderedBy === undefined) return { ...accepted, createdMs: nowMs };
  const stated = (input as RecordData)[type.orderedBy];
  const createdMs = typeof stated === 'string' ? (parseTime(stated) ?? nowMs) : nowMs;
  if (createdMs > nowMs + LIMITS.createdAtAheadMs) {
    const ahead = { pointer: pointerOf([type.orderedBy]), detail: 'must be at most 5 minutes ahead' };
    return inTermsOf(migrations, () => {
      throw invalid([ahead]);
    });
  }
  return { ...accepted, createdMs };
}

/** A name that is a path segment of generic routes would never be found again. Throws `record-invalid`. */
function assertFreeWord({ named }: RecordType, input: RecordData): void {
  if (named === undefined) return;
  const name = String(input[named.member]);
  if (RESERVED_PATHS.includes(name) || named.reserved?.includes(name) === true)
    throw invalid([{ pointer: pointerOf([named.member]), detail: 'must not be a reserved word' }]);
}

/** A body as one of the current version, by way of every version between. */
function parseWritten(
  type: RecordType,
  [first, ...later]: readonly WritableMigration[],
  body: unknown,
): unknown {
  if (first === undefined) return parseBody(type.createSchema, body);
  const older = parseBody(first.create.schema, body) as RecordData;
  return inTermsOf([first], () => parseWritten(type, later, first.create.migrate(older)));
}

/** The first revision of a record. */
export function createData(type: RecordType, accepted: AcceptedCreate, context: DomainContext): RecordData {
  const stamp = type.orderedBy === undefined ? {} : { [type.orderedBy]: formatTime(accepted.createdMs) };
  return inTermsOf(accepted.migrations ?? [], () =>
    whole(type, type.create({ ...(accepted.input as RecordData), ...stamp }, context)),
  );
}

/**
 * What a migration makes of a record: its upgraded data as it is, held to the current schema and rules. Nothing is
 * settled and no state forbids it: the record says the same as before. Throws `record-invalid`.
 */
export function migratedData(type: RecordType, upgraded: RecordData): RecordData {
  return overErased(type, upgraded, (current) => whole(type, current));
}

/** Where a record is put: the value of its partition's member, and the name it has there. */
export interface RecordName {
  readonly partition: string;
  readonly name: string;
}

/**
 * Parses the body of a PUT: that of a create without the members that the address says. Throws `record-invalid`, with
 * pointers that are empty where the address itself is at fault, and `record-not-found` for a type without names.
 */
export function acceptPut(type: RecordType, at: RecordName, body: unknown, nowMs: number): AcceptedCreate {
  const { named, partition } = type;
  if (named === undefined || partition.kind !== 'member')
    throw new AppError('record-not-found', 'There is nothing at this address.');
  const members = [partition.member, named.member];
  if (isObject(body)) {
    const repeated = members.filter((member) => Object.hasOwn(body, member));
    if (repeated.length > 0)
      throw invalid(repeated.map((member) => ({ pointer: pointerOf([member]), detail: 'is said by the address' }))); // prettier-ignore
  }
  const whole = isObject(body)
    ? { ...body, [partition.member]: at.partition, [named.member]: at.name }
    : body;
  try {
    return acceptCreate(type, whole, nowMs);
  } catch (error) {
    if (!isAppError(error, 'record-invalid')) throw error;
    const own = members.map((member) => pointerOf([member]));
    throw invalid(
      error.issues.map((issue) =>
        own.includes(issue.pointer)
          ? { pointer: '', detail: `${issue.pointer.slice(1)} ${issue.detail}` }
          : issue,
      ),
    );
  }
}

/** What a PUT makes of a record that is there: the new data alone, under the record's identity. */
export function replaceData(
  type: RecordType,
  before: RecordData,
  accepted: AcceptedCreate,
  context: DomainContext,
): RecordData {
  return inTermsOf(accepted.migrations ?? [], () =>
    overErased(type, before, (current) => {
      const made = type.create(accepted.input, context);
      const frozen = [type.idField, type.orderedBy].filter((member) => member !== undefined);
      const kept = Object.fromEntries(frozen.map((member) => [member, current[member]]));
      const next = parseShape(type.schema, { ...made, ...kept });
      assertMove(type, current, next, Object.keys(accepted.input as RecordData));
      return whole(type, settled(type, next, current, context));
    }),
  );
}

/** JSON merge patch (RFC 7396) of a record. */
export function patchData(
  type: RecordType,
  before: RecordData,
  patch: unknown,
  context: DomainContext,
): RecordData {
  const issues = jsonIssues(patch);
  if (issues.length > 0) throw invalid(issues);
  if (!isObject(patch)) throw invalid([{ pointer: '', detail: 'a merge patch of a record is an object' }]);
  const frozen = Object.keys(patch).filter((member) => type.immutable.includes(member));
  const allowed = Object.fromEntries(Object.entries(patch).filter(([member]) => !frozen.includes(member)));
  return overErased(type, before, (current) => {
    const merged = parseShape(type.schema, mergePatch(current, allowed));
    if (frozen.length > 0) {
      throw new AppError('record-immutable', `These members cannot be patched: ${frozen.join(', ')}.`);
    }
    assertMove(type, current, merged, Object.keys(patch));
    // Rules across members come last: they describe a record that has made its move, with what follows from it.
    return whole(type, settled(type, merged, current, context));
  });
}

/** A typed action on a record. */
export function actOn(
  type: RecordType,
  path: string,
  before: RecordData,
  body: unknown,
  context: DomainContext,
): RecordData {
  const action = type.actions[path];
  if (action === undefined) throw new AppError('record-not-found', 'There is no such action.');
  const input = parseBody(action.input, body);
  const refusal = stateRefusal(type, action, before);
  return overErased(type, before, (current) =>
    whole(type, settled(type, applied(action, current, input, context, refusal), current, context)),
  );
}

/**
 * What the action makes of the record. What is wrong with the body is told before what the state forbids (http-api.md,
 * Errors: 422 before 409), and whatever else an action finds in a state that it is not for says nothing.
 */
function applied(
  action: ActionDeclaration,
  current: RecordData,
  input: unknown,
  context: DomainContext,
  refusal: AppError | undefined,
): RecordData {
  let next: RecordData;
  try {
    next = action.apply(current, input, context);
  } catch (error) {
    throw isAppError(error, 'record-invalid') ? error : (refusal ?? error);
  }
  if (refusal !== undefined) throw refusal;
  return next;
}

function stateRefusal(
  type: RecordType,
  { allowedIn, verb }: ActionDeclaration,
  current: RecordData,
): AppError | undefined {
  const state = String(current[type.transitions?.field ?? '']);
  if (allowedIn?.includes(state) !== false) return undefined;
  const name = type.recordType.replaceAll('_', ' ');
  return new AppError('transition-not-allowed', `A ${name} that is ${state} takes no ${verb}.`);
}

function settled(
  type: RecordType,
  next: RecordData,
  previous: RecordData,
  context: DomainContext,
): RecordData {
  return type.settle?.(next, previous, context) ?? next;
}

/** The next entry of a record's parts, undefined when there is nothing to add. Throws `record-invalid`, and what the declaration throws. */
export function addPart(
  type: RecordType,
  parts: PartsDeclaration,
  adding: AddingDeclaration,
  now: Parameters<AddingDeclaration['add']>[0],
  input: RecordData,
  context: DomainContext,
): Addition | undefined {
  const added = adding.add(now, input, context);
  if (added === undefined) return undefined;
  const entry = JSON.parse(JSON.stringify(parseShape(parts.entry, added.entry))) as RecordData;
  if (JSON.stringify(entry).length > LIMITS.partChars)
    throw new AppError('payload-too-large', `One of the ${parts.path} of a ${type.recordType} is at most ${String(LIMITS.partChars / 1024)} Ki characters as JSON.`); // prettier-ignore
  return { ...added, entry };
}

/** Parses the body of an addition. Throws `record-invalid`. */
export function acceptPart(adding: AddingDeclaration, body: unknown): RecordData {
  return parseBody(adding.input, body) as RecordData;
}

/** Asserts the whole record before the write and strips members that are undefined. */
function whole(type: RecordType, data: RecordData): RecordData {
  const parsed = parseShape(type.schema, data);
  const issues = [...linkIssues(type, parsed), ...subjectIssues(parsed), ...(type.check?.(parsed) ?? [])];
  if (issues.length > 0) throw invalid(issues);
  return JSON.parse(JSON.stringify(parsed)) as RecordData;
}

function assertMove(
  type: RecordType,
  current: RecordData,
  next: RecordData,
  patched: readonly string[],
): void {
  const rule = type.transitions;
  if (rule === undefined) return;
  const from = String(current[rule.field]);
  const to = String(next[rule.field]);
  const moves = rule.moves[from] ?? [];
  if (from !== to && !moves.includes(to)) {
    throw new AppError('transition-not-allowed', `A record that is ${from} cannot become ${to}.`);
  }
  if (rule.patchableIn?.includes(from) === false)
    throw new AppError('record-immutable', `A record that is ${from} is changed by its actions alone.`);
  if (moves.length > 0) return;
  const beyond = patched.filter((member) => !rule.mutableWhenFinal.includes(member));
  if (beyond.length > 0) {
    const allowed = rule.mutableWhenFinal.join(', ');
    throw new AppError('record-immutable', `A record that is ${from} is final; only ${allowed} may change.`);
  }
}
