import { STORAGES } from '../support/storages.js';
import { recordTableContract } from './record-table-contract.js';

for (const kind of STORAGES) recordTableContract(kind);
