import { z } from 'zod';

/** A request to seal a tenant; any number of them, in any order, is harmless. */
export const sealWorkSchema = z.strictObject({
  schema_version: z.literal('1.0'),
  tenant: z.string().regex(/^(_system|[a-z0-9-]{1,63})$/),
});
export type SealWork = z.infer<typeof sealWorkSchema>;

/** The text of a `seal-work` message. */
export function sealWorkText(tenant: string): string {
  const work: SealWork = { schema_version: '1.0', tenant };
  return JSON.stringify(work);
}
