import { sealWorkSchema } from '../audit/seal-work.js';
import type { Sealer } from '../audit/sealer.js';
import { parseShape } from '../domain/apply-change.js';

/** Seals the tenant that a `seal-work` message names; harmless when there is nothing to seal. */
export class SealWorkHandler {
  constructor(private readonly sealer: Pick<Sealer, 'sealTenant'>) {}

  /** One delivery. Throwing means deliver it again; somebody else sealing is as good as done. */
  async handle(payload: unknown): Promise<void> {
    const { tenant } = parseShape(sealWorkSchema, payload);
    await this.sealer.sealTenant(tenant);
  }
}
