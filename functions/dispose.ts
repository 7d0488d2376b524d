import { app } from '@azure/functions';
import { config, jobs } from '../src/composition.js';

app.timer('dispose', {
  schedule: config().disposeSchedule,
  handler: async () => {
    await (await jobs()).run('dispose');
  },
});
