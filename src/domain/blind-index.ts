/**
 * Tells whether two values are the same without telling what they are: what a sensitive value, or a name, is looked up
 * by (security.md, Equality search). Implemented in `security/`.
 */
export interface BlindIndex {
  /**
   * 32 hex digits of a keyed hash of `value` under a key of the tenant: the same for the same text, another one for another
   * tenant or purpose. Two spellings of one text in Unicode (NFC and NFD) are the same; case and spaces count.
   * `purpose` names what is looked up, e.g. a table and a field, so that hashes of two fields cannot be held against each
   * other. Throws `storage-unavailable`; `integrity-failure` when the tenant's key does not hold together.
   */
  blind(tenant: string, purpose: string, value: string): Promise<string>;
}
