import { app } from '@azure/functions';
import { config, jobs } from '../src/composition.js';

app.timer('anchor-logs', {
  schedule: config().anchoring.schedule,
  handler: async () => {
    await (await jobs()).run('anchor-logs');
  },
});
