import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { erasureResource } from '../src/http/resources/erasures.js';

app.http('erasure', {
  route: 'erasures/{id}',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(erasureResource, httpServices),
});
