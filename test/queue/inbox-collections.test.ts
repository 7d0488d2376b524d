import { RECORD_TYPES } from '../../src/records/registry.js';
import { describeInbox, postedRecords, type PostedCollection } from './inbox-suite.js';

/** Events of other systems are no records, and are promised as they are. */
const auditEvents: PostedCollection = {
  collection: 'audit-events',
  body: () => ({ event_type: 'crm.login', action: 'login', resource_type: 'account', resource_id: 'acc-7', outcome: 'success' }), // prettier-ignore
  // Its details are at most 28 KiB, and a message carries 48.
  large: undefined,
  content: ({ event_type, action, actor, details, outcome, resource_id, resource_type, severity, tenant }) => ({ event_type, action, actor, details, outcome, resource_id, resource_type, severity, tenant }), // prettier-ignore
};

describeInbox([...RECORD_TYPES.map(postedRecords), auditEvents]);
