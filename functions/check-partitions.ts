import { app } from '@azure/functions';
import { config, jobs } from '../src/composition.js';

app.timer('check-partitions', {
  schedule: config().checkPartitionsSchedule,
  handler: async () => {
    await (await jobs()).run('check-partitions');
  },
});
