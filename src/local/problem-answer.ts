import { randomUUID } from 'node:crypto';
import type { Answer } from './http-types.js';

const TITLES = {
  'request-malformed': { status: 400, title: 'The request cannot be understood' },
  'method-not-allowed': { status: 405, title: 'The resource does not take this method' },
} as const;

/** The answer to a request that no function could be given; in the words of the API, whose handlers never see it. */
export function problemAnswer(
  code: keyof typeof TITLES,
  detail: string,
  headers: Answer['headers'] = [],
): Answer {
  const { status, title } = TITLES[code];
  const type = `urn:business-records:errors#${code}`;
  const problem = { type, title, status, detail, instance: randomUUID() };
  return {
    status,
    headers: [['content-type', 'application/problem+json; charset=utf-8'], ...headers],
    body: Buffer.from(JSON.stringify(problem)),
  };
}
