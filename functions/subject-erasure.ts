import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { subjectErasureResource } from '../src/http/resources/erasures.js';

app.http('subject-erasure', {
  route: 'subjects/{subject}/erasure',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(subjectErasureResource, httpServices),
});
