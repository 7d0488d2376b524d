import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { holdResource } from '../src/http/resources/holds.js';

app.http('hold', {
  route: 'holds/{id}',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(holdResource, httpServices),
});
