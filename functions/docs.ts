import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { docsResource } from '../src/http/resources/docs.js';

app.http('docs', {
  route: 'docs',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(docsResource, httpServices),
});
