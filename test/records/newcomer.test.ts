import { describe, expect, it, vi } from 'vitest';
import { RECORD_TYPES, RecordRegistry } from '../../src/records/registry.js';
import { read } from '../architecture/support.js';
import { describeTypeFaults } from '../faults/types-suite.js';
import { describeBadInput } from '../http/bad-input-suite.js';
import { describeRoutes } from '../http/types-suite.js';
import { describeInbox, postedRecords } from '../queue/inbox-suite.js';
import { describeTypes } from './generic-suite.js';
import { incidentType } from './newcomer/incident.js';

// Caches of full size take longer to make than all that the suites do.
vi.mock('lru-cache', () => import('../support/small-caches.js'));

/** Somebody adds a type as docs/add-a-record-type.md says, with one file; everything else has to follow. */
describe('a type that is added as the documentation says', () => {
  it('is the one that stands there, word for word', () => {
    const [, shown] = /```ts\n([\s\S]*?)```/.exec(read('docs/add-a-record-type.md')) ?? [];
    expect(shown?.replaceAll("'../", "'../../../src/")).toBe(read('test/records/newcomer/incident.ts'));
  });

  it('needs no more than its file and its entry', () => {
    const registry = new RecordRegistry([...RECORD_TYPES, incidentType]);
    expect(registry.findByCollection('incidents')).toBe(incidentType);
  });
});

describeTypes([incidentType]);
describeRoutes([incidentType]);
describeBadInput([incidentType]);
describeInbox([postedRecords(incidentType)], [incidentType]);
describeTypeFaults([incidentType]);
