import { app } from '@azure/functions';
import { config, jobs } from '../src/composition.js';

app.timer('move-parts', {
  schedule: config().movePartsSchedule,
  handler: async () => {
    await (await jobs()).run('move-parts');
  },
});
