import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { holdsResource } from '../src/http/resources/holds.js';

app.http('holds', {
  route: 'holds',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(holdsResource, httpServices),
});
