import { expect } from 'vitest';
import { StorageFault, type StorageFaultKind } from '../../src/storage/ports.js';

/** Expects that a port call fails with a fault of `kind`, and gives the fault. */
export async function expectFault(kind: StorageFaultKind, call: Promise<unknown>): Promise<StorageFault> {
  const error: unknown = await call.then(
    (value) => expect.fail(`expected ${kind}, but the call resolved to ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  );
  if (!(error instanceof StorageFault)) throw error;
  expect(error.kind, error.message).toBe(kind);
  return error;
}
