import type { Json } from '../domain/canonical-json.js';
import type { Entropy } from '../domain/clock.js';
import { newSalt, type SealingContext, type SecretBox } from '../domain/commitment.js';
import { AppError } from '../domain/errors.js';

/** What is sealed as a whole has no pointer. */
const WHOLE = '';

/** Where a whole value belongs: moved anywhere else, it does not open. */
export type WholePlace = Pick<SealingContext, 'tenant' | 'type' | 'id'>;

/**
 * Encrypts a whole value on its way, such as a message: one text, under the data keys of everybody it is `about`, so that
 * it is erased with each of them, or of nobody. Throws `storage-unavailable`.
 */
export async function sealWhole(
  { secretBox, entropy }: { readonly secretBox: SecretBox; readonly entropy: Entropy },
  place: WholePlace,
  value: Json,
  about: readonly string[],
): Promise<string> {
  const secrets = { [WHOLE]: { salt: newSalt(entropy), value } };
  const sealed = await secretBox.seal({ ...place, revision: 0 }, secrets, { [WHOLE]: about });
  return sealed[WHOLE] as string;
}

/** The inverse. Throws `integrity-failure` for a text that is not what was sealed for the place, `record-erased`. */
export async function openWhole(secretBox: SecretBox, place: WholePlace, text: string): Promise<Json> {
  const { [WHOLE]: secret } = await secretBox.open({ ...place, revision: 0 }, { [WHOLE]: text });
  if (secret === undefined) throw new AppError('record-erased', 'What was sealed has been erased.');
  return secret.value;
}
