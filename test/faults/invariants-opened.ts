import { isDeepStrictEqual } from 'node:util';
import { isAppError } from '../../src/domain/errors.js';
import type { Platform } from '../../src/platform.js';
import { RECORD_TYPES } from '../../src/records/registry.js';
import { QUEUES } from '../../src/storage/keys.js';
import { committedOf } from '../support/committed.js';
import type { Survey, SurveyedRecord, SurveyedRevision } from './invariants-survey.js';

/**
 * A survey with the values in the places of their commitments, as the platform shows them to who may see them; each is
 * held against the committed form that is stored, so that nothing rests on the platform's word but which salts there are.
 * What cannot be read is left as it is.
 */
export async function openedSurvey(
  platform: Platform,
  survey: Survey,
): Promise<{ readonly survey: Survey; readonly violations: readonly string[] }> {
  const violations: string[] = [];
  const records = new Map<string, SurveyedRecord>();
  for (const [id, record] of survey.records) {
    const type = RECORD_TYPES.find(({ table }) => table === record.table);
    const open = async (revision: SurveyedRevision): Promise<SurveyedRevision> => {
      if (type === undefined || revision.data === undefined) return revision;
      const call = { tenant: record.tenant, actor: 'auditor', correlationId: 'check', maySeeSensitive: true };
      try {
        const { envelope } = await platform.manager.getRevision(type, id, revision.revision, call);
        if (!isDeepStrictEqual(committedOf(envelope), revision.data))
          violations.push(`${id} revision ${revision.revision} does not open to what was committed to`);
        return { ...revision, data: envelope.data };
      } catch (error) {
        if (!isAppError(error)) throw error;
        return revision;
      }
    };
    const revisions: SurveyedRevision[] = [];
    for (const revision of record.revisions) revisions.push(await open(revision));
    records.set(id, { ...record, revisions });
  }
  const messages = await Promise.all(
    survey.contents.messages.map((message) => openedMessage(platform, message, violations)),
  );
  return { survey: { ...survey, records, contents: { ...survey.contents, messages } }, violations };
}

/** A message that was set aside, with what was sealed of it beside it. */
async function openedMessage<T extends { readonly queue: string; readonly text: string }>(
  platform: Platform,
  message: T,
  violations: string[],
): Promise<T> {
  if (message.queue !== QUEUES.inboxPoison) return message;
  const aside = JSON.parse(message.text) as Parameters<Platform['poison']['original']>[0];
  try {
    const original = await platform.poison.original(aside);
    if (original !== '' && message.text.includes(original))
      violations.push(`${aside.message_id} was set aside in clear`);
    return { ...message, text: JSON.stringify({ ...aside, original: JSON.parse(original) as unknown }) };
  } catch (error) {
    if (!isAppError(error)) throw error;
    return message;
  }
}
