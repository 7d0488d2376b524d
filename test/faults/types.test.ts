import { vi } from 'vitest';
import { RECORD_TYPES } from '../../src/records/registry.js';
import { describeTypeFaults } from './types-suite.js';

// Each run starts five processes: caches of full size take longer to make than everything else.
vi.mock('lru-cache', () => import('../support/small-caches.js'));

/** `matrix.test.ts` does the same to everything decisions do. */
describeTypeFaults(RECORD_TYPES);
