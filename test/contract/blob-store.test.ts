import { STORAGES } from '../support/storages.js';
import { blobStoreContract } from './blob-store-contract.js';

for (const kind of STORAGES) blobStoreContract(kind);
