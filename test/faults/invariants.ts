import type { StorageContents } from '../support/memory-ports.js';
import { configurationViolations } from './invariants-configuration.js';
import { holdViolations } from './invariants-holds.js';
import { actorViolations, logViolations } from './invariants-log.js';
import { lineageViolations } from './invariants-lineage.js';
import {
  blobViolations,
  directoryViolations,
  indexViolations,
  promiseViolations,
  recordViolations,
  restViolations,
} from './invariants-records.js';
import { surveyOf, type Survey } from './invariants-survey.js';

/**
 * What must hold of a storage at every moment, whatever is under way in it: a record is there with its revisions, its
 * blobs and its index rows, or nothing of it is.
 */
export function halfDoneViolations(contents: StorageContents): string[] {
  const survey = surveyOf(contents);
  return [
    ...recordViolations(survey),
    ...indexViolations(survey, { atRest: false }),
    ...lineageViolations(survey),
  ].map((violation) => `before recovery: ${violation}`);
}

export interface InvariantOptions {
  /** Whether blobs that no row names have had time to be collected, and there is somebody to collect them. */
  readonly collected: boolean;
}

/**
 * What must hold of a whole storage once everything has come to rest, whatever happened to it. Resolves to what does
 * not, in words; nothing here uses the code that wrote it, but for the parsers of single rows and blobs.
 */
export function violationsOf(
  contents: StorageContents,
  options: InvariantOptions,
): { readonly survey: Survey; readonly violations: string[] } {
  const survey = surveyOf(contents);
  const violations = [
    ...recordViolations(survey),
    ...indexViolations(survey, { atRest: true }),
    ...lineageViolations(survey),
    ...blobViolations(survey, options),
    ...logViolations(survey),
    ...actorViolations(survey),
    ...configurationViolations(survey),
    ...holdViolations(survey),
    ...directoryViolations(survey),
    ...promiseViolations(survey),
    ...restViolations(survey),
  ];
  return { survey, violations };
}
