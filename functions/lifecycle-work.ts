import { app } from '@azure/functions';
import { lifecycleWorkHandler } from '../src/composition.js';
import { deliveryOf } from '../src/queue/delivery.js';
import { QUEUES } from '../src/storage/keys.js';

app.storageQueue('lifecycle-work', {
  queueName: QUEUES.lifecycle,
  connection: 'AzureWebJobsStorage',
  handler: async (message, context) => {
    await (await lifecycleWorkHandler()).handle(message, deliveryOf(context));
  },
});
