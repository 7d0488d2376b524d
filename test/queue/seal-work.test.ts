import { describe, expect, it } from 'vitest';
import { created, newTenant } from '../support/decisions.js';
import { httpHost } from '../support/http-harness.js';
import { memoryPorts } from '../support/memory-ports.js';
import { realClock } from '../support/virtual-clock.js';
import { takeAll } from '../support/courier.js';
import { QUEUES } from '../../src/storage/keys.js';

describe('a seal-work message', () => {
  const ports = memoryPorts({ clock: realClock });
  const host = httpHost(ports);
  const tenant = newTenant();

  it('is sent after a commit and seals the tenant it names, however often it is delivered', async () => {
    const record = await created(host, {}, { tenant });
    // It waits until the interval that it covers is over.
    expect(await takeAll(ports, QUEUES.seal)).toEqual([]);
    const message = { schema_version: '1.0', tenant };
    for (let n = 0; n < 3; n += 1) await host.platform.sealWorkHandler.handle(message);
    const events = (await host.get('/audit-events', { tenant })).page.items;
    expect(events).toMatchObject([{ resource_id: record.envelope.id, leaf_index: 0 }]);
  });

  it.each([
    'text',
    42,
    null,
    {},
    { schema_version: '2.0', tenant: 'acme' },
    { schema_version: '1.0', tenant: 'A' },
  ])('that is %j is refused', async (payload) => {
    await expect(host.platform.sealWorkHandler.handle(payload)).rejects.toMatchObject({
      code: 'record-invalid',
    });
  });
});
