import { app } from '@azure/functions';
import { config, jobs } from '../src/composition.js';

app.timer('archive-series', {
  schedule: config().archiveSeriesSchedule,
  handler: async () => {
    await (await jobs()).run('archive-series');
  },
});
