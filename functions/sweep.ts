import { app } from '@azure/functions';
import { config, sweeper } from '../src/composition.js';

app.timer('sweep', {
  schedule: config().sweepSchedule,
  // What was pending when the process before us died is sealed soon after the start.
  runOnStartup: true,
  handler: async () => {
    await (await sweeper()).sweep();
  },
});
