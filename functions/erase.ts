import { app } from '@azure/functions';
import { config, jobs } from '../src/composition.js';

app.timer('erase', {
  schedule: config().eraseSchedule,
  handler: async () => {
    await (await jobs()).run('erase');
  },
});
