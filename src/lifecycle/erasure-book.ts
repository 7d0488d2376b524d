import { acceptErasure, ERASURE_TYPE, type Erasure } from '../domain/erasure.js';
import { AppError } from '../domain/errors.js';
import type { ErasureStore, WrittenErasure } from '../storage/erasure-store.js';
import { fingerprintOf, scopeOf } from '../storage/idempotency.js';
import type { CallContext, IntegrityFinding, Page } from '../storage/manager-types.js';
import { integrityPlace } from '../storage/record-row.js';
import type { SubjectRecords } from './subject-records.js';

export interface ErasureBookTools {
  readonly store: ErasureStore;
  readonly records: Pick<SubjectRecords, 'find'>;
  readonly seal: (tenant: string) => Promise<unknown>;
  /** Audits a finding. Must not throw. */
  readonly report: (finding: IntegrityFinding, call: CallContext) => Promise<void>;
}

/** Erasures as they are asked for and shown. All throw `storage-unavailable`, `integrity-failure`. */
export class ErasureBook {
  constructor(private readonly tools: ErasureBookTools) {}

  /**
   * Takes on the erasure of a subject, whom the body names or the address does (`named`); the job does it. Throws
   * `record-invalid`, and `record-on-hold` when a hold is on the subject or on a record about it: then nothing is stored.
   */
  async request(body: unknown, named: string | undefined, call: CallContext): Promise<WrittenErasure> {
    const asked = acceptErasure(body, named);
    // A key is of the caller, whichever address says whom it is about; nothing that is stored may come from that address.
    const idempotency = call.idempotency && {
      ...call.idempotency,
      scope: scopeOf(call.actor, '/api/erasures'),
      fingerprint: fingerprintOf(asked),
    };
    return this.#audited(call, () =>
      this.tools.store.place(asked, { ...call, idempotency }, async (subject) => {
        await this.tools.seal(call.tenant);
        await this.tools.records.find(call.tenant, subject);
      }),
    );
  }

  /** One point read. Throws `record-not-found`. */
  async get(id: string, call: CallContext): Promise<Erasure> {
    return this.#audited(call, async () => {
      const found = await this.tools.store.find(call.tenant, id);
      if (found === undefined) throw new AppError('record-not-found', 'There is no such erasure.');
      return this.tools.store.shown(call.tenant, found);
    });
  }

  /** Newest first, in pages. One that is damaged is left out. */
  async list(
    query: { readonly limit: number; readonly cursor?: string | undefined },
    call: CallContext,
  ): Promise<Page<Erasure>> {
    const found: IntegrityFinding[] = [];
    const page = await this.tools.store.list(call.tenant, query, found);
    for (const finding of found) await this.tools.report(finding, call);
    return page;
  }

  async #audited<T>(call: CallContext, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const place = integrityPlace(error);
      if (place !== undefined) await this.tools.report({ recordType: ERASURE_TYPE, ...place }, call);
      throw error;
    }
  }
}
