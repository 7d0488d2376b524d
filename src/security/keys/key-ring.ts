import type { BlindIndex } from '../../domain/blind-index.js';
import type { SecretBox } from '../../domain/commitment.js';
import { AesSecretBox } from '../secret-box.js';
import { SealedV1 } from '../sealed-v1.js';
import { DataKeys } from './data-keys.js';
import { HmacBlindIndex } from './hmac-blind-index.js';
import { KeyRotation } from './key-rotation.js';
import { TenantKeys, type KeyTools } from './tenant-keys.js';

/** Everything that works with the keys of tenants and data subjects. */
export interface KeyRing {
  readonly secretBox: SecretBox;
  readonly blindIndex: BlindIndex;
  readonly dataKeys: DataKeys;
  readonly rotation: KeyRotation;
}

/**
 * Wires it to one storage; `wrappingKeys` are those that were given to the process, for what was sealed under them before
 * there were data keys. Nothing is read or written before something is called.
 */
export function openKeyRing(tools: KeyTools, wrappingKeys: readonly Uint8Array[]): KeyRing {
  const tenants = new TenantKeys(tools);
  const dataKeys = new DataKeys(tools, tenants);
  return {
    secretBox: new AesSecretBox(dataKeys, new SealedV1(wrappingKeys), tools.entropy),
    blindIndex: new HmacBlindIndex(tenants),
    dataKeys,
    rotation: new KeyRotation(tools),
  };
}
