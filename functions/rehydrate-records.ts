import { app } from '@azure/functions';
import { config, jobs } from '../src/composition.js';

app.timer('rehydrate-records', {
  schedule: config().rehydrateSchedule,
  handler: async () => {
    await (await jobs()).run('rehydrate');
  },
});
