import { app } from '@azure/functions';
import { inboxHandler } from '../src/composition.js';
import { deliveryOf } from '../src/queue/delivery.js';
import { QUEUES } from '../src/storage/keys.js';

app.storageQueue('records-inbox', {
  queueName: QUEUES.inbox,
  connection: 'AzureWebJobsStorage',
  handler: async (message, context) => (await inboxHandler()).handle(message, deliveryOf(context)),
});
