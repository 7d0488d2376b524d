import { app } from '@azure/functions';
import { sealWorkHandler } from '../src/composition.js';
import { QUEUES } from '../src/storage/keys.js';

app.storageQueue('seal-work', {
  queueName: QUEUES.seal,
  connection: 'AzureWebJobsStorage',
  handler: async (message) => (await sealWorkHandler()).handle(message),
});
