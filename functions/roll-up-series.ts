import { app } from '@azure/functions';
import { config, jobs } from '../src/composition.js';

app.timer('roll-up-series', {
  schedule: config().rollUpSeriesSchedule,
  handler: async () => {
    await (await jobs()).run('roll-up-series');
  },
});
