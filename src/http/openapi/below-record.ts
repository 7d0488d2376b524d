import { z } from 'zod';
import type { AddingDeclaration, PartsDeclaration } from '../../domain/parts.js';
import type { ActionDeclaration, RecordType } from '../../domain/record-type.js';
import { recordActionResource } from '../resources/record-action.js';
import { addingsOf, partsHaveTimes, viewsOf } from './abilities.js';
import { answer, camelCase, notModified, RECEIPT } from './answers.js';
import { CHANGE_PROBLEMS, describe, type Paths } from './operation.js';
import { inputOf, shownEntry, type RecordSchemas } from './record-schemas.js';
import { pageOf, rollup, sample } from './shared-schemas.js';

/** What a declaration puts below the address of a record: `/{collection}/{id}/{path}`. */

function act(
  type: RecordType,
  { name, actions, envelope }: RecordSchemas,
  path: string,
  action: ActionDeclaration,
) {
  return describe(recordActionResource.POST, {
    id: camelCase(camelCase('post', name), path),
    tag: type.collection,
    summary: `Act on a ${type.recordType}: ${path}`,
    description: `In the audit trail: \`${action.verb}\`.`,
    parameters: ['Id', 'IfMatch', 'IdempotencyKey', 'Prefer'],
    body: { schema: actions[path] ?? z.unknown() },
    answers:
      action.makesRevision === true
        ? answer(201, 'The record after it, at its new revision.', envelope, [
            'ETag',
            'Location',
            'Idempotency-Replayed',
            ...RECEIPT,
          ])
        : answer(200, 'The record after it.', envelope, ['ETag', 'Idempotency-Replayed', ...RECEIPT]),
    problems: CHANGE_PROBLEMS,
  });
}

function add(type: RecordType, { name, envelope }: RecordSchemas, path: string, adding: AddingDeclaration) {
  return describe(recordActionResource.POST, {
    id: camelCase(camelCase('post', name), path),
    tag: type.collection,
    kind: 'part.add',
    summary: `Add to a ${type.recordType}: ${path}`,
    description: `No revision of the record. In the audit trail: \`${adding.verb}\`.`,
    parameters: ['Id', 'IfMatch', 'IdempotencyKey', 'Prefer'],
    body: { schema: inputOf(name, path, adding.input), example: adding.example },
    answers: answer(200, 'The record after it.', envelope, ['ETag', 'Idempotency-Replayed', ...RECEIPT]),
    problems: CHANGE_PROBLEMS,
  });
}

function listParts(type: RecordType, parts: PartsDeclaration, { name }: RecordSchemas) {
  const isSeries = parts.series !== undefined;
  const items = isSeries ? z.union([pageOf(sample), pageOf(rollup)]) : pageOf(shownEntry(name, parts));
  return describe(recordActionResource.GET, {
    id: camelCase(camelCase('list', name), parts.path),
    tag: type.collection,
    kind: 'part.list',
    summary: `List the ${parts.path} of a ${type.recordType}, oldest first`,
    parameters: [
      'Id',
      ...(partsHaveTimes(type) ? (['From'] as const) : []),
      ...(isSeries ? (['To', 'Resolution'] as const) : []),
      'Limit',
      'Cursor',
    ],
    answers: answer(
      200,
      isSeries ? 'A page of values, or of what they come to.' : 'A page of entries.',
      items,
    ),
    problems: [404, 409, 410],
  });
}

/** Ways to add to its parts, and the list of them. */
export function partPaths(type: RecordType, parts: PartsDeclaration, schemas: RecordSchemas): Paths {
  const post = Object.entries(addingsOf(type)).map(
    ([path, adding]) => [path, { post: add(type, schemas, path, adding) }] as const,
  );
  const all: Paths = Object.fromEntries(post);
  const withList = { ...all, [parts.path]: { ...all[parts.path], get: listParts(type, parts, schemas) } };
  return below(type, withList);
}

/** Its typed actions. */
export function actionPaths(type: RecordType, schemas: RecordSchemas): Paths {
  const actions = Object.entries(type.actions).map(
    ([path, action]) => [path, { post: act(type, schemas, path, action) }] as const,
  );
  return below(type, Object.fromEntries(actions));
}

/** What follows from a record and is read by itself; what is in it the declaration does not say. */
export function viewPaths(type: RecordType, { name }: RecordSchemas): Paths {
  const views = viewsOf(type).map((path) => {
    const get = describe(recordActionResource.GET, {
      id: camelCase(camelCase('get', name), path),
      tag: type.collection,
      kind: 'view.read',
      summary: `Read a view of a ${type.recordType}: ${path}`,
      parameters: ['Id', 'IfNoneMatch'],
      answers: {
        ...answer(200, 'It follows from the record.', z.record(z.string(), z.unknown()), ['ETag']),
        ...notModified(),
      },
      problems: [404, 409, 410],
    });
    return [path, { get }] as const;
  });
  return below(type, Object.fromEntries(views));
}

/** Paths by what comes after the id. */
function below(type: RecordType, items: Paths): Paths {
  return Object.fromEntries(
    Object.entries(items).map(([path, item]) => [`/${type.collection}/{id}/${path}`, item]),
  );
}
