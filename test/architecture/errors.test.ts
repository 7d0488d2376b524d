import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from '../../src/domain/errors.js';
import { PROBLEMS } from '../../src/http/problem.js';
import { DISPOSITIONS } from '../../src/queue/disposition.js';
import { codeLines, filesBelow, quoted, read, tableRows } from './support.js';

interface Documented {
  readonly code: string;
  readonly status: number;
  readonly disposition: string;
}

/** Code, status and queue disposition of each row of the tables of docs/errors.md. */
function documented(): readonly Documented[] {
  return tableRows(read('docs/errors.md')).flatMap(([code, status, , , queue]) => {
    const name = quoted(code);
    return name === undefined ? [] : [{ code: name, status: Number(status), disposition: queue ?? '' }];
  });
}

describe('docs/errors.md', () => {
  it('documents exactly the codes there are, each once', () => {
    const codes = documented().map(({ code }) => code);
    expect([...codes].sort()).toEqual([...ERROR_CODES].sort());
  });

  it('says the status and the queue disposition that the tables of the code say', () => {
    const expected = ERROR_CODES.map((code) => ({
      code,
      status: PROBLEMS[code].status,
      disposition: DISPOSITIONS[code],
    }));
    const byCode = (a: Documented, b: Documented): number => (a.code < b.code ? -1 : 1);
    expect([...documented()].sort(byCode)).toEqual([...expected].sort(byCode));
  });

  it('marks as not in use exactly the codes that no code throws yet', () => {
    const thrown = filesBelow('src')
      .filter((path) => !/errors\.ts$|problem\.ts$|disposition\.ts$/.test(path))
      .flatMap(codeLines)
      .map(({ code }) => code)
      .join('\n');
    const unused = ERROR_CODES.filter((code) => !thrown.includes(`'${code}'`));
    const marked = tableRows(read('docs/errors.md'))
      .filter((cells) => cells.some((cell) => cell.includes('not in use yet')))
      .map(([code]) => quoted(code));
    expect([...marked].sort()).toEqual([...unused].sort());
  });
});
