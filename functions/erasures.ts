import { app } from '@azure/functions';
import { httpServices } from '../src/composition.js';
import { ALL_METHODS, handle } from '../src/http/handle.js';
import { erasuresResource } from '../src/http/resources/erasures.js';

app.http('erasures', {
  route: 'erasures',
  methods: [...ALL_METHODS],
  authLevel: 'anonymous',
  handler: handle(erasuresResource, httpServices),
});
