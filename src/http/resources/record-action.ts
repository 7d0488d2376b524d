import { AppError } from '../../domain/errors.js';
import type { RecordName } from '../../domain/apply-change.js';
import { formatTime } from '../../domain/clock.js';
import type { RecordData, RecordType } from '../../domain/record-type.js';
import type { Page } from '../../storage/manager-types.js';
import { addingOf } from '../../storage/part-reader.js';
import { assertKnown, cursorOf, periodOf, timeOf } from '../query.js';
import type { Answer, Input, Resource } from '../resource.js';
import { added, idOf, JSON_BODY, pageItemsOf, putConditionOf, readOf, recordPath, shown, shownAs, theBody, typeOf, written } from './shared.js'; // prettier-ignore

/**
 * `/{collection}/{id}/{action}`: a typed action such as `votes`; parts of a record such as `steps`; a view such as
 * `ledger`; or, for records with names, `/{collection}/{partition}/{name}`, e.g. `/agents/{role}/{agent_id}`. Segments of generic routes, such as `revisions`, are nobody's name.
 */
export const recordActionResource: Resource = {
  GET: {
    permission: 'record.read',
    kinds: {
      all: ['part.list', 'view.read'],
      of: (type, { action = '' }) =>
        type.parts?.path === action ? 'part.list' : hasView(type, action) ? 'view.read' : undefined,
    },
    query: '*',
    run: async (input) => {
      if (isParts(input)) return listParts(input);
      if (isView(input)) return showView(input);
      assertKnown(input.query, ['as_of']);
      const { type, at } = namedBy(input);
      const asOfMs = timeOf(input.query, 'as_of');
      const { manager } = input.services;
      const record =
        asOfMs === undefined
          ? await manager.getNamed(type, at, input.call)
          : await manager.getNamedAsOf(type, at, formatTime(asOfMs), input.call);
      return shown(input, record, asOfMs === undefined ? 'read' : 'as_of');
    },
  },
  PUT: {
    permission: 'record.put',
    accepts: JSON_BODY,
    creates: theBody,
    run: async (input) => {
      const { type, at } = namedBy(input);
      const record = await input.services.manager.put(
        type,
        at,
        input.body,
        putConditionOf(input),
        input.call,
      );
      if (!record.created) return written(input, 200, record);
      return written(input, 201, record, { location: recordPath(type, record.envelope.id) });
    },
  },
  POST: {
    permission: 'record.act',
    kinds: {
      all: ['part.add'],
      of: (type, { action = '' }) => (addingOf(type, action) === undefined ? undefined : 'part.add'),
    },
    accepts: JSON_BODY,
    run: async (input) => {
      const type = typeOf(input);
      const action = input.params['action'] ?? '';
      if (addingOf(type, action) !== undefined) {
        const condition = input.headers.get('if-match') ?? undefined;
        return added(
          input,
          200,
          await input.services.manager.addPart(type, idOf(input), action, input.body, condition, input.call),
        );
      }
      const declared = Object.hasOwn(type.actions, action) ? type.actions[action] : undefined;
      if (declared === undefined) {
        if (isView(input)) throw notThisMethod('GET');
        if (type.named !== undefined) throw notThisMethod('GET', 'PUT');
        throw new AppError('record-not-found', 'There is no such action.');
      }
      const ifMatch = input.headers.get('if-match') ?? undefined;
      const record = await input.services.manager.act(
        type,
        idOf(input),
        action,
        input.body,
        ifMatch,
        input.call,
      );
      if (declared.makesRevision !== true) return written(input, 200, record);
      const { id, revision } = record.envelope;
      return written(input, 201, record, {
        location: `${recordPath(type, id)}/revisions/${String(revision)}`,
      });
    },
  },
};

function hasView({ views = {} }: RecordType, action: string): boolean {
  return Object.hasOwn(views, action);
}

function isView(input: Input): boolean {
  return hasView(typeOf(input), input.params['action'] ?? '');
}

async function showView(input: Input): Promise<Answer> {
  assertKnown(input.query, []);
  const path = input.params['action'] ?? '';
  const { view, ...record } = await input.services.manager.getView(
    typeOf(input),
    idOf(input),
    path,
    input.call,
  );
  return shownAs(input, record, view, { action: 'view', view: path });
}

function isParts(input: Input): boolean {
  return typeOf(input).parts?.path === input.params['action'];
}

async function listParts(input: Input): Promise<Answer> {
  const type = typeOf(input);
  if (type.parts?.series !== undefined) return listValues(input);
  assertKnown(input.query, [...(type.parts?.timeMember === undefined ? [] : ['from']), 'limit', 'cursor']);
  const page = { fromMs: timeOf(input.query, 'from'), cursor: cursorOf(input.query), limit: await pageItemsOf(input) }; // prettier-ignore
  const path = input.params['action'] ?? '';
  return partsPage(input, await input.services.manager.listParts(type, idOf(input), path, page, input.call));
}

async function listValues(input: Input): Promise<Answer> {
  assertKnown(input.query, ['from', 'to', 'resolution', 'limit', 'cursor']);
  const resolution = input.query.get('resolution') ?? 'raw';
  if (resolution !== 'raw' && resolution !== 'hour' && resolution !== 'day')
    throw new AppError('request-malformed', 'resolution must be raw, hour or day.');
  const page = { cursor: cursorOf(input.query), limit: await pageItemsOf(input) };
  const query = { resolution, ...periodOf(input.query), ...page } as const;
  const path = input.params['action'] ?? '';
  return partsPage(
    input,
    await input.services.manager.listValues(typeOf(input), idOf(input), path, query, input.call),
  );
}

function partsPage(input: Input, { items, nextCursor }: Page<RecordData>): Answer {
  const details = {
    parts: input.params['action'] ?? '',
    count: items.length,
    // Exactly where values of an entry are shown in clear their salts are beside them.
    sensitive: items.some(({ salts }) => salts !== undefined),
  };
  const read = readOf(input, 'list_parts', idOf(input), details);
  return { status: 200, body: { items, next_cursor: nextCursor }, read };
}

/** Throws `method-not-allowed` for an action or a view of a type whose records have no names, `record-not-found` for nothing. */
function namedBy(input: Input): { readonly type: RecordType; readonly at: RecordName } {
  const type = typeOf(input);
  const action = input.params['action'] ?? '';
  if (type.named !== undefined) return { type, at: { partition: idOf(input), name: action } };
  if (Object.hasOwn(type.actions, action) || addingOf(type, action) !== undefined)
    throw notThisMethod('POST');
  if (isView(input)) throw notThisMethod('GET');
  throw new AppError('record-not-found', 'There is nothing at this address.');
}

function notThisMethod(...allow: readonly string[]): AppError {
  return new AppError('method-not-allowed', 'This resource does not take this method.', { allow });
}
