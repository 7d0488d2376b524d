import { app } from '@azure/functions';
import { config, jobs } from '../src/composition.js';

app.timer('verify-logs', {
  schedule: config().verifyLogsSchedule,
  handler: async () => {
    await (await jobs()).run('verify-logs');
  },
});
