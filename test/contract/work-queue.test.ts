import { STORAGES } from '../support/storages.js';
import { workQueueContract } from './work-queue-contract.js';

for (const kind of STORAGES) workQueueContract(kind);
