import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { lineageResource } from '../src/http/resources/lineage.js';

app.http('lineage', {
  route: '{collection}/{id}/lineage',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(lineageResource, httpServices),
});
