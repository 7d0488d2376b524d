import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { inboxResource } from '../src/http/resources/inbox.js';

app.http('inbox', {
  route: 'inbox/{collection}',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(inboxResource, httpServices),
});
