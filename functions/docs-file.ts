import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { docsFileResource } from '../src/http/resources/docs.js';

app.http('docs-file', {
  route: 'docs/{file}',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(docsFileResource, httpServices),
});
