import { LIMITS } from '../domain/limits.js';
import type { Answer, HttpServices, Input } from './resource.js';

/** A name, perhaps a value that may be quoted, and parameters, which mean nothing to us. */
const PREFERENCE = /^[ \t]*([!#$%&'*+.^_`|~\w-]+)[ \t]*(?:=[ \t]*(?:"([^"\\]*)"|([^\s;"]*)))?[ \t]*(?:;.*)?$/;

/** The items of a list, which commas part unless they are quoted. */
function itemsOf(text: string): readonly string[] {
  return text.match(/(?:"(?:[^"\\]|\\.)*"|[^,"]|")+/g) ?? [];
}

/**
 * Seconds that `Prefer: wait=…` (RFC 7240) asks an answer to wait for its receipt, 10 at most: who asks for more gets
 * those. Undefined without one. What is no whole number from 1 on is ignored, as the RFC has it, and of several the first
 * counts.
 */
export function waitOf(headers: { get(name: string): string | null }): number | undefined {
  const text = headers.get('prefer');
  if (text === null || text.length > LIMITS.headerValueChars) return undefined;
  for (const item of itemsOf(text)) {
    const [, name = '', quoted, plain] = PREFERENCE.exec(item) ?? [];
    if (name.toLowerCase() !== 'wait') continue;
    const value = quoted ?? plain ?? '';
    return /^[1-9]\d*$/.test(value) ? Math.min(Number(value), LIMITS.receiptWaitS) : undefined;
  }
  return undefined;
}

/** When a request began, and how long its answer may wait. */
export interface Patience {
  readonly seconds: number;
  readonly deadlineMs: number;
}

/** What a request's `Prefer` comes to, counted from now; undefined when its answer is not to wait. */
export function patienceOf(
  request: { readonly headers: { get(name: string): string | null } },
  { receipts }: Pick<HttpServices, 'receipts'>,
): Patience | undefined {
  const seconds = waitOf(request.headers);
  return seconds === undefined ? undefined : { seconds, deadlineMs: receipts.now() + seconds * 1000 };
}

/**
 * Headers that say where the proof of a write is, once it can be had: waits for that. None when time was up, when nobody
 * asked, and for what is no write.
 */
export async function receiptHeaders(
  { receipt }: Answer,
  patience: Patience | undefined,
  { services, call }: Pick<Input, 'services' | 'call'>,
): Promise<Readonly<Record<string, string>>> {
  if (patience === undefined || receipt === undefined || receipt.eventIds.length === 0) return {};
  if (!(await services.receipts.sealed(receipt.eventIds, patience.deadlineMs, call))) return {};
  return {
    'preference-applied': `wait=${String(patience.seconds)}`,
    ...(receipt.proof === undefined ? {} : { link: `<${receipt.proof}>; rel="proof"` }),
  };
}
