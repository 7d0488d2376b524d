import { app } from '@azure/functions';
import { config, jobs } from '../src/composition.js';

app.timer('rotate-keys', {
  schedule: config().rotateKeysSchedule,
  handler: async () => {
    await (await jobs()).run('rotate-keys');
  },
});
