import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { rehydrateResource } from '../src/http/resources/rehydrate.js';

app.http('rehydrate', {
  route: '{collection}/{id}/rehydrate',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(rehydrateResource, httpServices),
});
