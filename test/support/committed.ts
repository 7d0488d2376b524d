import type { Json } from '../../src/domain/canonical-json.js';
import { replaceAt } from '../../src/domain/committed-form.js';
import { commit } from '../../src/domain/commitment.js';

/**
 * The committed form of what an answer shows, made from its own salts as any reader of it can: what its `checksum` is of
 * (architecture.md, the envelope).
 */
export function committedOf({ data, salts = {} }: { readonly data: unknown; readonly salts?: Readonly<Record<string, string>> | undefined }): unknown {
  return Object.entries(salts).reduce((committed, [pointer, salt]) => {
    const path: (string | number)[] = [];
    let value = data;
    for (const token of pointer.split('/').slice(1)) {
      const part = Array.isArray(value) ? Number(token) : token.replaceAll('~1', '/').replaceAll('~0', '~');
      path.push(part);
      value = (value as Record<string | number, unknown>)[part];
    }
    return replaceAt(committed, path, commit({ salt, value: value as Json }));
  }, data);
} // prettier-ignore
