import { formatTime, parseTime, type Clock } from '../domain/clock.js';
import {
  ERASURE_TYPE,
  finalMs,
  isOpenErasure,
  type ErasureCertificate,
  type ErasureObstacle,
} from '../domain/erasure.js';
import { isAppError } from '../domain/errors.js';
import type { JsonObject } from '../domain/canonical-json.js';
import type { FoundErasure } from '../storage/erasure-rows.js';
import type { ErasureStore } from '../storage/erasure-store.js';
import type { CallContext, IntegrityFinding } from '../storage/manager-types.js';
import { integrityPlace } from '../storage/record-row.js';
import type { SubjectIndex } from '../storage/subject-rows.js';
import { addCounts } from './job.js';
import type { WholeRecords } from './whole-records.js';
import type { FoundRecords, SubjectRecords } from './subject-records.js';

/** Keys of data subjects, by blind hashes of names (`security/keys/data-keys.ts`). */
export interface SubjectKeys {
  standingOf(tenant: string, subject: string): Promise<{ readonly known: boolean; readonly keyId?: string; readonly destroyedAt?: string }>; // prettier-ignore
  /** Since when it is destroyed: by the clock of who did it, and by the service's. */
  destroyKey(tenant: string, subject: string, keyId: string): Promise<{ readonly at: string; readonly storedMs: number }>; // prettier-ignore
}

/** Pseudonyms, by blind hashes of names (`audit/actors.ts`). */
export interface ActorMappings {
  knows(tenant: string, actor: string): Promise<boolean>;
  remove(tenant: string, actor: string): Promise<number>;
}

export interface EraserTools {
  readonly store: ErasureStore;
  readonly records: SubjectRecords;
  readonly whole: Pick<WholeRecords, 'dispose'>;
  readonly index: SubjectIndex;
  readonly keys: SubjectKeys;
  readonly actors: ActorMappings;
  readonly seal: (tenant: string) => Promise<{ readonly busy: boolean }>;
  /** Forgets what this process has opened. */
  readonly forget: () => void;
  readonly clock: Clock;
  /** How long backups of the table of keys are kept, milliseconds. */
  readonly backupMs: number;
  /** Audits a finding. Must not throw. */
  readonly report: (finding: IntegrityFinding, call: CallContext) => Promise<void>;
}

/**
 * `done`: nothing is left to do, ever; `open`: something is, later; `more`: something is, at once; `gone`: there is no such
 * erasure.
 */
export type Erased = 'done' | 'open' | 'more' | 'gone';

const NAME = 'job:erase';

/**
 * Erases a subject (lifecycle.md, Erasure): finds what there is, asks the holds, destroys the one key that opens it, and
 * whatever leads from the name to what is left. Every call goes on where the row says that the last one was; each of its
 * steps may be repeated and may be done by several hosts at once, and what is said in the end is said once.
 */
export class SubjectEraser {
  constructor(private readonly tools: EraserTools) {}

  /**
   * Goes on with an erasure: one piece of it, so that whoever stops the job need not wait. Throws `storage-unavailable`;
   * damage and holds are said in its row, and it is tried again.
   */
  async goOn(tenant: string, id: string, timeIsUp: () => boolean): Promise<Erased> {
    const { store } = this.tools;
    const call = { tenant, actor: NAME, correlationId: id };
    let found: FoundErasure | undefined;
    try {
      found = await store.find(tenant, id);
      if (found === undefined) return 'gone';
      if (isOpenErasure(found.state) && (await this.#step(call, found, timeIsUp)) === 'more') return 'more';
    } catch (error) {
      await this.#hindered(call, found, error);
    }
    const now = await store.find(tenant, id);
    if (now === undefined || isOpenErasure(now.state)) return 'open';
    await store.close(tenant, id);
    return 'done';
  }

  /** `more` when it has not come to the end of what there is to do now. */
  async #step(
    call: CallContext,
    erasure: FoundErasure,
    timeIsUp: () => boolean,
  ): Promise<'more' | undefined> {
    const { tenant } = call;
    if (erasure.state === 'provisional') await this.#certify(call, erasure);
    else if (!(await this.tools.index.isComplete(tenant))) await this.#wait(tenant, erasure, 'index');
    // What was committed and is not sealed is in no index yet.
    else if (erasure.disposed !== undefined || !(await this.tools.seal(tenant)).busy) {
      const begun = erasure.keyId === undefined ? await this.#begin(call, erasure) : erasure;
      if (begun !== undefined) return this.#destroy(call, begun, timeIsUp);
    }
    return undefined;
  }

  /** Says what there is before any of it is gone. */
  async #begin(call: CallContext, erasure: FoundErasure): Promise<FoundErasure | undefined> {
    const { keys, actors, store, records } = this.tools;
    const { tenant } = call;
    const { subject } = erasure;
    const found = await records.find(tenant, subject);
    const standing = await keys.standingOf(tenant, subject);
    const named = await actors.knows(tenant, erasure.actor);
    if (!standing.known && !named && isEmpty(found)) {
      const now = { state: 'unknown-subject', waitingFor: undefined } as const;
      const details = { state: now.state };
      await store.advance(call, erasure, now, { eventType: 'subject.erased', action: 'find', outcome: 'failure', details }); // prettier-ignore
      return undefined;
    }
    const key = standing.keyId === undefined ? (standing.destroyedAt === undefined ? 'none' : 'destroyed-before') : 'destroyed'; // prettier-ignore
    const certificate: ErasureCertificate = {
      ...saidOf(found),
      key,
      ...(standing.destroyedAt === undefined ? {} : { key_destroyed_at: standing.destroyedAt }),
      actors: named ? 1 : 0,
      final_at: '',
    };
    const now = {
      state: 'erasing',
      waitingFor: undefined,
      keyId: standing.keyId ?? '',
      certificate,
    } as const;
    const saved = await store.save(tenant, erasure, now);
    const next = saved ? await store.find(tenant, erasure.erasureId) : undefined;
    return next?.state === 'erasing' ? next : undefined;
  }

  async #destroy(
    call: CallContext,
    erasure: FoundErasure,
    timeIsUp: () => boolean,
  ): Promise<'more' | undefined> {
    const { keys } = this.tools;
    const { subject, keyId = '', certificate: draft } = erasure;
    if (draft === undefined) return undefined;
    // Asked anew, and as late as can be, unless it is done already; of a key that the name has since nothing is known here.
    const stands = keyId !== '' && (await keys.standingOf(call.tenant, subject)).keyId === keyId;
    const now = stands ? await this.#ready(call, erasure, draft, timeIsUp) : { erasure, certificate: draft };
    if (now === undefined || now === 'more') return now;
    const { certificate } = now;
    const gone = keyId === '' ? undefined : await keys.destroyKey(call.tenant, subject, keyId);
    const done = gone === undefined ? certificate : { ...certificate, key_destroyed_at: gone.at };
    await this.#unlink(call, now.erasure, done, gone?.storedMs);
    return undefined;
  }

  /**
   * Disposes of what is the subject's alone, which nobody could tell any more once the key is gone, and counts it all. Where
   * that is much, a piece of it, and the row says how far it came; each piece asks for holds on everything again where any
   * was placed since.
   */
  async #ready(
    call: CallContext,
    erasure: FoundErasure,
    draft: ErasureCertificate,
    timeIsUp: () => boolean,
  ): Promise<{ erasure: FoundErasure; certificate: ErasureCertificate } | 'more' | undefined> {
    const { records, store, whole } = this.tools;
    const { tenant } = call;
    const { subject, disposed } = erasure;
    const holds = await records.holdsInForce(tenant);
    const said = disposed?.holds === holds ? {} : saidOf(await records.find(tenant, subject));
    const { deleted, upTo, more } = await whole.dispose(call, subject, disposed?.upTo ?? '', timeIsUp);
    const before = disposed === undefined ? {} : (draft.deleted ?? {});
    const all = addCounts(before, deleted);
    const certificate = { ...draft, ...said, ...(Object.keys(all).length === 0 ? {} : { deleted: all }) };
    if (!more && disposed === undefined && Object.keys(deleted).length === 0) return { erasure, certificate };
    // Written down, for whoever goes on with it, also when the key is gone.
    const now = { state: 'erasing', waitingFor: undefined, certificate, disposed: { upTo, holds } } as const;
    const saved = await store.save(tenant, erasure, now);
    const next = saved ? await store.find(tenant, erasure.erasureId) : undefined;
    if (next === undefined || more) return next && 'more';
    // That took its time: what came since is looked for, and holds are asked once more.
    if ((await this.tools.seal(tenant)).busy) return undefined;
    await records.find(tenant, subject);
    return { erasure: next, certificate };
  }

  /** Whatever leads from the name to what is left. */
  async #unlink(
    call: CallContext,
    erasure: FoundErasure,
    done: ErasureCertificate,
    goneMs?: number,
  ): Promise<void> {
    const { actors, store, clock, backupMs } = this.tools;
    this.tools.forget();
    await actors.remove(call.tenant, erasure.actor);
    await this.#unindex(call.tenant, erasure.subject, goneMs);
    const destroyedMs = parseTime(done.key_destroyed_at ?? '') ?? clock.now();
    const certificate = { ...done, final_at: formatTime(finalMs(destroyedMs, backupMs)) };
    const now = { state: 'provisional', waitingFor: undefined, certificate, disposed: undefined } as const;
    const details = { state: now.state, ...(certificate as unknown as JsonObject) };
    await store.advance(call, erasure, now, { eventType: 'subject.erased', action: 'erase', details });
  }

  /** The final certificate, once nothing is left anywhere. */
  async #certify(call: CallContext, erasure: FoundErasure): Promise<void> {
    const { clock, index, store } = this.tools;
    const { certificate } = erasure;
    if (certificate === undefined || clock.now() < (parseTime(certificate.final_at) ?? Infinity)) return;
    for await (const page of index.pagesOf(call.tenant, erasure.subject, { older: true }))
      if (page.length > 0) return this.#wait(call.tenant, erasure, 'sealed-before-data-keys');
    const now = { state: 'complete', waitingFor: undefined } as const;
    const details = { state: now.state, ...(certificate as unknown as JsonObject) };
    await store.advance(call, erasure, now, { eventType: 'subject.erased', action: 'certify', details });
  }

  /**
   * What the index has of the subject since before the key went. What is written about the name later is of a later time, and
   * stays, also where a host died in between: without its row no hold on the name would reach it, and no later erasure.
   */
  async #unindex(tenant: string, subject: string, goneMs = Infinity): Promise<void> {
    const { index } = this.tools;
    for await (const page of index.pagesOf(tenant, subject))
      await index.remove(tenant, page.filter(({ storedMs }) => storedMs <= goneMs)); // prettier-ignore
  }

  async #wait(tenant: string, erasure: FoundErasure, waitingFor: ErasureObstacle): Promise<void> {
    if (erasure.waitingFor !== waitingFor) await this.tools.store.save(tenant, erasure, { waitingFor });
  }

  async #hindered(call: CallContext, seen: FoundErasure | undefined, error: unknown): Promise<void> {
    const place = integrityPlace(error);
    const waitingFor = place === undefined ? (isAppError(error, 'record-on-hold') ? 'hold' : undefined) : 'damage'; // prettier-ignore
    if (waitingFor === undefined || seen === undefined) {
      if (place !== undefined) await this.tools.report({ recordType: ERASURE_TYPE, ...place }, call);
      throw error;
    }
    const erasure = await this.tools.store.find(call.tenant, seen.erasureId);
    if (erasure === undefined || erasure.waitingFor === waitingFor || !isOpenErasure(erasure.state)) return;
    // Told once, however often it is tried.
    if (place !== undefined) await this.tools.report({ recordType: ERASURE_TYPE, ...place }, call);
    // A hold is asked for before anything is destroyed; of what is provisional nothing is left to do but to wait.
    const now = waitingFor === 'damage' ? 'incomplete' : 'pending';
    const state = erasure.state === 'provisional' ? erasure.state : now;
    // Who knows for how long: from the beginning then.
    await this.tools.store.save(call.tenant, erasure, { state, waitingFor, disposed: undefined });
  }
}

function isEmpty({ records, older }: FoundRecords): boolean {
  return Object.keys(records).length === 0 && older === 0;
}

function saidOf({ records, older }: FoundRecords): Pick<ErasureCertificate, 'records' | 'sealed_before_data_keys'> {
  return { records, sealed_before_data_keys: older };
} // prettier-ignore
