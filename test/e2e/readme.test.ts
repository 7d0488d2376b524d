import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { examples, isShown } from './console-blocks.js';
import { client, killAll, removeFolders, start, stop, temporaryFolder, type Started } from './support.js';

describe('the README', { timeout: 60_000 }, () => {
  let started: Started;
  beforeAll(async () => {
    // What this test reads by itself is in nobody's trail.
    started = await start({ DATA_DIR: temporaryFolder(), AUDIT_READS: 'off' });
  }, 180_000);
  afterAll(async () => {
    await stop(started);
    killAll();
    removeFolders();
  });

  it('shows commands that do what it says they do', async () => {
    await expectReadmeToHold(started.baseUrl);
  });
});

/** Runs the README's commands in order, in a shell, until each shows what the README says. */
async function expectReadmeToHold(baseUrl: string): Promise<void> {
  const all = examples('README.md');
  expect(all.length).toBeGreaterThan(3);
  let id = '';
  for (const { command, shown } of all) {
    const record = id === '' ? undefined : await client(baseUrl, 'default').get(`/decisions/${id}`);
    const current = command.replace(/if-match: "[^"]*"/, `if-match: ${record?.headers.get('etag') ?? ''}`);
    const lines = (): string[] =>
      execFileSync('sh', ['-c', current], { env: { PATH: process.env['PATH'], BASE: baseUrl, ID: id } })
        .toString()
        .split('\n');
    const end = performance.now() + 10_000;
    let got = lines();
    const holds = (): boolean => shown.every((line) => got.some((actual) => isShown(actual, line)));
    // Only reads may be repeated: the last one is shown "a second or two later".
    while (!holds() && !/-d |-X /.test(command) && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      got = lines();
    }
    for (const line of shown)
      expect(got.some((actual) => isShown(actual, line)), `${command}shows\n${got.join('\n')}\nnot\n${line}`).toBe(true); // prettier-ignore
    id = /dec_[0-9a-f-]{36}/.exec(got.join('\n'))?.[0] ?? id;
  }
}
