import { app } from '@azure/functions';
import { config, jobs } from '../src/composition.js';

app.timer('expire-keys', {
  schedule: config().expireKeysSchedule,
  handler: async () => {
    await (await jobs()).run('expire-keys');
  },
});
