import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { eventProofResource } from '../src/http/resources/proofs.js';

app.http('audit-event-proof', {
  route: 'audit-events/{id}/proof',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(eventProofResource, httpServices),
});
