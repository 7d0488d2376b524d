import { AppError } from '../../domain/errors.js';
import type { RecordName } from '../../domain/apply-change.js';
import { formatTime } from '../../domain/clock.js';
import type { RecordType } from '../../domain/record-type.js';
import { assertKnown, cursorOf, periodOf, timeOf } from '../query.js';
import type { Answer, Input, Resource } from '../resource.js';
import { idOf, JSON_BODY, pageItemsOf, putConditionOf, recordPath, shown, typeOf, written } from './shared.js'; // prettier-ignore

/**
 * `/{collection}/{id}/{action}`: a typed action such as `votes`; parts of a record such as `steps`; or, for records with names, `/{collection}/{partition}/
 * {name}`, e.g. `/agents/{role}/{agent_id}`. Segments of generic routes, such as `revisions`, are nobody's name.
 */
export const recordActionResource: Resource = {
  GET: {
    permission: 'records.read',
    query: '*',
    run: async (input) => {
      if (isParts(input)) return listParts(input);
      assertKnown(input.query, ['as_of']);
      const { type, at } = namedBy(input);
      const asOfMs = timeOf(input.query, 'as_of');
      const { manager } = input.services;
      const record =
        asOfMs === undefined
          ? await manager.getNamed(type, at, input.call)
          : await manager.getNamedAsOf(type, at, formatTime(asOfMs), input.call);
      return shown(input, record);
    },
  },
  PUT: {
    permission: 'records.write',
    accepts: JSON_BODY,
    run: async (input) => {
      const { type, at } = namedBy(input);
      const record = await input.services.manager.put(
        type,
        at,
        input.body,
        putConditionOf(input),
        input.call,
      );
      if (!record.created) return written(200, record);
      return written(201, record, { location: recordPath(type, record.envelope.id) });
    },
  },
  POST: {
    permission: 'records.write',
    accepts: JSON_BODY,
    run: async (input) => {
      const type = typeOf(input);
      const action = input.params['action'] ?? '';
      if (type.parts?.path === action) {
        const condition = input.headers.get('if-match') ?? undefined;
        return written(
          200,
          await input.services.manager.addPart(type, idOf(input), action, input.body, condition, input.call),
        );
      }
      if (!Object.hasOwn(type.actions, action)) {
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
      return written(200, record);
    },
  },
};

function isParts(input: Input): boolean {
  return typeOf(input).parts?.path === input.params['action'];
}

async function listParts(input: Input): Promise<Answer> {
  if (typeOf(input).parts?.series !== undefined) return listValues(input);
  assertKnown(input.query, ['limit', 'cursor']);
  const page = { cursor: cursorOf(input.query), limit: await pageItemsOf(input) };
  const type = typeOf(input);
  const path = input.params['action'] ?? '';
  const found = await input.services.manager.listParts(type, idOf(input), path, page, input.call);
  return { status: 200, body: { items: found.items, next_cursor: found.nextCursor } };
}

async function listValues(input: Input): Promise<Answer> {
  assertKnown(input.query, ['from', 'to', 'resolution', 'limit', 'cursor']);
  const resolution = input.query.get('resolution') ?? 'raw';
  if (resolution !== 'raw' && resolution !== 'hour' && resolution !== 'day')
    throw new AppError('request-malformed', 'resolution must be raw, hour or day.');
  const page = { cursor: cursorOf(input.query), limit: await pageItemsOf(input) };
  const query = { resolution, ...periodOf(input.query), ...page } as const;
  const path = input.params['action'] ?? '';
  const found = await input.services.manager.listValues(typeOf(input), idOf(input), path, query, input.call);
  return { status: 200, body: { items: found.items, next_cursor: found.nextCursor } };
}

/** Throws `method-not-allowed` for a type whose records have no names: below them there are actions alone. */
function namedBy(input: Input): { readonly type: RecordType; readonly at: RecordName } {
  const type = typeOf(input);
  if (type.named === undefined)
    throw new AppError('method-not-allowed', 'This resource does not take this method.', { allow: ['POST'] });
  return { type, at: { partition: idOf(input), name: input.params['action'] ?? '' } };
}
