import { printable, type CliIo } from './io.js';

/** One line of a report. */
export interface PrintedCheck {
  readonly name: string;
  readonly outcome: string;
  readonly detail: string;
}

const MARKS: Readonly<Record<string, string>> = { pass: 'ok  ', fail: 'FAIL', skipped: 'skip' };
const ANSWERS: Readonly<Record<string, string>> = {
  yes: 'yes: everything holds',
  no: 'NO: it does not hold',
  unsupported: 'cannot tell',
};

/** Prints a report, as JSON or for people: a line for each check, then the verdict. */
export function printReport(
  io: CliIo,
  report: { readonly verdict: string; readonly checks: readonly PrintedCheck[] },
  json: boolean,
): void {
  if (json) return io.out(`${JSON.stringify(report, null, 2)}\n`);
  for (const { name, outcome, detail } of report.checks)
    io.out(`${MARKS[outcome] ?? '?   '} ${name.padEnd(12)}${printable(detail)}\n`);
  io.out(`${ANSWERS[report.verdict] ?? report.verdict}\n`);
}

/** Prints named facts, for people. */
export function printFacts(io: CliIo, facts: object): void {
  for (const [name, value] of Object.entries(facts)) {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) printFacts(io, value as object);
    else
      io.out(`     ${name.padEnd(16)}${printable(Array.isArray(value) ? value.join(' ') : String(value))}\n`);
  }
}
