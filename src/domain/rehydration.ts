import { z } from 'zod';
import { invalid } from './errors.js';
import { jsonIssues } from './json-input.js';
import { parseShape } from './apply-change.js';

/** The body of a request to bring a record back from the archive; strict. */
export const rehydrationRequest = z.strictObject({
  priority: z.enum(['standard', 'high']).default('standard').meta({
    description: 'On Azure within 15 hours, or mostly within one, which costs more.',
  }),
});

/** Parses it. Throws `record-invalid` with pointers. */
export function acceptRehydration(body: unknown): z.output<typeof rehydrationRequest> {
  const issues = jsonIssues(body);
  if (issues.length > 0) throw invalid(issues);
  return parseShape(rehydrationRequest, body);
}
