import { RECORD_TYPES } from '../../src/records/registry.js';
import { describeTypeFaults } from './types-suite.js';

/** `matrix.test.ts` does the same to everything decisions do. */
describeTypeFaults(RECORD_TYPES);
