import { app } from '@azure/functions';
import { config, jobs } from '../src/composition.js';

app.timer('collect-orphans', {
  schedule: config().collectOrphansSchedule,
  handler: async () => {
    await (await jobs()).run('collect-orphans');
  },
});
