import { app } from '@azure/functions';
import { config, jobs } from '../src/composition.js';

app.timer('archive', {
  schedule: config().archiveSchedule,
  handler: async () => {
    await (await jobs()).run('archive');
  },
});
