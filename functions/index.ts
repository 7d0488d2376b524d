/** Entry of the function app (package.json `main`): importing a file registers its trigger. */
import './lifetime.js';
import './collection.js';
import './collection-batch.js';
import './record.js';
import './record-action.js';
import './revisions.js';
import './revision.js';
import './inbox.js';
import './operation.js';
import './audit-events.js';
import './audit-event.js';
import './health.js';
import './nowhere.js';
import './records-inbox.js';
import './seal-work.js';
import './sweep.js';
