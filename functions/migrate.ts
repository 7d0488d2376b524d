import { app } from '@azure/functions';
import { config, jobs } from '../src/composition.js';

app.timer('migrate', {
  schedule: config().migrateSchedule,
  handler: async () => {
    await (await jobs()).run('migrate');
  },
});
