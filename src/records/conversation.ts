import { z } from 'zod';
import { checksumOf } from '../domain/canonical-json.js';
import { endTime, formatTime, parseTime } from '../domain/clock.js';
import { defineRecord } from '../domain/define-record.js';
import { AppError, invalid, type Issue } from '../domain/errors.js';
import { partName } from '../domain/ids.js';
import { LIMITS } from '../domain/limits.js';
import { METADATA_LINKS } from '../domain/links.js';
import { defineAdding, defineParts } from '../domain/parts.js';
import type { DomainContext } from '../domain/record-type.js';
import { EVERY_VALUE, METADATA_SENSITIVE, METADATA_SUBJECTS } from '../domain/subjects.js';
import { dictionary, label, recordId, text, time, title } from '../domain/schema-parts.js';

/** REQ-DATA-007. */
const CONVERSATION_TYPES = ['agent_to_agent', 'user_to_agent', 'boardroom'] as const;
const CHANGES = ['message', 'edit', 'reaction'] as const;
/** Messages that come with a create, and the latest ones that a read of the conversation shows. */
const MESSAGES_AT_ONCE = 100;
const ATTACHMENTS = 50;
/** Of one message, so that with its content it stays within `LIMITS.partChars`. */
const REACTIONS = 200;
const MESSAGE_PREFIX = 'msg';

const reaction = z
  .string()
  .min(1)
  .max(64)
  .refine((value) => value.trim() !== '', 'must not be blank');
const attachments = z.array(title()).max(ATTACHMENTS);

/** `ConversationMessage` as it is submitted; `timestamp` defaults to now. */
const submittedMessage = z.strictObject({
  message_id: label().optional(),
  sender: label(),
  content: text(),
  timestamp: time().optional(),
  attachments: attachments.default([]),
  reactions: z.array(reaction).max(REACTIONS).default([]),
});
const submittedEdit = z.strictObject({
  message_id: label(),
  sender: label(),
  content: text(),
  attachments: attachments.optional(),
});
const submittedReaction = z.strictObject({ message_id: label(), sender: label(), reaction });

const messageShape = {
  message_id: label(),
  /** Its place in the conversation, from 1. */
  number: z.int().min(1),
  sender: label(),
  content: text(),
  timestamp: time(),
  attachments,
  /** What there is of reactions, each once, the first first. */
  reactions: z.array(reaction).max(REACTIONS),
  /** Who gave them, as far as it is known. */
  reacted_by: z.array(z.strictObject({ sender: label(), reaction })).max(REACTIONS).optional(), // prettier-ignore
  edited_by: label().optional(),
  edited_at: time().optional(),
};
/** `ConversationMessage` as it is shown. */
const message = z.strictObject(messageShape);
/** A message as it stands after one change of it, and which that was. */
const messageEntry = z.strictObject({
  ...messageShape,
  change: z.enum(CHANGES),
  changed_by: label(),
  changed_at: time(),
  /** Of what was posted first, by which a repeated post is known once the message has changed; with it a guess is tested. */
  posted_checksum: z.string().optional(),
});

const conversation = z.strictObject({
  conversation_id: recordId(),
  conversation_type: z.enum(CONVERSATION_TYPES),
  participants: z.array(label()).min(1).max(LIMITS.listItems),
  created_at: time(),
  updated_at: time(),
  messages: z.array(message).max(MESSAGES_AT_ONCE),
  message_count: z.int().min(0),
  last_message_at: time().optional(),
  metadata: dictionary().default({}),
});
const submittedConversation = z.strictObject({
  conversation_type: z.enum(CONVERSATION_TYPES),
  participants: z.array(label()).min(1).max(LIMITS.listItems),
  created_at: time().optional(),
  messages: z.array(submittedMessage).max(MESSAGES_AT_ONCE).default([]),
  metadata: dictionary().default({}),
});

export type Conversation = z.infer<typeof conversation>;
export type ConversationInput = z.input<typeof submittedConversation>;
export type ConversationMessage = z.infer<typeof message>;
export type ConversationEntry = z.infer<typeof messageEntry>;
export type ConversationMessageInput = z.input<typeof submittedMessage>;
export type MessageEditInput = z.input<typeof submittedEdit>;
export type MessageReactionInput = z.input<typeof submittedReaction>;

/** A message whose `timestamp` is not said was sent when the conversation began. */
function create(input: z.output<typeof submittedConversation>, context: DomainContext): Conversation {
  const createdAt = input.created_at ?? formatTime(context.nowMs);
  const createdMs = parseTime(createdAt) ?? context.nowMs;
  const ahead = input.messages.flatMap(({ timestamp }, at) => aheadIssues(timestamp, context, `/messages/${String(at)}`)); // prettier-ignore
  if (ahead.length > 0) throw invalid(ahead);
  const messages = input.messages.map((one, at) => ({
    ...one,
    message_id: one.message_id ?? partName(MESSAGE_PREFIX, createdMs, context.id, at),
    number: at + 1,
    timestamp: one.timestamp ?? createdAt,
    reactions: [...new Set(one.reactions)],
  }));
  return {
    ...input,
    conversation_id: context.id,
    created_at: createdAt,
    updated_at: endTime(createdAt, context.nowMs),
    messages,
    message_count: messages.length,
    last_message_at: messages.map(({ timestamp }) => timestamp).reduce(later, undefined),
  };
}

function aheadIssues(timestamp: string | undefined, { nowMs }: DomainContext, base = ''): readonly Issue[] {
  const ms = timestamp === undefined ? undefined : parseTime(timestamp);
  if (ms === undefined || ms <= nowMs + LIMITS.createdAtAheadMs) return [];
  return [{ pointer: `${base}/timestamp`, detail: 'must be at most 5 minutes ahead' }];
}

/** Of two times as they are stored. */
function later(one: string | undefined, other: string): string {
  return one === undefined || one < other ? other : one;
}

function check({ participants, messages }: Conversation): readonly Issue[] {
  const twice = (values: readonly string[], pointer: (at: number) => string): readonly Issue[] =>
    values.flatMap((value, at) =>
      values.indexOf(value) === at ? [] : [{ pointer: pointer(at), detail: 'is there already' }],
    );
  return [
    ...twice(participants, (at) => `/participants/${String(at)}`),
    ...twice(messages.map((one) => one.message_id), (at) => `/messages/${String(at)}/message_id`), // prettier-ignore
  ].slice(0, 20);
}

interface MessageTotals extends Record<string, unknown> {
  /** Messages besides those of the create. */
  readonly added: number;
  /** Latest `timestamp` among them. */
  readonly last?: string | undefined;
  /** When something was added last. */
  readonly changed?: string | undefined;
}

/** Sender, content, attachments and reactions as they were posted. */
function postedChecksum(
  posted: Pick<ConversationMessage, 'sender' | 'content' | 'attachments' | 'reactions'>,
): string {
  const { sender, content, attachments: files, reactions } = posted;
  return checksumOf({ sender, content, attachments: files, reactions });
}

/** The message after a change of it. */
function changed(
  previous: ConversationEntry | undefined,
  totals: MessageTotals,
  { nowMs }: DomainContext,
  sender: string,
  change: 'edit' | 'reaction',
  next: (standing: ConversationEntry, at: string) => Partial<ConversationEntry> | undefined,
) {
  if (previous === undefined)
    throw invalid([{ pointer: '/message_id', detail: 'is no message of this conversation' }]);
  const at = formatTime(nowMs);
  const members = next(previous, at);
  if (members === undefined) return undefined;
  const posted = previous.posted_checksum ?? postedChecksum(previous);
  return {
    entry: { ...previous, ...members, change, changed_by: sender, changed_at: at, posted_checksum: posted },
    totals: { ...totals, changed: at },
    details: { name: previous.message_id },
  };
}

const reactions = defineAdding<Conversation, z.output<typeof submittedReaction>, ConversationEntry, MessageTotals>({
  verb: 'react',
  input: submittedReaction,
  example: { message_id: 'welcome', sender: 'cfo', reaction: '👍' },
  add: ({ previous, totals }, { sender, reaction: given }, context) =>
    changed(previous, totals, context, sender, 'reaction', (standing) => {
      const { reactions: known, reacted_by: by = [] } = standing;
      if (by.some((one) => one.sender === sender && one.reaction === given)) return undefined;
      const all = [...new Set([...known, given])];
      if (by.length >= REACTIONS || all.length > REACTIONS)
        throw invalid([{ pointer: '/reaction', detail: `would be more than ${String(REACTIONS)} of this message` }]); // prettier-ignore
      return { reactions: all, reacted_by: [...by, { sender, reaction: given }] };
    }),
}); // prettier-ignore

const edits = defineAdding<Conversation, z.output<typeof submittedEdit>, ConversationEntry, MessageTotals>({
  verb: 'edit',
  input: submittedEdit,
  example: { message_id: 'welcome', sender: 'ceo', content: 'Shall we open a second warehouse in March?' },
  add: ({ previous, totals }, { sender, content, attachments: files }, context) =>
    changed(previous, totals, context, sender, 'edit', (standing, at) => {
      const next = { content, attachments: files ?? standing.attachments };
      const same = next.content === standing.content && JSON.stringify(next.attachments) === JSON.stringify(standing.attachments); // prettier-ignore
      return same ? undefined : { ...next, edited_by: sender, edited_at: at };
    }),
});

/**
 * A message is its own idempotency key: the same `message_id` with the same content again changes nothing, whatever became
 * of the message since. Senders need not be participants: a bridge posts for people the conversation does not list.
 */
const messages = defineParts<Conversation, z.output<typeof submittedMessage>, ConversationEntry, MessageTotals>({
  path: 'messages',
  table: 'conversationmessages',
  verb: 'message',
  input: submittedMessage,
  entry: messageEntry,
  nameMember: 'message_id',
  namePrefix: MESSAGE_PREFIX,
  more: { reactions, edits },
  came: (record) =>
    record.messages.map((one) => ({ ...one, change: 'message', changed_by: one.sender, changed_at: record.created_at })),
  timeMember: 'timestamp',
  // What was said and by whom is about whoever said it; who edited or reacted is about them as well. Emoji tell nobody.
  sensitive: {
    '/sender': 'pii', '/content': 'pii', '/attachments': 'pii', '/reacted_by': 'pii', '/edited_by': 'pii',
    '/changed_by': 'pii', '/posted_checksum': 'pii',
  },
  subjects: {
    '/sender': ['/sender'],
    '/content': ['/sender', '/edited_by'],
    '/attachments': ['/sender', '/edited_by'],
    '/reacted_by': ['/reacted_by/*/sender'],
    '/edited_by': ['/edited_by'],
    '/changed_by': ['/changed_by'],
    '/posted_checksum': ['/sender'],
  },
  shownAt: '/messages/*',
  shown: MESSAGES_AT_ONCE,
  stream: true,
  initial: { added: 0 },
  example: { message_id: 'figures', sender: 'cfo', content: 'The figures are attached.', attachments: ['figures.pdf'] },
  add: ({ record, previous, totals }, { message_id: id = '', ...input }, context) => {
    const posted = { ...input, reactions: [...new Set(input.reactions)] };
    if (previous !== undefined) {
      const same = (previous.posted_checksum ?? postedChecksum(previous)) === postedChecksum(posted);
      if (same && (posted.timestamp === undefined || posted.timestamp === previous.timestamp)) return undefined;
    }
    const ahead = aheadIssues(posted.timestamp, context);
    if (ahead.length > 0) throw invalid(ahead);
    if (previous !== undefined) throw new AppError('record-exists', 'There is another message of this message_id.');
    const now = formatTime(context.nowMs);
    const timestamp = posted.timestamp ?? now;
    const added = totals.added + 1;
    const number = record.message_count + added;
    return {
      entry: { message_id: id, number, ...posted, timestamp, change: 'message', changed_by: posted.sender, changed_at: now },
      totals: { added, last: later(totals.last, timestamp), changed: now },
      details: { name: id },
    };
  },
  derive: (record, { added, last, changed: changedAt }, entries) => ({
    ...record,
    updated_at: changedAt === undefined ? record.updated_at : later(record.updated_at, changedAt),
    messages: entries
      .map(({ change: _, changed_by: __, changed_at: ___, posted_checksum: ____, ...shown }) => shown)
      .sort((a, b) => a.number - b.number),
    message_count: record.message_count + added,
    ...(last === undefined ? {} : { last_message_at: later(record.last_message_at, last) }),
  }),
}); // prettier-ignore

/** What people and agents say to each other, kept message by message (REQ-DATA-007). */
export const conversationType = defineRecord<Conversation, z.output<typeof submittedConversation>>({
  recordType: 'conversation',
  collection: 'conversations',
  table: 'conversations',
  idPrefix: 'con',
  idField: 'conversation_id',
  schemaVersion: '1.0',
  migrations: [],
  schema: conversation,
  createSchema: submittedConversation,
  create,
  orderedBy: 'created_at',
  partition: { kind: 'month-of-creation' },
  links: METADATA_LINKS,
  summary: ['conversation_type', 'message_count', 'last_message_at'],
  indexes: [{ name: 'conversation_type', fields: ['conversation_type'] }],
  immutable: [
    'conversation_id', 'conversation_type', 'created_at', 'updated_at', 'messages', 'message_count', 'last_message_at',
  ], // prettier-ignore
  settle: (next, previous, { nowMs }) => ({ ...next, updated_at: endTime(previous.updated_at, nowMs) }),
  check,
  sensitive: {
    // Who talks, and to whom: people among them.
    '/participants/*': 'pii',
    '/messages/*/sender': 'pii',
    '/messages/*/edited_by': 'pii',
    '/messages/*/reacted_by': 'pii',
    // What people say, in words and in names of files.
    '/messages/*/content': 'pii',
    '/messages/*/attachments': 'pii',
    ...METADATA_SENSITIVE,
  },
  subjects: {
    [EVERY_VALUE]: METADATA_SUBJECTS,
    '/participants/*': ['/participants/*'],
    '/messages/*/sender': ['/messages/*/sender'],
    '/messages/*/edited_by': ['/messages/*/sender', '/messages/*/edited_by'],
    '/messages/*/reacted_by': ['/messages/*/sender', '/messages/*/reacted_by/*/sender'],
    '/messages/*/content': ['/messages/*/sender'],
    '/messages/*/attachments': ['/messages/*/sender'],
  },
  erasedWhole: true,
  tiers: { coolAfterDays: 30, archiveAfterDays: 90 },
  retention: { years: 3, from: 'created_at', floor: false },
  actions: {},
  parts: messages,
  example: {
    conversation_type: 'boardroom',
    participants: ['ceo', 'cfo'],
    messages: [{ message_id: 'welcome', sender: 'ceo', content: 'Shall we open a second warehouse?' }],
    metadata: { topic: 'warehouse' },
  },
});
