import { app } from '@azure/functions';
import { config, jobs } from '../src/composition.js';

app.timer('index-subjects', {
  schedule: config().indexSubjectsSchedule,
  handler: async () => {
    await (await jobs()).run('index-subjects');
  },
});
