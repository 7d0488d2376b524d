import { RECORD_TYPES } from '../../src/records/registry.js';
import { describeRoutes } from './types-suite.js';

describeRoutes(RECORD_TYPES);
