import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { nowhereResource } from '../src/http/resources/nowhere.js';

app.http('nowhere', {
  route: '{*path}',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(nowhereResource, httpServices),
});
