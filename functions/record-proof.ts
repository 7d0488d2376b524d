import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { recordProofResource } from '../src/http/resources/proofs.js';

app.http('record-proof', {
  route: '{collection}/{id}/proof',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(recordProofResource, httpServices),
});
