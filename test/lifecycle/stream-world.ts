import type { Entropy } from '../../src/domain/clock.js';
import type { Platform } from '../../src/platform.js';
import { conversationType } from '../../src/records/conversation.js';
import { packUuidOf } from '../../src/storage/pack-rows.js';
import { caller, testPlatform } from '../support/platform.js';
import { seededEntropy } from '../support/entropy.js';
import { wrapPorts, type Intercept } from '../support/wrap-ports.js';
import { ArchiveWorld } from './archive-world.js';
import { DAY } from './support.js';

export const TABLE = 'conversationmessages';
/** Text of which four messages are a pack, however they are spread over conversations. */
export const LONG = 'What was said at length. '.repeat(1200);

/** Ids that all end with one digit: what grows with the records is in one partition. */
function sameDigit(seed: string): Entropy {
  const inner = seededEntropy(seed);
  return {
    bytes: (count) => {
      const bytes = inner.bytes(count);
      if (count === 16) bytes[15] = (bytes[15] as number) & 0xf0;
      return bytes;
    },
  };
}

let hosts = 0;

/** A storage in memory on which conversations grow old. */
export class StreamWorld extends ArchiveWorld {
  #speaker: Platform | undefined;

  /** A host that people talk through, and nothing else. */
  get #manager(): Platform['manager'] {
    this.#speaker ??= this.host();
    return this.#speaker.manager;
  }

  override host(intercept?: Intercept, ports = this.ports): Platform {
    hosts += 1;
    const wrapped = intercept === undefined ? ports : wrapPorts(ports, intercept);
    return testPlatform(wrapped, { clock: this.clock, entropy: sameDigit(`stream host ${String(hosts)}`) });
  }

  /** Conversations of so many messages each, which have moved into append blobs. */
  async talks(count: number, messages: number, content = LONG): Promise<readonly string[]> {
    await this.indexed();
    const ids: string[] = [];
    for (let at = 0; at < count; at += 1) {
      this.clock.pass(1000);
      const body = { conversation_type: 'boardroom', participants: ['ceo'] };
      const { envelope } = await this.#manager.create(conversationType, body, caller());
      ids.push(envelope.id);
      await this.say(envelope.id, messages, content);
    }
    return ids;
  }

  async say(id: string, count: number, content = LONG): Promise<void> {
    for (let at = 0; at < count; at += 1) {
      this.clock.pass(10);
      await this.#manager.addPart(conversationType, id, 'messages', { sender: 'é', content: `${String(at)} ${content}` }, undefined, caller()); // prettier-ignore
    }
    await this.move(id);
  }

  move(id: string, { manager }: Pick<Platform, 'manager'> = { manager: this.#manager }): Promise<number> {
    return manager.digestParts(conversationType, 'default', id);
  }

  /** Every message of conversations as a list shows it, and what a read of the conversation shows, by a host that has kept nothing. */
  async heard(ids: readonly string[]): Promise<string> {
    const { manager } = this.host();
    const all: unknown[] = [];
    for (const id of ids) {
      const { items } = await manager.listParts(conversationType, id, 'messages', { limit: 1000 }, caller());
      const { envelope } = await manager.get(conversationType, id, caller());
      all.push(items, { ...envelope, tier: undefined });
    }
    return JSON.stringify(all);
  }

  /** What happens to who asks for the messages of one. */
  async asks(id: string): Promise<string> {
    try {
      await this.heard([id]);
      return 'heard';
    } catch (error) {
      return (error as { code?: string }).code ?? String(error);
    }
  }

  /** Blobs with lines of entries: append blobs, and packs of them. */
  appends() {
    return this.blobs().filter(({ kind }) => kind === 'append');
  }
  streamPacks() {
    return this.blobs().filter(({ name }) => packUuidOf(name) !== undefined && name.includes('/_streams/'));
  }

  /** Conversations that have been in the cool tier for as long as they are. */
  async cooled(count: number, messages: number): Promise<readonly string[]> {
    const ids = await this.talks(count, messages);
    this.clock.pass(31 * DAY);
    await this.archive();
    return ids;
  }

  async archived(count: number, messages: number): Promise<readonly string[]> {
    const ids = await this.cooled(count, messages);
    this.clock.pass(60 * DAY);
    await this.archive();
    return ids;
  }
}
