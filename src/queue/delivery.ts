import type { InvocationContext } from '@azure/functions';

/** What the queue says of one delivery of a message. */
export interface Delivery {
  readonly messageId: string;
  /** 1 on the first delivery. */
  readonly dequeueCount: number;
  /** When the message was sent, milliseconds since 1970; undefined when the host does not say. */
  readonly insertedMs: number | undefined;
  readonly invocationId: string;
}

/** Reads the trigger metadata of a queue function. */
export function deliveryOf(context: InvocationContext): Delivery {
  const metadata = context.triggerMetadata ?? {};
  const { id } = metadata;
  const inserted = Date.parse(String(metadata['insertionTime']));
  return {
    messageId: typeof id === 'string' ? id : context.invocationId,
    dequeueCount: Number(metadata['dequeueCount'] ?? 1),
    insertedMs: Number.isNaN(inserted) ? undefined : inserted,
    invocationId: context.invocationId,
  };
}
